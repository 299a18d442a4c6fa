// Who set something, why, when and until when, as a phrase of nodes whose times keep themselves right.

import { h } from "./dom.js";
import { moment } from "./clock.js";

/** `by alice, 3 min ago: “reason”, until 04:10 (in 24 min)`. */
export function phrase(word) {
  if (!word) return ["by nobody known"];
  const parts = ["by ", h("b", null, word.by || "somebody")];
  if (word.at !== null) parts.push(" ", moment(word.at, "ago"));
  if (word.reason) parts.push(`: “${word.reason}”`);
  if (word.expiresAt !== null) parts.push("; undone ", moment(word.expiresAt, "left"));
  return parts;
}
