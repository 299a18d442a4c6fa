// One provider: its switch, rank, breaker, the last hour, who has set what, and how far the last change has got.

import { contact } from "./contact.js";
import { h, say, set, show } from "./dom.js";
import { moment, setMoment } from "./clock.js";
import { openBreaker, openRank, openReset, openSwitch } from "./provider_changes.js";
import { count, percent, rate, some } from "./format.js";
import { phrase } from "./phrase.js";
import { guard } from "./session.js";
import { spark } from "./spark.js";
import { BREAKER, MODE, wordFor } from "./words.js";

const FORCED = { FORCED_OPEN: true, FORCED_CLOSED: true };

/** A card for `keyed`: built once, then only what differs is touched. */
export function card() {
  let now = null;
  const rank = guard(
    h("button", { type: "button", class: "rank", "aria-haspopup": "dialog", onclick: () => openRank(now) }),
  );
  const name = h("h3");
  const models = h("p", { class: "models-of" });
  const lever = guard(
    h(
      "button",
      { type: "button", class: "lever", "aria-haspopup": "dialog", onclick: () => openSwitch(now) },
      h("span", { class: "housing", "aria-hidden": "true" }, h("span", { class: "handle" })),
      h("span", { class: "lever-word" }),
    ),
  );
  const shape = contact();
  const breaker = h("span", { class: "breaker-word" });
  const tag = h("span", { class: "tag" });
  const due = moment(null, "countdown");
  const dueLine = h("span", { class: "due" }, "probes in ", due);
  const why = h("p", { class: "breaker-why" });
  const breakerButton = guard(
    h(
      "button",
      { type: "button", class: "small", "aria-haspopup": "dialog", onclick: () => openBreaker(now) },
      "Breaker…",
    ),
  );
  const resetButton = guard(
    h(
      "button",
      { type: "button", class: "small", "aria-haspopup": "dialog", onclick: () => openReset(now) },
      "Hand back…",
    ),
  );
  const own = h("p", { class: "own" });
  const line = spark();
  const [calls, failed] = [h("span", { class: "num" }), h("span", { class: "num" })];
  const bar = h("progress", { max: 1, value: 1, "aria-hidden": "true" });
  const applied = h("p", { class: "applied" }, bar, h("span"));
  const words = h("ul", { class: "words" });
  const node = h(
    "li",
    { class: "card" },
    h("div", { class: "card-head" }, rank, h("div", { class: "title" }, name, models), lever),
    h(
      "div",
      { class: "breaker" },
      shape.node,
      h("div", { class: "breaker-text" }, h("p", null, breaker, " ", tag, " ", dueLine), why),
    ),
    own,
    line.node,
    h("p", { class: "rates" }, h("span", null, calls, " calls/s"), failed),
    words,
    h("div", { class: "card-foot" }, applied, resetButton, breakerButton),
  );

  function update(provider) {
    now = provider;
    set(node, "data-on", provider.enabled ? "yes" : "no");
    say(rank, String(provider.priority));
    set(rank, "aria-label", `Rank ${provider.priority} of ${provider.name}: change`);
    set(rank, "title", "Rank: the lowest is asked first");
    say(name, provider.name);
    say(models, provider.models.join(", "));
    say(lever.lastChild, provider.enabled ? "On" : "Off");
    set(
      lever,
      "aria-label",
      `${provider.enabled ? "On" : "Off"}: switch ${provider.name} ${provider.enabled ? "off" : "on"}`,
    );
    updateBreaker(provider);
    say(calls, rate(provider.callsPerSecond));
    const share = provider.callsPerSecond > 0 ? percent(provider.errorsPerSecond, provider.callsPerSecond) : "no calls";
    say(failed, provider.callsPerSecond > 0 ? `${share} failing` : "no calls now");
    set(failed, "data-tone", provider.errorsPerSecond * 20 > provider.callsPerSecond ? "bad" : null);
    line.update(provider.history, provider.name);
    updateApplied(provider);
    show(resetButton, Boolean(provider.enabledWord || provider.priorityWord));
    set(resetButton, "aria-label", `Hand back… ${provider.name} to the configuration`);
    updateWords(provider);
  }

  function updateBreaker(provider) {
    const { state, mode, halfOpenAt, reason } = provider.breaker;
    const shown = wordFor(BREAKER, state);
    shape.update(state, FORCED[mode]);
    set(node, "data-breaker", state);
    set(node, "data-tone", provider.enabled ? shown.tone : "quiet");
    say(breaker, `Breaker ${shown.word}`);
    show(tag, Boolean(FORCED[mode]) || !provider.shared);
    say(tag, FORCED[mode] ? wordFor(MODE, mode).word.toLowerCase() : "not shared");
    const waits = state === "OPEN" && !FORCED[mode] && halfOpenAt !== null;
    show(dueLine, waits);
    setMoment(due, waits ? halfOpenAt : null);
    say(why, state === "CLOSED" ? "" : reason);
    show(why, state !== "CLOSED" && reason !== "");
    set(breakerButton, "aria-label", `Breaker… of ${provider.name}`);
    show(own, provider.open > 0 || provider.mixed);
    const open =
      provider.open > 0
        ? `${some(provider.open, "sidecar")} of ${count(provider.total)} ${provider.open === 1 ? "has its" : "have their"} own breaker open. `
        : "";
    say(own, open + (provider.mixed ? "Sidecars’ configurations disagree about this provider." : ""));
  }

  function updateApplied({ applied: done, total }) {
    const behind = done < total;
    set(applied, "data-behind", behind);
    show(bar, behind);
    set(bar, "max", Math.max(total, 1));
    bar.value = total === 0 ? 1 : done;
    say(
      applied.lastChild,
      behind
        ? `Settings applied by ${count(done)} of ${some(total, "sidecar")}`
        : total === 0
          ? "No live sidecar has it"
          : `✓ Settings applied by all ${count(total)}`,
    );
  }

  let saidBefore = "";
  function updateWords(provider) {
    const said = [
      [`Switched ${provider.enabled ? "on" : "off"} `, provider.enabledWord],
      [`Ranked ${provider.priority} `, provider.priorityWord],
      [`Breaker set to ${wordFor(MODE, provider.breaker.mode).word.toLowerCase()} `, provider.breakerWord],
    ].filter(([, word]) => word);
    const digest = JSON.stringify(said);
    if (digest === saidBefore) return;
    saidBefore = digest;
    words.replaceChildren(...said.map(([what, word]) => h("li", null, what, ...phrase(word))));
  }

  return { node, update };
}
