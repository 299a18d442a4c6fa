// What can be changed about a provider, and what the dialog says of it: switch, rank, breaker.

import { openChange } from "./change.js";
import { choices } from "./choices.js";
import { h } from "./dom.js";
import { segment } from "./api.js";
import { MODE } from "./words.js";

/** How far a change of this provider has got, as the live view shows it. */
const following = (name) => (fleet) => {
  const provider = fleet.providers.find((one) => one.name === name);
  return provider ? { applied: provider.applied, total: provider.total } : null;
};

const settled = (answer) => answer.result;

export function openSwitch({ name, enabled }) {
  openChange({
    title: `Switch ${name} ${enabled ? "off" : "on"}`,
    means: enabled
      ? `Every sidecar stops calling ${name} at once. Calls that are under way end as they would.`
      : `Every sidecar may call ${name} again, as its breaker allows.`,
    verb: `Switch ${enabled ? "off" : "on"}`,
    danger: () => enabled,
    name,
    method: "PATCH",
    path: `providers/${segment(name)}`,
    request: () => ({ enabled: !enabled }),
    following: following(name),
    settled,
  });
}

export function openRank({ name, priority }) {
  const input = h("input", {
    type: "number",
    min: 0,
    max: 1_000_000,
    step: 1,
    value: priority,
    inputmode: "numeric",
    name: "priority",
    required: true,
  });
  openChange({
    title: `Rank ${name}`,
    means: "For each model, the provider with the lowest rank that may be asked is asked first.",
    verb: "Set rank",
    danger: () => false,
    name,
    method: "PATCH",
    path: `providers/${segment(name)}`,
    fields: h("label", { class: "field" }, h("span", null, "Rank"), input),
    wrong: () => (/^\d{1,7}$/.test(input.value) ? null : [input, "A rank is a whole number from 0."]),
    request: () => ({ priority: Number(input.value) }),
    following: following(name),
    settled,
  });
}

export function openReset({ name }) {
  openChange({
    title: `Hand ${name} back`,
    means: `Switch and rank of ${name} are again what each sidecar’s configuration says. A forced breaker stays as it is.`,
    verb: "Hand back",
    forGood: true,
    danger: () => false,
    name,
    method: "PATCH",
    path: `providers/${segment(name)}`,
    request: () => ({ reset: true }),
    following: following(name),
    settled,
  });
}

export function openBreaker({ name, breaker }) {
  const modes = ["AUTO", "FORCED_OPEN", "FORCED_CLOSED"];
  const chosen = modes.includes(breaker.mode) ? breaker.mode : "AUTO";
  const field = choices(
    "Mode",
    modes.map((mode) => ({ value: mode, word: MODE[mode].word, means: MODE[mode].means })),
    chosen,
  );
  openChange({
    title: `Breaker of ${name}`,
    means: "For the whole fleet, whatever sidecars’ own breakers say.",
    verb: "Set breaker",
    danger: () => field.value() !== "AUTO",
    name,
    method: "PUT",
    path: `providers/${segment(name)}/breaker`,
    fields: field.node,
    request: () => ({ mode: `BREAKER_MODE_${field.value()}` }),
    following: following(name),
    settled,
  });
}
