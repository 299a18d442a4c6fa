// Numbers and times as people read them. Pure: `now` is an argument, and nothing here knows the page.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const money = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** A count: exact up to five digits, then `1.2M`. */
export function count(value) {
  return Math.abs(value) < 100_000 ? whole.format(value) : compact.format(value);
}

/** A count in full, for titles and for screen readers. */
export function exact(value) {
  return whole.format(value);
}

/** A rate, with as many decimals as still say something. */
export function rate(value) {
  if (value === 0) return "0";
  if (value < 0.01) return "<0.01";
  if (value < 1) return value.toFixed(2);
  if (value < 10) return value.toFixed(1);
  return count(value);
}

export function cost(value) {
  return value < 100_000 ? money.format(value) : compact.format(value);
}

/** `part` of `all` in per cent; a small share is not rounded away to nothing, nor a large one up to all. */
export function percent(part, all) {
  if (!all) return "0 %";
  const share = (100 * part) / all;
  if (share === 0) return "0 %";
  if (share < 0.1) return "<0.1 %";
  if (share > 99.9 && share < 100) return ">99.9 %";
  return share < 10 ? `${Number(share.toFixed(1))} %` : `${Math.round(share)} %`;
}

/** A stretch of time in its two greatest units: `3 min 20 s`. */
export function span(millis) {
  const left = Math.max(0, millis);
  if (left < SECOND) return `${Math.round(left)} ms`;
  const units = [
    [DAY, "d"],
    [HOUR, "h"],
    [MINUTE, "min"],
    [SECOND, "s"],
  ];
  const first = units.findIndex(([size]) => left >= size);
  const [size, name] = units[first];
  const [smaller, smallerName] = units[first + 1] ?? [];
  const rest = smaller ? Math.floor((left % size) / smaller) : 0;
  // Beyond ten of the greater unit the smaller one says nothing that anybody acts on.
  const both = rest > 0 && left < 10 * size;
  return `${Math.floor(left / size)} ${name}` + (both ? ` ${rest} ${smallerName}` : "");
}

export function ago(then, now) {
  const passed = now - then;
  return passed < 2 * SECOND ? "just now" : `${span(passed)} ago`;
}

/** What is left until `then`: `0:24`, `1:02:03`; nothing below nought. */
export function countdown(then, now) {
  const seconds = Math.max(0, Math.ceil((then - now) / SECOND));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The local time of day, with its day where that is not today. */
export function clock(then, now, seconds = false) {
  const day = new Date(then).toDateString() === new Date(now).toDateString() ? {} : { day: "numeric", month: "short" };
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds ? { second: "2-digit" } : {}) };
  return new Intl.DateTimeFormat("en-GB", { ...day, ...time }).format(then);
}

/** A google.protobuf.Duration of JSON, such as `0.250s`, in milliseconds. */
export function millis(duration) {
  const seconds = Number.parseFloat(duration ?? "");
  return Number.isFinite(seconds) ? seconds * SECOND : 0;
}

/** `1 sidecar`, `2 sidecars`. */
export function some(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
