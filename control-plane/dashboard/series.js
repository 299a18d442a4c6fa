// Where a chart's parts go: pure arithmetic from minutes to paths and columns. Draws nothing.

const MINUTE = 60_000;

/** The last `length` minutes that end with the one of `now`, the empty ones too, the oldest first. */
export function fill(history, now, length = 60) {
  const last = Math.floor(now / MINUTE) * MINUTE;
  const known = new Map(history.map((one) => [Math.floor(one.at / MINUTE) * MINUTE, one]));
  return Array.from({ length }, (_, index) => {
    const at = last - (length - 1 - index) * MINUTE;
    return known.get(at) ?? { at, calls: 0, errors: {}, failed: 0 };
  });
}

/** A step path over `values`, each one unit wide, in a box `height` high in which `most` is the top. */
export function steps(values, most, height) {
  if (most <= 0) return "";
  const y = (value) => round(height - (height * value) / most);
  let path = `M0 ${height}`;
  values.forEach((value, index) => {
    path += `V${y(value)}H${index + 1}`;
  });
  return `${path}V${height}Z`;
}

function round(value) {
  return Math.round(value * 100) / 100;
}

/** The kinds that occur in these minutes, with their sums, the greatest first. */
export function kinds(minutes) {
  const sums = new Map();
  for (const { errors } of minutes) {
    for (const [kind, count] of Object.entries(errors)) if (count > 0) sums.set(kind, (sums.get(kind) ?? 0) + count);
  }
  return [...sums].map(([kind, sum]) => ({ kind, sum })).sort((a, b) => b.sum - a.sum || a.kind.localeCompare(b.kind));
}

/** A path for each kind, stacked in `order` from the bottom: `{ kind, path }`; a minute is `unit` wide. */
export function stack(minutes, order, { most, height, unit }) {
  const floor = minutes.map(() => 0);
  return order.map((kind) => {
    let path = "";
    minutes.forEach(({ errors }, index) => {
      const value = errors[kind] ?? 0;
      if (value <= 0 || most <= 0) return;
      const bottom = height - (height * floor[index]) / most;
      floor[index] += value;
      const top = height - (height * floor[index]) / most;
      path += `M${round((index + 0.08) * unit)} ${round(bottom)}V${round(top)}H${round((index + 0.92) * unit)}V${round(bottom)}Z`;
    });
    return { kind, path };
  });
}

/** A round number not below `value`, to end an axis at. */
export function ceiling(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 8, 10].map((step) => step * power).find((end) => end >= value);
}
