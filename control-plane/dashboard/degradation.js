// Setting the degradation level, for the fleet or for one sidecar.

import { openChange } from "./change.js";
import { choices } from "./choices.js";
import { fleet as shown } from "./picture.js";
import { later } from "./standing.js";
import { LEVEL } from "./words.js";

const OPTIONS = ["UNSPECIFIED", "FULL", "REDUCED", "MINIMAL"];

/** Opens the dialog; `sidecar` is one as `readSidecar` has it, or null for the fleet. */
export function openLevel(sidecar) {
  const fleet = shown();
  if (!fleet) return;
  const held = sidecar ? sidecar.levelWord : fleet.levelWord;
  const chosen = held ? (sidecar ?? fleet).level : "UNSPECIFIED";
  const own = sidecar
    ? "The sidecar chooses by its own load, unless the fleet’s level is set."
    : LEVEL.UNSPECIFIED.means;
  const options = OPTIONS.map((value) => ({
    value,
    word: value === "UNSPECIFIED" ? "By load" : LEVEL[value].word,
    means: value === "UNSPECIFIED" ? own : LEVEL[value].means,
  }));
  const field = choices("Level", options, chosen);
  const { settingsVersion } = fleet;
  const concerned = (now) => now.sidecars.filter((one) => !one.late && (!sidecar || one.id === sidecar.id));
  openChange({
    title: sidecar ? `Level of ${sidecar.id}` : "Level of the fleet",
    means: sidecar ? "For this one sidecar." : "For every sidecar at once.",
    verb: "Set level",
    danger: () => field.value() === "MINIMAL" || field.value() === "REDUCED",
    name: sidecar ? sidecar.id : fleet.name,
    method: "PUT",
    path: "degradation",
    fields: field.node,
    request: () => ({ level: `DEGRADATION_LEVEL_${field.value()}`, ...(sidecar ? { sidecar: sidecar.id } : {}) }),
    following: (now) => ({
      applied: concerned(now).filter((one) => later(one.settingsVersion, settingsVersion)).length,
      total: concerned(now).length,
    }),
    settled: (answer) => answer.result,
  });
}
