// What the drawer of one sidecar shows, part by part: each function answers nodes for a sidecar as `readSidecar` has it.

import { moment } from "./clock.js";
import { h, mark } from "./dom.js";
import { cost, count, exact, millis, percent, rate, span } from "./format.js";
import { phrase } from "./phrase.js";
import { BREAKER, HEALTH, LEVEL, plain, wordFor } from "./words.js";

export function state(one) {
  const health = wordFor(HEALTH, one.health);
  const late = one.late
    ? h("p", { class: "late" }, "Late: its heartbeats are missing. This is as it said ", moment(one.seenAt, "ago"), ".")
    : [];
  const seen =
    one.late || one.seenAt === null ? [] : h("p", { class: "quiet" }, "Last seen ", moment(one.seenAt, "ago"));
  return [h("p", { class: "big", "data-tone": health.tone }, mark(health.mark), health.word), late, seen];
}

export function levelOf(one) {
  const word = wordFor(LEVEL, one.level).word;
  return one.levelWord ? [`Level ${word}, set `, ...phrase(one.levelWord)] : [`Level ${word}, by its own load`];
}

function table(caption, heads, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h(
      "table",
      null,
      h("caption", null, caption),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          heads.map((head) => h("th", { scope: "col" }, head)),
        ),
      ),
      h("tbody", null, rows),
    ),
  );
}

export function checks(one) {
  if (one.checks.length === 0) return [h("p", { class: "quiet" }, "It has told of no checks.")];
  return [
    table(
      "Checks",
      ["Check", "State", "Took"],
      one.checks.map((check) => {
        const name = check.healthy ? "healthy" : check.critical ? "critical" : "degraded";
        const said = check.healthy ? "passes" : "fails";
        return h(
          "tr",
          null,
          h("th", { scope: "row" }, check.name, check.critical ? h("small", null, " critical") : null),
          h(
            "td",
            { "data-tone": check.healthy ? "good" : check.critical ? "bad" : "warn" },
            mark(name),
            said,
            check.message ? h("small", null, ` ${check.message}`) : null,
          ),
          h("td", { class: "num" }, check.took ? span(millis(check.took)) : ""),
        );
      }),
    ),
  ];
}

const LOADS = [
  ["cpu", "CPU"],
  ["memory", "Memory"],
  ["gpu", "GPU"],
  ["gpuMemory", "GPU memory"],
  ["queue", "Queue"],
  ["kvCache", "KV cache"],
];

export function load(one) {
  const known = LOADS.filter(([key]) => one.load[key] !== undefined);
  if (known.length === 0) return [h("h3", null, "Load"), h("p", { class: "quiet" }, "It can read none.")];
  return [
    h("h3", null, "Load"),
    h(
      "ul",
      { class: "loads" },
      known.map(([key, name]) => {
        const value = Number(one.load[key]);
        return h(
          "li",
          null,
          h("span", null, name),
          h("meter", { min: 0, max: 1, high: 0.8, optimum: 0, value, "aria-label": name }),
          h("span", { class: "num" }, percent(value, 1)),
        );
      }),
    ),
  ];
}

export function providers(one) {
  if (one.providers.length === 0) return [];
  return [
    table(
      "Providers, as it has them",
      ["Provider", "Rank", "Switch", "Own breaker", "Calls/s", "Failing"],
      [...one.providers]
        .sort((a, b) => a.priority - b.priority)
        .map((it) => {
          const breaker = wordFor(BREAKER, it.breaker);
          return h(
            "tr",
            null,
            h("th", { scope: "row" }, it.name),
            h("td", { class: "num" }, String(it.priority)),
            h("td", null, it.enabled ? "on" : h("b", null, "off")),
            h("td", { "data-tone": breaker.tone }, breaker.word, it.shared ? h("small", null, " shared") : null),
            h("td", { class: "num" }, rate(it.callsPerSecond)),
            h("td", { class: "num" }, it.callsPerSecond > 0 ? percent(it.errorsPerSecond, it.callsPerSecond) : ""),
          );
        }),
    ),
  ];
}

function pairs(rows) {
  return h(
    "dl",
    { class: "pairs" },
    rows
      .filter(([, value]) => value !== "" && value !== null)
      .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}

export function totals({ totals: all, callsPerSecond, inFlight }) {
  const answered = Object.values(all.answers).reduce((sum, number) => sum + number, 0);
  const sources = Object.entries(all.answers)
    .sort((a, b) => b[1] - a[1])
    .map(([source, number]) => `${plain(source)} ${percent(number, answered)}`);
  return [
    h("h3", null, "Since it began"),
    pairs([
      ["Calls", `${exact(all.calls)}, ${percent(all.errors, all.calls)} failed`],
      ["Now", `${rate(callsPerSecond)} a second, ${exact(inFlight)} in flight`],
      ["Answers", sources.join(", ")],
      ["Tokens", `${count(all.inputTokens)} in, ${count(all.outputTokens)} out`],
      ["Cost", cost(all.cost)],
    ]),
  ];
}

export function facts(one) {
  return [
    h("h3", null, "What it is"),
    pairs([
      ["Pod", one.pod],
      ["Node", one.node],
      ["Zone", one.zone],
      ["Version", one.version],
      ["Began", one.startedAt === null ? "" : moment(one.startedAt, "ago")],
      ["Settings applied", `version ${one.settingsVersion}`],
    ]),
  ];
}
