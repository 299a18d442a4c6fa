// Errors by kind over the hour, of the fleet or of one provider: columns in colour and texture, a list that is their
// legend and has their rates, and the same as a table.

import { now } from "./clock.js";
import { byId, h, keyed, redrawn, say, set, svg } from "./dom.js";
import { clock, count, exact, percent, rate, some } from "./format.js";
import { fleet as shown } from "./picture.js";
import { ceiling, fill, kinds, stack } from "./series.js";
import { paintOf, plain } from "./words.js";

const TEXTURES = [null, "M-1 7L7 -1M-1 1L1 -1M5 7L7 5", "M3 1.5v3M1.5 3h3", "M0 3H6M3 0V6"];

let last = "";
let minutes = [];

export function prepare() {
  byId("errors-of").addEventListener("change", () => shown() && draw(shown()));
  byId("chart-table").addEventListener("toggle", drawTable);
  new ResizeObserver(() => shown() && draw(shown())).observe(byId("chart"));
  byId("chart").addEventListener("pointermove", read);
  byId("chart").addEventListener("pointerleave", () => say(byId("chart-read"), ""));
}

/** A minute that turns moves the chart, even if nothing is told. */
export function tick() {
  if (shown()) draw(shown());
}

export function draw(fleet) {
  const names = ["", ...fleet.providers.map((one) => one.name)];
  const select = byId("errors-of");
  keyed(select, names, (name) => name, option);
  const of = fleet.providers.find((one) => one.name === select.value) ?? fleet;
  const [width, height] = [Math.round(byId("chart").clientWidth), Math.round(byId("chart").clientHeight)];
  const moment = now();
  const digest = JSON.stringify([select.value, width, height, Math.floor(moment / 60_000), of.history, of.errors]);
  if (digest === last) return;
  last = digest;
  minutes = fill(of.history, moment);
  const order = kinds(minutes);
  drawChart(order, width, height);
  drawKinds(order, of.errors);
  drawSum(order, moment);
  keyed(byId("patterns"), of.errors.patterns, (one) => one.pattern, redrawn("li", null, pattern));
  drawTable();
}

function option(name) {
  return { node: h("option", { value: name }, name || "all providers"), update() {} };
}

function pattern(one) {
  const [kind, operation] = one.pattern.split(":");
  return [`${plain(kind)}${operation ? ` in ${operation}` : ""} `, h("span", { class: "num" }, count(one.count))];
}

function drawSum(order, moment) {
  const all = minutes.reduce((sum, one) => sum + one.calls, 0);
  const failed = order.reduce((sum, one) => sum + one.sum, 0);
  say(
    byId("errors-sum"),
    failed === 0 ? "none" : `${exact(failed)}, ${percent(failed, Math.max(all, failed))} of ${some(all, "call")}`,
  );
  const worst = minutes.reduce((most, one) => (one.failed > most.failed ? one : most));
  const said =
    failed === 0
      ? "No errors in the last hour."
      : `Errors a minute, by kind. Most at ${clock(worst.at, moment)}: ${exact(worst.failed)}.`;
  say(byId("chart-what"), said);
  const marks = [0, 15, 30, 45, 59].map((index) => clock(minutes[index].at, moment));
  keyed(
    byId("chart-scale"),
    marks.map((word, index) => ({ word, index })),
    (one) => one.index,
    redrawn("span", null, (one) => one.word),
  );
}

function drawChart(order, width, height) {
  const chart = byId("chart");
  const most = ceiling(Math.max(...minutes.map((one) => one.failed)));
  const unit = Math.max(width, 60) / minutes.length;
  set(chart, "viewBox", `0 0 ${Math.max(width, 60)} ${Math.max(height, 1)}`);
  say(byId("chart-top"), count(most));
  const lines = [0, 0.5, 1].map((part) => svg("path", { class: "line", d: `M0 ${height * part}H${width}` }));
  const paths = stack(
    minutes,
    order.map((one) => one.kind),
    { most, height, unit },
  );
  chart.replaceChildren(
    svg(
      "defs",
      null,
      order.map(({ kind }) => paint(kind)),
    ),
    ...lines,
    ...paths.map(({ kind, path }) => svg("path", { d: path, fill: `url(#paint-${kind})` })),
  );
}

/** A kind's colour and texture. */
function paint(kind) {
  const { hue, texture } = paintOf(kind);
  return svg(
    "pattern",
    { id: `paint-${kind}`, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    svg("rect", { class: `hue${hue}`, width: 6, height: 6 }),
    TEXTURES[texture] ? svg("path", { class: "texture", d: TEXTURES[texture] }) : null,
  );
}

function drawKinds(order, errors) {
  const rows = order.map(({ kind, sum }) => ({
    kind,
    sum,
    hour: errors.rate1h[kind] ?? 0,
    minute: errors.rate1m[kind] ?? 0,
  }));
  keyed(
    byId("kind-rows"),
    rows,
    (one) => one.kind,
    redrawn("tr", null, (one) => [
      h(
        "th",
        { scope: "row" },
        svg(
          "svg",
          { class: "swatch", viewBox: "0 0 18 12", "aria-hidden": "true" },
          svg("rect", { width: 18, height: 12, fill: `url(#paint-${one.kind})` }),
        ),
        plain(one.kind),
      ),
      h("td", { class: "num" }, exact(one.sum)),
      h("td", { class: "num" }, rate(one.hour)),
      h("td", { class: "num" }, rate(one.minute)),
    ]),
  );
}

/** The table behind the chart; not drawn while it is folded. */
function drawTable() {
  if (!byId("chart-table").open) return;
  const order = kinds(minutes).map((one) => one.kind);
  const head = h(
    "thead",
    null,
    h(
      "tr",
      null,
      h("th", { scope: "col" }, "Minute"),
      h("th", { scope: "col" }, "Calls"),
      order.map((kind) => h("th", { scope: "col" }, plain(kind))),
    ),
  );
  const rows = minutes
    .filter((one) => one.calls > 0 || one.failed > 0)
    .reverse()
    .map((one) =>
      h(
        "tr",
        null,
        h("th", { scope: "row" }, clock(one.at, now())),
        h("td", { class: "num" }, exact(one.calls)),
        order.map((kind) => h("td", { class: "num" }, exact(one.errors[kind] ?? 0))),
      ),
    );
  byId("minutes").replaceChildren(
    h("caption", { class: "unseen" }, "Errors by minute and kind, the newest first"),
    head,
    h("tbody", null, rows),
  );
}

/** The minute under the pointer, in words. */
function read(event) {
  const box = byId("chart").getBoundingClientRect();
  const one = minutes[Math.floor(((event.clientX - box.left) / box.width) * minutes.length)];
  if (!one) return;
  const parts = Object.entries(one.errors)
    .filter(([, number]) => number > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([kind, number]) => `${plain(kind)} ${exact(number)}`);
  say(byId("chart-read"), `${clock(one.at, now())}: ${some(one.calls, "call")}, ${parts.join(", ") || "no errors"}`);
}
