// What differs between what operators had set when a change was begun and what they have set now: the answer to
// "somebody else changed it: what?". Pure.

import { LEVEL, MODE, wordFor } from "./words.js";

const same = (a, b) => a?.by === b?.by && a?.at === b?.at;

function said(word) {
  if (!word) return "";
  return word.reason ? ` (${word.by}: “${word.reason}”)` : ` (${word.by})`;
}

function provider(before, after) {
  const found = [];
  if (before.enabled !== after.enabled || !same(before.enabledWord, after.enabledWord)) {
    found.push(`${after.name} is ${after.enabled ? "on" : "off"}${said(after.enabledWord)}`);
  }
  if (before.priority !== after.priority || !same(before.priorityWord, after.priorityWord)) {
    found.push(`${after.name} has rank ${after.priority}${said(after.priorityWord)}`);
  }
  if (before.breaker.mode !== after.breaker.mode || !same(before.breakerWord, after.breakerWord)) {
    found.push(
      `${after.name}’s breaker is ${wordFor(MODE, after.breaker.mode).word.toLowerCase()}${said(after.breakerWord)}`,
    );
  }
  return found;
}

function level(whose, before, after) {
  if (same(before.levelWord, after.levelWord)) return [];
  const held = after.levelWord
    ? `is held at ${wordFor(LEVEL, after.level).word.toLowerCase()}`
    : "is chosen by load again";
  return [`${whose} ${held}${said(after.levelWord)}`];
}

/** One sentence for each setting that differs; states that settle by themselves, such as a breaker's, are not settings. */
export function moved(before, after) {
  const found = level("the fleet’s level", before, after);
  const providers = new Map(before.providers.map((one) => [one.name, one]));
  for (const one of after.providers) {
    const was = providers.get(one.name);
    if (was) found.push(...provider(was, one));
  }
  const sidecars = new Map(before.sidecars.map((one) => [one.id, one]));
  for (const one of after.sidecars) {
    const was = sidecars.get(one.id);
    // The fleet's word shows at every sidecar: said once, above, is enough.
    const fleets = same(one.levelWord, after.levelWord) || same(was?.levelWord, before.levelWord);
    if (was && !fleets) found.push(...level(`${one.id}’s level`, was, one));
  }
  return found;
}
