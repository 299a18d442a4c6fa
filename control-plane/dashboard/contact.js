// A breaker drawn as the contact of a circuit: closed, lifted, or half lifted and dashed, so that its state can be read
// without colour; pinned where an operator holds it.

import { set, svg } from "./dom.js";

const BLADE = { CLOSED: "M15 14L45 14", OPEN: "M15 14L40 1", HALF_OPEN: "M15 14L44 7", UNSPECIFIED: "M15 14L20 14" };

/** `{ node, update(state, forced) }`; beside it there must be words. */
export function contact() {
  const blade = svg("path", { class: "blade" });
  const pin = svg("path", { class: "pin", d: "M26 19v-3.5a4 4 0 0 1 8 0V19M24 19h12v6H24z" });
  const node = svg(
    "svg",
    { class: "contact", viewBox: "0 0 60 26", "aria-hidden": "true" },
    svg("path", { class: "wire", d: "M0 14H12M48 14H60" }),
    svg("circle", { class: "post", cx: 14, cy: 14, r: 2.6 }),
    svg("circle", { class: "post", cx: 46, cy: 14, r: 2.6 }),
    blade,
    pin,
  );
  return {
    node,
    update(state, forced) {
      set(node, "data-state", state);
      set(blade, "d", BLADE[state] ?? BLADE.UNSPECIFIED);
      set(pin, "visibility", forced ? "visible" : "hidden");
    },
  };
}
