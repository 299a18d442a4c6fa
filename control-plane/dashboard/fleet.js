// The fleet as the control plane's JSON has it, with every default put back: canonical protobuf JSON leaves them out.
// Pure. What the page shows is read from here, and nowhere else is a field's spelling on the wire known, but in changes.

import { byWeight } from "./standing.js";
import { bare } from "./words.js";

/** A timestamp in milliseconds since 1970, or null. */
export function time(text) {
  const at = text ? Date.parse(text) : NaN;
  return Number.isNaN(at) ? null : at;
}

const number = (value) => Number(value ?? 0);

function numbers(map) {
  return Object.fromEntries(Object.entries(map ?? {}).map(([key, value]) => [key, number(value)]));
}

function word(raw) {
  if (!raw) return null;
  return { by: raw.by ?? "", reason: raw.reason ?? "", at: time(raw.at), expiresAt: time(raw.expiresAt) };
}

function metrics(raw = {}) {
  return {
    rate1m: numbers(raw.rate1m),
    rate1h: numbers(raw.rate1h),
    calls1m: number(raw.calls1m),
    errors1m: number(raw.errors1m),
    patterns: (raw.topPatterns ?? []).map((one) => ({ pattern: one.pattern ?? "", count: number(one.count) })),
  };
}

function minute(raw) {
  const errors = numbers(raw.errors);
  return {
    at: time(raw.at),
    calls: number(raw.calls),
    errors,
    failed: Object.values(errors).reduce((a, b) => a + b, 0),
  };
}

function totals(raw = {}) {
  return {
    calls: number(raw.calls),
    errors: number(raw.errors),
    answers: numbers(raw.answers),
    cost: number(raw.cost),
    inputTokens: number(raw.inputTokens),
    outputTokens: number(raw.outputTokens),
    callsPerSecond: number(raw.callsPerSecond),
  };
}

function breaker(raw = {}) {
  return {
    state: bare(raw.state, "BREAKER_STATE_"),
    mode: bare(raw.mode, "BREAKER_MODE_"),
    since: time(raw.since),
    reason: raw.reason ?? "",
    halfOpenAt: time(raw.halfOpenAt),
  };
}

export function readProvider(raw) {
  return {
    name: raw.name ?? "",
    enabled: raw.enabled ?? false,
    priority: number(raw.priority),
    breaker: breaker(raw.breaker),
    errors: metrics(raw.errors),
    applied: number(raw.sidecarsApplied),
    total: number(raw.sidecarsTotal),
    open: number(raw.sidecarsOpen),
    enabledWord: word(raw.enabledWord),
    priorityWord: word(raw.priorityWord),
    breakerWord: word(raw.breakerWord),
    history: (raw.history ?? []).map(minute),
    models: raw.models ?? [],
    callsPerSecond: number(raw.callsPerSecond),
    errorsPerSecond: number(raw.errorsPerSecond),
    shared: raw.shared ?? false,
    mixed: raw.mixed ?? false,
  };
}

function sidecarProvider(raw) {
  return {
    name: raw.name ?? "",
    enabled: raw.enabled ?? false,
    priority: number(raw.priority),
    shared: raw.shared ?? false,
    breaker: bare(raw.breaker, "BREAKER_STATE_"),
    callsPerSecond: number(raw.callsPerSecond),
    errorsPerSecond: number(raw.errorsPerSecond),
  };
}

export function readSidecar(raw) {
  return {
    id: raw.id ?? "",
    pod: raw.pod ?? "",
    node: raw.node ?? "",
    zone: raw.zone ?? "",
    version: raw.version ?? "",
    startedAt: time(raw.startedAt),
    seenAt: time(raw.seenAt),
    health: bare(raw.health, "HEALTH_STATUS_"),
    level: bare(raw.degradationLevel, "DEGRADATION_LEVEL_"),
    levelWord: word(raw.degradationWord),
    load: raw.load ?? {},
    callsPerSecond: number(raw.callsPerSecond),
    inFlight: number(raw.inFlight),
    settingsVersion: raw.settingsVersion ?? "0",
    late: raw.late ?? false,
    totals: totals(raw.totals),
    providers: (raw.providers ?? []).map(sidecarProvider),
    checks: (raw.checks ?? []).map((one) => ({
      name: one.name ?? "",
      critical: one.critical ?? false,
      healthy: one.healthy ?? false,
      message: one.message ?? "",
      took: one.took,
    })),
  };
}

export function readAlert(raw) {
  return {
    id: raw.id ?? "",
    kind: bare(raw.kind, "ALERT_KIND_"),
    severity: bare(raw.severity, "SEVERITY_"),
    provider: raw.provider ?? "",
    sidecar: raw.sidecar ?? "",
    errorKind: raw.errorKind ?? "",
    message: raw.message ?? "",
    recentRate: number(raw.recentRate),
    historicalRate: number(raw.historicalRate),
    multiplier: number(raw.multiplier),
    raisedAt: time(raw.raisedAt),
    resolvedAt: time(raw.resolvedAt),
    acknowledgedAt: time(raw.acknowledgedAt),
    acknowledgedBy: raw.acknowledgedBy ?? "",
    silence: raw.silence ?? "",
    deliveries: (raw.deliveries ?? []).map((one) => ({
      channel: one.channel ?? "",
      state: one.state ?? "pending",
      attempts: number(one.attempts),
      lastError: one.lastError ?? "",
      at: time(one.at),
    })),
  };
}

export function readSilence(raw) {
  return {
    id: raw.id ?? "",
    kind: bare(raw.kind, "ALERT_KIND_"),
    provider: raw.provider ?? "",
    sidecar: raw.sidecar ?? "",
    word: word(raw.word),
  };
}

export function readAudit(raw) {
  return {
    id: raw.id ?? "",
    at: time(raw.at),
    actor: raw.actor ?? "",
    action: raw.action ?? "",
    detail: raw.detail ?? "",
    reason: raw.reason ?? "",
    outcome: raw.outcome ?? "",
    effect: raw.effect ?? "",
    source: raw.source ?? "",
    settingsVersion: raw.settingsVersion ?? "0",
  };
}

function readChannel(raw) {
  return {
    name: raw.name ?? "",
    kind: raw.kind ?? "",
    pending: number(raw.pending),
    deliveredAt: time(raw.deliveredAt),
    lastError: raw.lastError ?? "",
    failingSince: time(raw.failingSince),
  };
}

export function readFleet(raw) {
  const byName = (a, b) => a.priority - b.priority || a.name.localeCompare(b.name);
  // By id, whatever their health: who looks for a sidecar finds it where it was.
  const byId = (a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
  return {
    name: raw.name ?? "",
    at: time(raw.at),
    health: bare(raw.health, "HEALTH_STATUS_"),
    healthReason: raw.healthReason ?? "",
    level: bare(raw.degradationLevel, "DEGRADATION_LEVEL_"),
    overridden: raw.degradationOverridden ?? false,
    levelWord: word(raw.degradationWord),
    stale: raw.stale ?? false,
    demonstration: raw.demonstration ?? false,
    settingsVersion: raw.settingsVersion ?? "0",
    providers: (raw.providers ?? []).map(readProvider).sort(byName),
    sidecars: (raw.sidecars ?? []).map(readSidecar).sort(byId),
    alerts: (raw.firingAlerts ?? []).map(readAlert).sort(byWeight),
    totals: totals(raw.totals),
    errors: metrics(raw.errors),
    history: (raw.history ?? []).map(minute),
    models: (raw.models ?? []).map((one) => ({
      name: one.name ?? "",
      providers: one.providers ?? [],
      enabled: number(one.enabled),
    })),
    channels: (raw.channels ?? []).map(readChannel),
  };
}
