//! The one place that reads a clock.

#![allow(clippy::disallowed_methods, reason = "this is the clock's home")]

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use fusebox_rules::moment::Moment;
use tokio::time::Instant;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Now, in nanoseconds since the first reading. Under tokio's paused time, tokio's now.
#[must_use]
pub fn now() -> Moment {
    let origin = *ORIGIN.get_or_init(Instant::now);
    let nanos = Instant::now().saturating_duration_since(origin).as_nanos();
    Moment::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// `moment` as tokio's timers take it.
#[must_use]
pub fn at(moment: Moment) -> Instant {
    let origin = *ORIGIN.get_or_init(Instant::now);
    origin + moment.since(Moment::ZERO).min(FAR)
}

/// What the clock on the wall says, for people and for other systems; nothing is decided by it.
#[must_use]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The same, counted from the Unix epoch.
#[must_use]
pub fn unix_now() -> Duration {
    wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Further than any timer here is set; keeps arithmetic on instants from overflowing.
const FAR: Duration = Duration::from_secs(86_400 * 365);
