// What follows from a fleet as it was read: which alert comes first, how many sidecars are in which
// state, which version is later. Pure.

/** What needs somebody first: unacknowledged before acknowledged, critical before warning, new before old. */
export function byWeight(a, b) {
  const weight = (alert) => [
    alert.resolvedAt ? 1 : 0,
    alert.acknowledgedAt || alert.silence ? 1 : 0,
    alert.severity === "CRITICAL" ? 0 : 1,
    -(alert.raisedAt ?? 0),
  ];
  const [left, right] = [weight(a), weight(b)];
  const place = left.findIndex((value, index) => value !== right[index]);
  return place < 0 ? 0 : left[place] - right[place];
}

/** How many sidecars are in which state. A late one is counted as late only: what it said is old. */
export function tally(sidecars) {
  const counts = { all: sidecars.length, live: 0, healthy: 0, degraded: 0, critical: 0, late: 0, lowered: 0 };
  for (const one of sidecars) {
    if (one.late) counts.late += 1;
    else {
      counts.live += 1;
      counts[one.health.toLowerCase()] = (counts[one.health.toLowerCase()] ?? 0) + 1;
      if (one.level === "REDUCED" || one.level === "MINIMAL") counts.lowered += 1;
    }
  }
  return counts;
}

/** Whether settings' version `a` is later than `b`; both are uint64, as JSON has them. */
export function later(a, b) {
  return BigInt(a || 0) > BigInt(b || 0);
}
