// What is told aloud, and notices that stay until they are dismissed. One polite region for the whole page: what comes
// close together is told as one, and the same is not told twice in a row.

import { byId, h, say } from "./dom.js";

const GATHER = 700;
const FORGET = 8000;

let pending = [];
let last = "";

/** Tells screen readers something, when they have finished with what they are saying. */
export function news(text) {
  if (pending.length === 0) setTimeout(tell, GATHER);
  if (!pending.includes(text)) pending.push(text);
}

function tell() {
  const text = pending.join(" ");
  pending = [];
  if (text === last) return;
  last = text;
  say(byId("news"), text);
  setTimeout(() => {
    if (last !== text) return;
    last = "";
    say(byId("news"), "");
  }, FORGET);
}

/** Shows something that somebody must have read: what went wrong after its dialog was closed. */
export function notice(text) {
  const node = h(
    "div",
    { class: "notice", role: "alert" },
    h("p", null, text),
    h("button", { type: "button", class: "close", "aria-label": "Dismiss", onclick: () => node.remove() }, "×"),
  );
  byId("notices").append(node);
  while (byId("notices").childElementCount > 5) byId("notices").firstElementChild.remove();
}
