// Until when a change holds: a few usual lengths, or minutes.

import { byId, h, show } from "./dom.js";

const LENGTHS = [
  ["", "until it is changed again"],
  ["900", "15 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["43200", "12 hours"],
  ["86400", "1 day"],
  ["other", "another length…"],
];
const MOST_MINUTES = 43_200;

/** Fills the choice anew. */
export function offer() {
  const select = byId("change-expiry");
  if (select.options.length === 0) {
    select.append(...LENGTHS.map(([value, word]) => h("option", { value }, word)));
    select.addEventListener("change", () => show(byId("change-minutes-label"), select.value === "other"));
  }
  select.value = "";
  show(byId("change-minutes-label"), false);
}

/** `{ duration }` as protobuf's JSON has it, empty for no end; or `{ wrong }`. */
export function expiry() {
  const { value } = byId("change-expiry");
  if (value !== "other") return { duration: value ? `${value}s` : "" };
  const minutes = Number(byId("change-minutes").value);
  const right = Number.isInteger(minutes) && minutes >= 1 && minutes <= MOST_MINUTES;
  return right
    ? { duration: `${minutes * 60}s` }
    : { duration: "", wrong: "A whole number of minutes, from 1 to 43200 (30 days)." };
}
