//! The one place of the benchmark that reads a clock or sleeps: here real time is what is measured.

use std::time::{Duration, Instant};

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
