// Which sidecars are shown: by state and by what is typed. Pure.

const STATES = {
  all: () => true,
  critical: (one) => !one.late && one.health === "CRITICAL",
  degraded: (one) => !one.late && one.health === "DEGRADED",
  healthy: (one) => !one.late && one.health === "HEALTHY",
  late: (one) => one.late,
  lowered: (one) => !one.late && (one.level === "REDUCED" || one.level === "MINIMAL"),
};

/** Whether `sidecar` is in `state` and has each of the words of `text` somewhere in its names. */
export function shown(sidecar, state, text) {
  if (!(STATES[state] ?? STATES.all)(sidecar)) return false;
  if (!text) return true;
  const names = `${sidecar.id} ${sidecar.pod} ${sidecar.node} ${sidecar.zone} ${sidecar.version}`.toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => names.includes(word));
}
