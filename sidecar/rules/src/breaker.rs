//! A provider's circuit breaker: closed, open, half-open, and the ramp after it closes.

use std::time::Duration;

/// When a breaker trips, and how it recovers.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// The share of failed calls in the window, from 0 to 1, that opens it.
    pub failure_rate: f64,
    /// Calls that the window must hold before the rate counts.
    pub minimum_calls: u32,
    /// How far back the rate looks.
    pub window: Duration,
    /// A first token later than this counts as a failure.
    pub slow_first_token: Option<Duration>,
    /// A stream slower than this counts as a failure.
    pub min_tokens_per_second: Option<f64>,
    /// How long it stays open before probes; doubled with each trip that follows a failed recovery.
    pub open_for: Duration,
    /// The longest it stays open.
    pub max_open_for: Duration,
    /// Probes in flight at once while half-open.
    pub half_open_max_calls: u32,
    /// Probes in a row that must succeed before it closes.
    pub success_threshold: u32,
    /// How long after closing the share of calls let through takes to grow from a tenth to all.
    pub ramp: Duration,
    /// Who probes while it is half-open.
    pub probe: Probe,
}

/// Who finds out whether a provider has recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The sidecar, with a small call of its own: no caller's call is spent on finding out.
    Active,
    /// The next caller's call.
    Passive,
}
