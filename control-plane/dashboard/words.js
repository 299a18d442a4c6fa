// The words and marks for what the control plane names by enums. No state of the page depends on a colour alone:
// whatever has one here has a word, and a mark of its own shape.

export const HEALTH = {
  UNSPECIFIED: { word: "Unknown", mark: "unknown", tone: "quiet", letter: "?" },
  HEALTHY: { word: "Healthy", mark: "healthy", tone: "good", letter: "" },
  DEGRADED: { word: "Degraded", mark: "degraded", tone: "warn", letter: "D" },
  CRITICAL: { word: "Critical", mark: "critical", tone: "bad", letter: "C" },
};

export const LEVEL = {
  UNSPECIFIED: {
    word: "Each by its own load",
    steps: 0,
    tone: "quiet",
    means: "Each sidecar chooses by its own load.",
  },
  FULL: { word: "Full", steps: 3, tone: "good", means: "Everything that callers ask for." },
  REDUCED: { word: "Reduced", steps: 2, tone: "warn", means: "Fewer tokens, fewer steps, smaller models." },
  MINIMAL: {
    word: "Minimal",
    steps: 1,
    tone: "bad",
    means: "Only cached, simplified or set answers, and what cannot wait.",
  },
};

export const BREAKER = {
  UNSPECIFIED: { word: "unknown", tone: "quiet" },
  CLOSED: { word: "closed", tone: "good" },
  OPEN: { word: "open", tone: "bad" },
  HALF_OPEN: { word: "half-open", tone: "warn" },
};

export const MODE = {
  UNSPECIFIED: { word: "automatic", means: "" },
  AUTO: { word: "Automatic", means: "Opens when calls fail, probes, and closes again by itself." },
  FORCED_OPEN: { word: "Forced open", means: "No call reaches the provider, and no probe, until this is unset." },
  FORCED_CLOSED: {
    word: "Forced closed",
    means: "Calls reach the provider however ill it is. Nothing protects it, or callers.",
  },
};

export const SEVERITY = {
  UNSPECIFIED: { word: "Alert", mark: "degraded", tone: "warn" },
  WARNING: { word: "Warning", mark: "degraded", tone: "warn" },
  CRITICAL: { word: "Critical", mark: "critical", tone: "bad" },
};

export const ALERT_KIND = {
  UNSPECIFIED: "Any kind",
  ERROR_SPIKE: "Error spike",
  BREAKER_OPENED: "Breaker opened",
  HEALTH_CRITICAL: "Health critical",
  DEGRADED: "Degraded",
};

/** Error kinds in the order in which they are drawn: a kind keeps its colour whatever else occurs. */
export const ERROR_KINDS = [
  "rate_limited",
  "inference_timeout",
  "network_error",
  "provider_error",
  "model_overloaded",
  "stream_broken",
  "invalid_response",
  "generation_failed",
  "model_loading_failed",
  "out_of_memory",
  "circuit_open",
  "shed",
  "content_filtered",
  "context_length_exceeded",
  "authentication",
  "permission_denied",
  "model_not_found",
  "invalid_input",
  "budget_exceeded",
  "shutting_down",
  "cancelled",
  "internal_error",
];

const HUES = 6;

/** Which hue (1 to 6) and which texture (0 plain, 1 hatched, 2 dotted, 3 crossed) an error kind is drawn in. */
export function paintOf(kind) {
  const place = ERROR_KINDS.indexOf(kind);
  const index = place < 0 ? ERROR_KINDS.length : place;
  return { hue: 1 + (index % HUES), texture: Math.floor(index / HUES) };
}

/** `rate_limited` as people say it. */
export function plain(name) {
  return name.replaceAll("_", " ");
}

/** `BREAKER_STATE_HALF_OPEN` without its prefix: `HALF_OPEN`; what is absent is `UNSPECIFIED`. */
export function bare(name, prefix) {
  if (!name) return "UNSPECIFIED";
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}

/** The row of `table` for `name`; a name that this page does not know yet is shown as it is. */
export function wordFor(table, name) {
  return table[name] ?? { ...table.UNSPECIFIED, word: plain(String(name).toLowerCase()) };
}
