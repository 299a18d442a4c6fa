// Alerts: those that fire, with what became of each and what can be done about it, and those that are over.

import { get, segment, send } from "./api.js";
import { moment } from "./clock.js";
import { byId, h, keyed, mark, say, set, show } from "./dom.js";
import { readAlert } from "./fleet.js";
import { byWeight } from "./standing.js";
import { count, rate, some } from "./format.js";
import { news } from "./news.js";
import { guard } from "./session.js";
import { openSilence } from "./silences.js";
import { ALERT_KIND, SEVERITY, plain, wordFor } from "./words.js";

const PAGE = 20;

let live = null;
let earlier = { alerts: [], next: "", firing: "" };

export function prepare(given) {
  live = given;
  byId("silence-new").addEventListener("click", () => openSilence(null));
  byId("earlier").addEventListener("toggle", () => byId("earlier").open && loadEarlier(false));
  byId("earlier-more").addEventListener("click", () => loadEarlier(true));
}

export function draw(fleet, before) {
  keyed(byId("alert-list"), fleet.alerts, (one) => one.id, item);
  const open = fleet.alerts.filter((one) => !one.acknowledgedAt && !one.silence).length;
  const rest = fleet.alerts.length - open;
  say(
    byId("alerts-sum"),
    fleet.alerts.length === 0
      ? "none is firing"
      : `${count(fleet.alerts.length)} firing` + (rest ? `, ${count(rest)} of them acknowledged or silenced` : ""),
  );
  set(byId("alerts"), "data-firing", open > 0);
  const badge = byId("nav-alerts");
  show(badge, open > 0);
  say(badge, count(open));
  const firing = fleet.alerts
    .map((one) => one.id)
    .sort()
    .join();
  if (byId("earlier").open && firing !== earlier.firing) loadEarlier(false);
  earlier.firing = firing;
  if (before) tell(fleet.alerts, before.alerts);
}

function tell(alerts, before) {
  const known = new Set(before.map((one) => one.id));
  const fresh = alerts.filter((one) => !known.has(one.id) && !one.silence);
  if (fresh.length > 3) news(`${some(fresh.length, "new alert")}.`);
  else for (const one of fresh) news(`New alert. ${heading(one)}. ${one.message}`);
}

function heading(alert) {
  const kind = ALERT_KIND[alert.kind] ?? plain(alert.kind.toLowerCase());
  const about = alert.provider || alert.sidecar;
  return `${kind}${about ? `: ${about}` : ""}${alert.errorKind ? `, ${plain(alert.errorKind)}` : ""}`;
}

/** A row for `keyed`. Its button and its error stay what they are while what is around them changes. */
function item() {
  let now = null;
  const body = h("div", { class: "alert-body" });
  const wrong = h("p", { class: "wrong", role: "alert" });
  const acknowledge = guard(h("button", { type: "button", class: "small", onclick: () => run() }, "Acknowledge"));
  const silence = guard(
    h(
      "button",
      { type: "button", class: "small", "aria-haspopup": "dialog", onclick: () => openSilence(now) },
      "Silence…",
    ),
  );
  const node = h("li", { class: "alert" }, body, h("div", { class: "alert-acts" }, acknowledge, silence), wrong);
  let digest = "";

  async function run() {
    acknowledge.disabled = true;
    say(wrong, "");
    try {
      const answer = readAlert(await send("POST", `alerts/${segment(now.id)}/acknowledge`, {}));
      update({ ...now, acknowledgedAt: answer.acknowledgedAt ?? Date.now(), acknowledgedBy: answer.acknowledgedBy });
      news("Acknowledged.");
      silence.focus();
      live.refresh().catch(() => {});
    } catch (error) {
      say(wrong, error.status === 0 ? `${error.message} Try again.` : error.message);
    }
    acknowledge.disabled = false;
  }

  function update(alert) {
    now = alert;
    const next = JSON.stringify(alert);
    if (next === digest) return;
    digest = next;
    const severity = wordFor(SEVERITY, alert.severity);
    set(node, "data-tone", alert.resolvedAt ? "quiet" : severity.tone);
    set(node, "data-seen", Boolean(alert.acknowledgedAt || alert.silence || alert.resolvedAt));
    show(acknowledge, !alert.acknowledgedAt && !alert.resolvedAt);
    show(silence, !alert.silence && !alert.resolvedAt);
    set(acknowledge, "aria-label", `Acknowledge ${heading(alert)}`);
    set(silence, "aria-label", `Silence… like ${heading(alert)}`);
    body.replaceChildren(...content(alert, severity));
  }
  return { node, update };
}

function content(alert, severity) {
  const when = alert.resolvedAt
    ? ["resolved ", moment(alert.resolvedAt, "ago"), ", raised ", moment(alert.raisedAt, "ago")]
    : alert.raisedAt === null
      ? []
      : ["for ", moment(alert.raisedAt, "for")];
  const facts = [when];
  if (alert.recentRate > 0) {
    const than = alert.historicalRate > 0 ? ` against ${rate(alert.historicalRate)} before` : "";
    facts.push(
      `${rate(alert.recentRate)} errors/min${than}${alert.multiplier > 0 ? ` (×${rate(alert.multiplier)})` : ""}`,
    );
  }
  if (alert.acknowledgedAt)
    facts.push([
      "acknowledged by ",
      h("b", null, alert.acknowledgedBy || "somebody"),
      " ",
      moment(alert.acknowledgedAt, "ago"),
    ]);
  if (alert.silence) facts.push("silenced: not delivered");
  facts.push(...alert.deliveries.map(delivery));
  return [
    h("h3", null, mark(severity.mark), h("span", { class: "severity" }, `${severity.word} `), heading(alert)),
    alert.message ? h("p", null, alert.message) : "",
    h(
      "ul",
      { class: "facts" },
      facts.map((fact) => h("li", null, fact)),
    ),
  ];
}

function delivery(one) {
  const tries = one.attempts > 1 ? ` after ${some(one.attempts, "attempt")}` : "";
  if (one.state === "failed")
    return h(
      "span",
      { "data-tone": "bad" },
      h("b", null, one.channel),
      `: failed${tries}`,
      one.lastError ? `: ${one.lastError}` : "",
    );
  if (one.state === "delivered")
    return [
      h("b", null, one.channel),
      ": delivered",
      one.at === null ? "" : [" ", moment(one.at, "ago")],
      tries,
    ].flat();
  return h(
    "span",
    { "data-tone": one.lastError ? "warn" : null },
    h("b", null, one.channel),
    `: ${one.state}${tries}`,
    one.lastError ? `: ${one.lastError}` : "",
  );
}

async function loadEarlier(more) {
  try {
    const page = await get(
      `alerts?includeResolved=true&pageSize=${PAGE}` +
        (more && earlier.next ? `&pageToken=${segment(earlier.next)}` : ""),
    );
    const resolved = (page.alerts ?? []).map(readAlert).filter((one) => one.resolvedAt);
    const known = new Map((more ? earlier.alerts : []).concat(resolved).map((one) => [one.id, one]));
    earlier = {
      ...earlier,
      alerts: [...known.values()].sort((a, b) => b.resolvedAt - a.resolvedAt || byWeight(a, b)),
      next: page.nextPageToken ?? "",
    };
    say(byId("earlier-wrong"), earlier.alerts.length === 0 && !earlier.next ? "None." : "");
    keyed(byId("earlier-list"), earlier.alerts, (one) => one.id, item);
    show(byId("earlier-more"), earlier.next !== "");
  } catch (error) {
    say(byId("earlier-wrong"), error.message);
  }
}
