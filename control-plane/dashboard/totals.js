// What the live sidecars have done since each began: calls, tokens, cost, and where the answers came from.

import { byId, h, keyed, say, set } from "./dom.js";
import { cost, count, exact, percent } from "./format.js";
import { figure } from "./status.js";
import { plain } from "./words.js";

/** Sources from the best answer to the least. */
const ORDER = ["primary", "provider", "fallback", "cache", "simplified", "static"];

export function draw({ totals }) {
  keyed(
    byId("total-figures"),
    [
      {
        name: "calls",
        value: count(totals.calls),
        more: `${exact(totals.errors)} failed, ${percent(totals.errors, totals.calls)}`,
      },
      { name: "tokens in", value: count(totals.inputTokens), more: "sent to providers" },
      { name: "tokens out", value: count(totals.outputTokens), more: "written by providers" },
      { name: "cost", value: cost(totals.cost), more: "in the currency of the configured prices" },
    ],
    (one) => one.name,
    figure,
  );
  const place = (source) => (ORDER.indexOf(source) < 0 ? ORDER.length : ORDER.indexOf(source));
  const all = Object.values(totals.answers).reduce((sum, number) => sum + number, 0);
  const sources = Object.entries(totals.answers)
    .map(([source, number]) => ({ source, number, all }))
    .sort((a, b) => place(a.source) - place(b.source) || a.source.localeCompare(b.source));
  keyed(byId("answers"), sources, (one) => one.source, source);
}

function source() {
  const [name, share, bar] = [h("span"), h("span", { class: "num" }), h("progress", { max: 1, "aria-hidden": "true" })];
  return {
    node: h("li", null, name, bar, share),
    update(one) {
      say(name, plain(one.source));
      set(bar, "value", one.all ? (one.number / one.all).toFixed(4) : 0);
      say(share, `${percent(one.number, one.all)} (${count(one.number)})`);
    },
  };
}
