//! What the fleet's tests have in common.

use std::time::Duration;

use crate::breaker::{Probe, Settings};

/// A breaker that opens soon.
pub(super) const SETTINGS: Settings = Settings {
    failure_threshold: 2,
    failure_rate: 1.0,
    minimum_calls: 1_000,
    window: Duration::from_secs(30),
    slow_first_token: None,
    min_tokens_per_second: None,
    open_for: Duration::from_secs(10),
    max_open_for: Duration::from_secs(60),
    half_open_max_calls: 1,
    success_threshold: 1,
    ramp: Duration::from_secs(20),
    probe: Probe::Passive,
};
