// The page's clock: the server's time as far as its answers tell it, and every age and countdown on the page, kept
// going once a second. A laptop that is minutes off would else count down to the wrong moment.

import { ago, clock, countdown, span } from "./format.js";
import { h, say, set } from "./dom.js";

let ahead = 0;

/** Now at the server, in milliseconds since 1970. */
export function now() {
  return Date.now() + ahead;
}

/** Learns from an answer's `Date` header how far ahead the server's clock is; below two seconds is its rounding. */
export function learn(header) {
  const theirs = Date.parse(header ?? "");
  if (Number.isNaN(theirs)) return;
  const found = theirs + 500 - Date.now();
  ahead = Math.abs(found) < 2000 ? 0 : found;
}

const STYLES = {
  ago,
  // "in 3 min 20 s"; what is due says so.
  left: (at, moment) => (at <= moment ? "now" : `in ${span(Math.ceil((at - moment) / 1000) * 1000)}`),
  countdown,
  for: (at, moment) => span(moment - at),
};

/** A `time` element that keeps itself right. `style` is ago, left, countdown or for. */
export function moment(at, style) {
  const node = h("time", { "data-style": style });
  setMoment(node, at);
  return node;
}

/** Sets what a `moment` is about; null empties it. */
export function setMoment(node, at) {
  if (at === null) {
    set(node, "datetime", null);
    say(node, "");
    return;
  }
  const iso = new Date(at).toISOString();
  if (node.getAttribute("datetime") !== iso) {
    node.setAttribute("datetime", iso);
    node.title = `${clock(at, now(), true)} here, ${iso}`;
  }
  say(node, STYLES[node.dataset.style](at, now()));
}

function tick() {
  const moment = now();
  for (const node of document.querySelectorAll("time[data-style][datetime]")) {
    say(node, STYLES[node.dataset.style](Date.parse(node.dateTime), moment));
  }
}

/** Starts the beat; `each` is called at every one, after the page's times. */
export function beat(each) {
  setInterval(() => {
    if (document.hidden) return;
    tick();
    each(now());
  }, 1000);
}
