// What callers name, and which providers can serve it now, in the order in which they are asked.

import { byId, h, keyed, redrawn } from "./dom.js";

function state(provider) {
  if (!provider) return ["quiet", "unknown"];
  if (!provider.enabled) return ["off", "off"];
  if (provider.breaker.mode === "FORCED_OPEN") return ["off", "forced open"];
  if (provider.breaker.state === "OPEN") return ["bad", "breaker open"];
  if (provider.breaker.state === "HALF_OPEN") return ["warn", "half-open"];
  return ["good", ""];
}

function row({ name, enabled, providers }) {
  const left =
    enabled === 0
      ? h("b", { class: "left", "data-tone": "bad" }, "none left")
      : enabled === 1 && providers.length > 1
        ? h("b", { class: "left", "data-tone": "warn" }, "one left")
        : h("span", { class: "left" }, `${enabled} of ${providers.length}`);
  const chain = providers.map(([provider, tone, said]) =>
    h("li", { "data-tone": tone }, provider, said ? h("small", null, ` ${said}`) : null),
  );
  return [h("b", { class: "model" }, name), left, h("ol", null, chain)];
}

export function draw(fleet) {
  const known = new Map(fleet.providers.map((one) => [one.name, one]));
  const rows = fleet.models.map((model) => ({
    name: model.name,
    enabled: model.enabled,
    providers: model.providers.map((name) => [name, ...state(known.get(name))]),
  }));
  // What can be served by the fewest first.
  rows.sort((a, b) => a.enabled - b.enabled || a.name.localeCompare(b.name));
  keyed(byId("model-list"), rows, (one) => one.name, redrawn("li", null, row));
}
