// An hour of one provider's calls, and of those the errors, as two areas on one scale.

import { h, say, set, svg } from "./dom.js";
import { clock, exact, percent } from "./format.js";
import { fill, steps } from "./series.js";
import { now } from "./clock.js";

const HEIGHT = 36;

/** `{ node, update(history, name) }`. */
export function spark() {
  const calls = svg("path", { class: "calls" });
  const errors = svg("path", { class: "failed" });
  const picture = svg("svg", { viewBox: `0 0 60 ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, calls, errors);
  const words = h("figcaption");
  const node = h("figure", { class: "spark" }, picture, words);
  let last = "";
  return {
    node,
    update(history, name) {
      const moment = now();
      // Its path changes when a minute's counts do, or when the minute turns.
      const digest = history.map((one) => `${one.at}:${one.calls}:${one.failed}`).join() + Math.floor(moment / 60_000);
      if (digest === last) return;
      last = digest;
      const minutes = fill(history, moment);
      // A little room above, so that the greatest minute can be told from the frame.
      const most = 1.15 * Math.max(...minutes.map((one) => one.calls), 1);
      set(
        calls,
        "d",
        steps(
          minutes.map((one) => one.calls),
          most,
          HEIGHT,
        ),
      );
      set(
        errors,
        "d",
        steps(
          minutes.map((one) => Math.min(one.failed, one.calls || one.failed)),
          most,
          HEIGHT,
        ),
      );
      const all = minutes.reduce((sum, one) => sum + one.calls, 0);
      const failed = minutes.reduce((sum, one) => sum + one.failed, 0);
      const worst = minutes.reduce((most, one) => (one.failed > most.failed ? one : most));
      const peak = failed ? `, most at ${clock(worst.at, moment)}` : "";
      set(picture, "aria-label", `${name} in the last hour: ${exact(all)} calls, ${exact(failed)} failed${peak}`);
      say(words, `1 h: ${exact(all)} calls, ${failed ? percent(failed, all) : "none"} failed`);
    },
  };
}
