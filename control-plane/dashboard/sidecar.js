// One sidecar in full, in a drawer: what it says of itself, its checks, load, providers and totals. It is asked for
// itself, again and again while it is looked at, because the live view may leave these out.

import { get, segment } from "./api.js";
import { openLevel } from "./degradation.js";
import { byId, h, say, set } from "./dom.js";
import { readSidecar } from "./fleet.js";
import { fleet } from "./picture.js";
import { guard } from "./session.js";
import * as parts from "./sidecar_parts.js";

const EVERY = 3000;

let showing = null;

export function prepareSidecar() {
  byId("sidecar").addEventListener("close", () => {
    clearTimeout(showing?.timer);
    if (showing) set(showing.cell, "aria-selected", "false");
    showing = null;
  });
}

export function openSidecar(id, cell) {
  showing = { id, cell, timer: null, last: null };
  set(cell, "aria-selected", "true");
  say(byId("sidecar-title"), id);
  say(byId("sidecar-wrong"), "");
  const known = fleet()?.sidecars.find((one) => one.id === id);
  build();
  if (known) fill(known, KNOWN);
  byId("sidecar").showModal();
  ask(showing);
}

async function ask(of) {
  try {
    const sidecar = readSidecar(await get(`sidecars/${segment(of.id)}`));
    if (showing !== of) return;
    say(byId("sidecar-wrong"), "");
    fill(sidecar);
  } catch (error) {
    if (showing !== of) return;
    say(
      byId("sidecar-wrong"),
      error.status === 404 ? "It is gone: no heartbeat for so long that it has been forgotten." : error.message,
    );
  }
  of.timer = setTimeout(() => ask(of), EVERY);
}

function build() {
  const sections = Object.keys(SHOWS).map((name) => h("section", { "data-part": name }));
  const change = guard(
    h(
      "button",
      { type: "button", "aria-haspopup": "dialog", onclick: () => showing?.last && openLevel(showing.last) },
      "Set its level…",
    ),
  );
  sections.find((one) => one.dataset.part === "level").append(h("p"), change);
  byId("sidecar-body").replaceChildren(...sections);
}

/** What each part shows: it is drawn anew only when that differs, so that text stays marked while it is copied. */
const SHOWS = {
  state: (one) => [one.health, one.late, one.seenAt],
  level: (one) => [one.level, one.levelWord],
  checks: (one) => one.checks,
  load: (one) => one.load,
  providers: (one) => one.providers,
  totals: (one) => [one.totals, one.callsPerSecond, one.inFlight],
  facts: (one) => [one.pod, one.node, one.zone, one.version, one.startedAt, one.settingsVersion],
};

/** What the live view always has. */
const KNOWN = ["state", "level", "facts"];

/** Draws these parts of a sidecar, or all. */
function fill(one, only = Object.keys(SHOWS)) {
  showing.last = one;
  const draws = { ...parts, level: parts.levelOf };
  for (const section of byId("sidecar-body").children) {
    const { part } = section.dataset;
    if (!only.includes(part)) continue;
    const digest = JSON.stringify(SHOWS[part](one));
    if (section.digest === digest) continue;
    section.digest = digest;
    // The level's button stays as it is: somebody may be on it.
    const node = part === "level" ? section.firstElementChild : section;
    const focused = node.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    node.replaceChildren(...draws[part](one).flat());
    if (focused)
      [...node.querySelectorAll("[aria-label]")].find((it) => it.getAttribute("aria-label") === focused)?.focus();
  }
}
