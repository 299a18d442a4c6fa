// Who changed what, why, and what came of it; and what was refused.

import { get, segment } from "./api.js";
import { moment } from "./clock.js";
import { byId, h, keyed, mark, redrawn, say, show } from "./dom.js";
import { readAudit } from "./fleet.js";

const PAGE = 25;
const SOON = 400;
// A page that is open for days begins anew with the newest.
const MOST = 500;

const OUTCOME = { done: ["healthy", "good"], refused: ["degraded", "warn"], failed: ["critical", "bad"] };

let next = "";
let events = [];
let timer = null;

export function prepare() {
  byId("audit-more").addEventListener("click", async () => {
    const from = events.length;
    await load(true);
    byId("audit-rows").children[from]?.querySelector("summary")?.focus();
  });
}

export function draw(fleet, before) {
  if (before && fleet.settingsVersion !== before.settingsVersion) soon();
}

/** Reads the audit anew, once for all that happens close together. */
export function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => load(), SOON);
}

/** Reads the newest, or, with `more`, the page after those that are shown. */
export async function load(more = false) {
  try {
    const page = await get(`audit?pageSize=${PAGE}` + (more && next ? `&pageToken=${segment(next)}` : ""));
    const read = (page.events ?? []).map(readAudit);
    const known = new Set(read.map((one) => one.id));
    // New ones above, without losing what was unfolded below.
    const older = events.filter((one) => !known.has(one.id));
    const whole = more || events.length === 0 || older.length === events.length;
    const fits = !more && read.length + older.length <= MOST;
    if (more) events = [...events, ...read.filter((one) => !events.some(({ id }) => id === one.id))];
    else events = whole || !fits ? read : [...read, ...older];
    if (whole || !(more || fits)) next = page.nextPageToken ?? "";
    say(byId("audit-wrong"), "");
    keyed(byId("audit-rows"), events, (one) => one.id, redrawn("tr", null, row));
    show(byId("audit-none"), events.length === 0);
    show(byId("audit-more"), next !== "");
  } catch (error) {
    say(byId("audit-wrong"), `The audit could not be read: ${error.message}`);
  }
}

function row(one) {
  const [shape, tone] = OUTCOME[one.outcome] ?? ["unknown", "quiet"];
  return [
    h("td", { "data-head": "When" }, one.at === null ? "" : moment(one.at, "ago")),
    h("th", { scope: "row", "data-head": "Who" }, one.actor, one.source ? h("small", null, ` ${one.source}`) : null),
    h(
      "td",
      { "data-head": "What" },
      h("details", null, h("summary", null, one.action), h("pre", null, pretty(one.detail))),
    ),
    h("td", { "data-head": "Why" }, one.reason),
    h(
      "td",
      { "data-head": "Outcome", "data-tone": tone },
      mark(shape),
      one.outcome,
      one.effect ? h("small", null, ` ${one.effect}`) : null,
    ),
  ];
}

function pretty(detail) {
  try {
    return JSON.stringify(JSON.parse(detail), null, 1);
  } catch {
    return detail;
  }
}
