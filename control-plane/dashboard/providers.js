// The providers, one card each, in the order in which they are asked.

import { byId, keyed, say } from "./dom.js";
import { card } from "./provider_card.js";
import { some } from "./format.js";

export function draw(fleet) {
  keyed(byId("provider-list"), fleet.providers, (one) => one.name, card);
  const off = fleet.providers.filter((one) => !one.enabled).length;
  const open = fleet.providers.filter((one) => one.breaker.state === "OPEN").length;
  const parts = [off && `${off} off`, open && `${some(open, "breaker")} open`].filter(Boolean);
  say(
    byId("providers-sum"),
    fleet.providers.length === 0 ? "no sidecar has named one yet" : parts.join(", ") || "all on, all breakers closed",
  );
}
