// The top of the page: the fleet's health, why, its level, the figures of this minute, and whether all that is fresh.

import { byId, h, keyed, say, set, show } from "./dom.js";
import { now, setMoment } from "./clock.js";
import { count, percent, rate, some } from "./format.js";
import { openLevel } from "./degradation.js";
import { fleet as shown } from "./picture.js";
import { HEALTH, LEVEL, wordFor } from "./words.js";
import { tally } from "./standing.js";
import { news } from "./news.js";
import { phrase } from "./phrase.js";

const LINK = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Connection lost, trying again",
  resting: "Resting",
  "signed-out": "Signed out",
};

let link = { state: "connecting" };
let arrived = null;

export function prepare(live) {
  byId("link-now").addEventListener("click", () => live.now());
  byId("set-level").addEventListener("click", () => openLevel(null));
  say(byId("time-zone"), Intl.DateTimeFormat().resolvedOptions().timeZone || "local");
}

/** The state of the connection, as `Live` tells it. */
export function connection(told) {
  const before = link.state;
  link = told;
  if (told.state === "live") arrived = now();
  if (told.state === before) return;
  if (told.state === "resting") arrived = now();
  const lost = told.state === "waiting" || told.state === "signed-out";
  // Connecting again after a loss is still a loss, to whoever looks.
  if (lost) news("The connection to the control plane is lost. What is shown is old.");
  else if (fresh(told) && byId("link").dataset.lost) news("The connection is back. What is shown is live.");
  if (lost) byId("link").dataset.lost = "yes";
  else if (fresh(told)) delete byId("link").dataset.lost;
  drawLink();
}

const fresh = ({ state }) => state === "live" || state === "resting";

function drawLink() {
  const node = byId("link");
  const lost = "lost" in node.dataset;
  node.dataset.state = link.state === "connecting" && lost ? "waiting" : link.state;
  say(byId("link-word"), link.state === "connecting" && lost ? "Connection lost, trying now" : LINK[link.state]);
  show(byId("link-now"), link.state === "waiting");
  const age = byId("link-age");
  const until = link.state === "waiting" ? link.until : null;
  age.dataset.style = until ? "left" : "ago";
  setMoment(age, until);
  show(age, until !== null);
  if (link.why && shown() === null) say(byId("opening"), link.why);
  drawStale();
}

function drawStale() {
  const fleet = shown();
  const lost = "lost" in byId("link").dataset;
  const old = fleet !== null && (fleet.stale || lost);
  document.body.classList.toggle("old", old);
  if (fleet) drawTab(fleet, wordFor(HEALTH, fleet.health));
  show(byId("stale"), old);
  if (!old) return;
  say(byId("stale-word"), "Old data.");
  say(
    byId("stale-why"),
    lost
      ? `This page has lost the control plane.${link.why ? ` It says: ${link.why}` : ""}`
      : "The control plane cannot reach its store; sidecars go on with what they last knew.",
  );
  setMoment(byId("stale-age"), fleet.stale ? fleet.at : (arrived ?? fleet.at));
}

export function draw(fleet, before) {
  const health = wordFor(HEALTH, fleet.health);
  byId("status").dataset.tone = health.tone;
  set(byId("health-mark"), "href", `#mark-${health.mark}`);
  say(byId("health-word"), health.word);
  say(byId("health-reason"), fleet.healthReason);
  say(byId("fleet-name"), fleet.name);
  say(byId("settings-version"), fleet.settingsVersion);
  show(byId("demonstration"), fleet.demonstration);
  drawLevel(fleet);
  drawFigures(fleet);
  drawStale();
  if (before) announce(fleet, before);
}

function drawLevel(fleet) {
  const level = wordFor(LEVEL, fleet.level);
  const box = byId("status").querySelector(".level");
  box.dataset.tone = level.tone;
  box.dataset.steps = level.steps;
  say(byId("level-word"), level.word);
  const why = byId("level-why");
  const lowered = tally(fleet.sidecars).lowered;
  const own = lowered ? `${some(lowered, "sidecar")} below full.` : "Every sidecar is at full.";
  const digest = JSON.stringify([fleet.overridden, fleet.levelWord, own, fleet.level]);
  if (why.dataset.digest === digest) return;
  why.dataset.digest = digest;
  if (fleet.overridden || fleet.levelWord)
    why.replaceChildren("Held for the whole fleet, ", ...phrase(fleet.levelWord));
  else why.replaceChildren(`Chosen by each sidecar’s load. ${own}`);
}

function drawFigures(fleet) {
  const counts = tally(fleet.sidecars);
  const on = fleet.providers.filter((one) => one.enabled).length;
  const open = fleet.providers.filter((one) => one.breaker.state !== "CLOSED").length;
  const { calls1m, errors1m } = fleet.errors;
  const ill = [
    counts.critical && `${count(counts.critical)} critical`,
    counts.degraded && `${count(counts.degraded)} degraded`,
    counts.late && `${count(counts.late)} late`,
  ];
  const figures = [
    { name: "calls a second", value: rate(fleet.totals.callsPerSecond), more: `${count(calls1m)} in the last minute` },
    {
      name: "failed, last minute",
      value: percent(errors1m, calls1m),
      more: `${count(errors1m)} of ${count(calls1m)}`,
      tone: errors1m * 20 > calls1m ? "bad" : errors1m * 100 > calls1m ? "warn" : "",
    },
    {
      name: "sidecars live",
      value: count(counts.live),
      more: ill.filter(Boolean).join(", ") || "all healthy",
      tone: counts.critical ? "bad" : counts.degraded + counts.late ? "warn" : "",
    },
    {
      name: "providers on",
      value: `${on}/${fleet.providers.length}`,
      more: open ? `${some(open, "breaker")} not closed` : "all breakers closed",
      tone: on === 0 ? "bad" : on < fleet.providers.length || open ? "warn" : "",
    },
  ];
  keyed(byId("figures"), figures, (one) => one.name, figure);
}

/** A figure of a `dl`: its value first to the eye, its name first to a screen reader. */
export function figure() {
  const [name, value, more] = [h("dt"), h("dd", { class: "value" }), h("dd", { class: "more" })];
  const node = h("div", { class: "figure" }, name, value, more);
  return {
    node,
    update(one) {
      say(name, one.name);
      say(value, one.value);
      say(more, one.more ?? "");
      set(node, "data-tone", one.tone || null);
    },
  };
}

const SHAPES = {
  good: '<circle cx="8" cy="8" r="7" fill="#2e8b57"/>',
  warn: '<path d="M8 0l8 8-8 8-8-8z" fill="#c98500"/>',
  bad: '<path d="M5 0h6l5 5v6l-5 5H5l-5-5V5z" fill="#d1302a"/>',
  quiet: '<circle cx="8" cy="8" r="6" fill="none" stroke="#888" stroke-width="3"/>',
};

/** The browser's tab says it too, to somebody who works in another one. */
function drawTab(fleet, health) {
  const signs = { good: "", warn: "◆ ", bad: "⛔ ", quiet: "? " };
  const old = document.body.classList.contains("old") ? "⚠ old data: " : "";
  const title = `${old}${signs[health.tone]}${health.word} · ${fleet.name || "fleet"} · Fusebox`;
  if (document.title !== title) document.title = title;
  const icon = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${SHAPES[health.tone]}</svg>`)}`;
  set(byId("icon"), "href", icon);
}

/** Only turns are told; figures that move all the time are not. */
function announce(fleet, before) {
  if (fleet.health !== before.health)
    news(`The fleet is ${wordFor(HEALTH, fleet.health).word.toLowerCase()}. ${fleet.healthReason}`);
  if (fleet.level !== before.level) news(`The degradation level is ${wordFor(LEVEL, fleet.level).word.toLowerCase()}.`);
  if (fleet.stale !== before.stale)
    news(fleet.stale ? "The control plane has lost its store. What is shown is old." : "The store is back.");
}

export function tick() {
  if (link.state === "waiting") drawLink();
}
