// The fleet that is being shown, and who wants to know when it changes. Drawing is put off to the browser's next
// frame, so that fleets that come faster than they can be drawn are passed over, not queued.

let latest = null;
let drawn = null;
let asked = false;
const watchers = new Set();

/** The fleet as last told, or null before the first. */
export const fleet = () => latest;

/** Calls `draw(fleet, before)` at every change from now on, and at once where there is a fleet; `before` may be null. */
export function watch(draw) {
  watchers.add(draw);
  if (drawn) draw(drawn, null);
  return () => watchers.delete(draw);
}

/** Takes a fleet that the control plane has told. */
export function put(told) {
  latest = told;
  if (asked) return;
  asked = true;
  // A page in the background gets no frames.
  if (document.hidden) setTimeout(draw, 0);
  else requestAnimationFrame(draw);
}

function draw() {
  asked = false;
  const before = drawn;
  drawn = latest;
  for (const each of watchers) each(drawn, before);
}
