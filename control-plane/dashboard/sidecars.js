// The sidecars as a grid of cells: coloured, and marked by a letter and a shape. A cell is touched only when what it
// shows differs; with few sidecars a cell has room for its name and its rate.

import { byId, h, keyed, say, set, show } from "./dom.js";
import { count, rate } from "./format.js";
import { shown } from "./filter.js";
import { tally } from "./standing.js";
import { openSidecar, prepareSidecar } from "./sidecar.js";
import { fleet as latest } from "./picture.js";
import { rove } from "./rove.js";
import { HEALTH, LEVEL, wordFor } from "./words.js";

const ROOMY = 60;
const STATES = [
  ["all", "All"],
  ["critical", "Critical"],
  ["degraded", "Degraded"],
  ["healthy", "Healthy"],
  ["late", "Late"],
  ["lowered", "Below full"],
];

let state = "all";
let text = "";

export function prepare() {
  const grid = byId("grid");
  rove(grid);
  grid.addEventListener("click", (event) => {
    const cell = event.target.closest("[role=option]");
    if (cell) openSidecar(cell.dataset.id, cell);
  });
  byId("find").addEventListener("input", (event) => {
    text = event.target.value.trim();
    if (latest()) draw(latest());
  });
  byId("grid-key").append(
    ...[
      ["", "healthy"],
      ["degraded", "degraded"],
      ["critical", "critical"],
      ["late", "late: no heartbeat"],
    ].map(([name, word]) =>
      h(
        "span",
        null,
        h("i", { class: "cell", "data-state": name || "healthy", "aria-hidden": "true" }, name[0]?.toUpperCase() ?? ""),
        word,
      ),
    ),
    h(
      "span",
      null,
      h("i", { class: "cell", "data-state": "healthy", "data-level": "REDUCED", "aria-hidden": "true" }),
      "level reduced",
    ),
    h(
      "span",
      null,
      h("i", { class: "cell", "data-state": "healthy", "data-level": "MINIMAL", "aria-hidden": "true" }),
      "level minimal",
    ),
  );
  prepareSidecar();
}

export function draw(fleet) {
  const counts = tally(fleet.sidecars);
  say(byId("sidecars-sum"), `${count(counts.live)} live${counts.late ? `, ${count(counts.late)} late` : ""}`);
  keyed(
    byId("states"),
    STATES.map(([name, word]) => ({ name, word, number: counts[name] })),
    (one) => one.name,
    chip,
  );
  const grid = byId("grid");
  set(grid, "data-roomy", fleet.sidecars.length <= ROOMY);
  keyed(grid, fleet.sidecars, (one) => one.id, cell);
  const visible = grid.querySelectorAll(":scope > :not([hidden])").length;
  show(byId("grid-none"), visible === 0);
  say(byId("grid-none"), fleet.sidecars.length === 0 ? "No sidecar has been heard of." : "No sidecar is like that.");
  grid.dispatchEvent(new Event("drawn"));
}

function chip() {
  const [word, number] = [h("span"), h("span", { class: "num" })];
  const node = h("button", { type: "button", class: "chip" }, word, " ", number);
  node.addEventListener("click", () => {
    state = node.dataset.name;
    if (latest()) draw(latest());
  });
  return {
    node,
    update(one) {
      set(node, "data-name", one.name);
      set(node, "aria-pressed", String(state === one.name));
      say(word, one.word);
      say(number, count(one.number));
    },
  };
}

function cell() {
  const node = h("div", { role: "option", class: "cell", tabindex: -1, "aria-selected": "false" });
  const [letter, name, more] = [h("b"), h("span", { class: "id" }), h("span", { class: "num" })];
  node.append(letter, name, more);
  let [digest, filtered] = ["", null];
  return {
    node,
    update(one) {
      const visible = shown(one, state, text);
      if (visible !== filtered) {
        filtered = visible;
        node.hidden = !visible;
      }
      // Not in the label: what moves every second would be read out, and laid out, every second.
      if (byId("grid").hasAttribute("data-roomy")) say(more, one.late ? "" : `${rate(one.callsPerSecond)}/s`);
      const now = `${one.late}${one.health}${one.level}`;
      if (now === digest) return;
      digest = now;
      const health = wordFor(HEALTH, one.health);
      set(node, "data-id", one.id);
      set(node, "data-state", one.late ? "late" : one.health.toLowerCase());
      set(node, "data-level", one.level);
      say(letter, one.late ? "L" : health.letter);
      say(name, one.id);
      const level =
        one.level === "FULL" || one.level === "UNSPECIFIED"
          ? ""
          : `, level ${wordFor(LEVEL, one.level).word.toLowerCase()}`;
      const label = `${one.id}, ${one.late ? "late" : health.word.toLowerCase()}${level}`;
      set(node, "aria-label", label);
      node.title = label;
    },
  };
}
