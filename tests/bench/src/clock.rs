//! The one place of the benchmark that reads a clock or sleeps: here real time is what is measured.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use fusebox_rules::moment::Moment;

/// The present, as the machine has it.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Sleeps this thread until `due`; returns at once if that has passed.
#[expect(clippy::disallowed_methods, reason = "the paced caller owns its thread, and a runtime's timer is too coarse")]
pub(crate) fn sleep_until(due: Instant) {
    let wait = due.saturating_duration_since(now());
    if wait > Duration::ZERO {
        std::thread::sleep(wait);
    }
}

/// The time of day by the machine's clock, in UTC: what log lines begin with.
#[expect(clippy::disallowed_methods, reason = "what log lines of other processes say is compared with it")]
pub(crate) fn time_of_day() -> Duration {
    const DAY_SECONDS: u64 = 24 * 60 * 60;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::new(now.as_secs() % DAY_SECONDS, now.subsec_nanos())
}

/// A clock as the store takes it, which begins now.
pub(crate) fn for_store() -> fusebox_store::Clock {
    let begin = now();
    Arc::new(move || Moment::ZERO + now().duration_since(begin))
}
