//! Whether a shared breaker's state changes, given all that the fleet knows.

use super::{Evidence, Reason, Record, Stamp, pace};
use crate::breaker::{Mode, Settings, State};

/// Failed probes that open a half-open breaker again, where two sidecars are live. One may come from the sick pod; it
/// then rests for [`super::PROBE_REST`], so that two are two sidecars' or tell of seconds.
const PROBES_AGAINST: u32 = 2;

/// The record that should follow, if any. Whoever finds one commits it on condition that the epoch is still the old.
/// `live` is the number of sidecars that are there, this one among them; `now` is the store's time as it gave what is
/// `seen`, and not what this process takes it to be.
#[must_use]
pub fn judge(record: &Record, seen: &Evidence, settings: &Settings, live: u32, now: Stamp) -> Option<Record> {
    if record.mode != Mode::Auto {
        return None;
    }
    let (state, reason) = match record.state {
        State::Closed => (State::Open, reason_to_open(record, seen, settings, live, now)?),
        State::Open if record.waits(now) => return None,
        State::Open => (State::HalfOpen, Reason::OpenExpired),
        State::HalfOpen if seen.probes_bad >= live.clamp(1, PROBES_AGAINST) => (State::Open, Reason::ProbeFailed),
        State::HalfOpen if seen.probes_good >= settings.success_threshold.max(1) => (State::Closed, Reason::Recovered),
        State::HalfOpen => return None,
    };
    Some(record.next(state, reason, settings, now))
}

/// The record that follows from what an operator says, if anything does.
#[must_use]
pub fn force(record: &Record, mode: Mode, settings: &Settings, now: Stamp) -> Option<Record> {
    if record.mode == mode {
        return None;
    }
    let state = match (record.mode, mode) {
        (_, Mode::ForcedOpen) => State::Open,
        (_, Mode::ForcedClosed) => State::Closed,
        (Mode::ForcedOpen, Mode::Auto) => State::HalfOpen,
        (Mode::ForcedClosed | Mode::Auto, Mode::Auto) => State::Closed,
    };
    Some(Record { mode, ..record.next(state, Reason::Forced, settings, now) })
}

/// Good calls that should have been heard of before their absence says something.
const EXPECTED: f64 = 20.0;

/// Whether a good call would have been heard of by now, had there been any: until then a provider that serves many well
/// seems to fail in a row, for only its failures have been told.
///
/// Of good calls at a steady rate, reported at random within `untold`, those known by now of a span `quiet` that has just
/// gone by number `rate * quiet^2 / (2 * untold)`.
fn would_have_heard(record: &Record, seen: &Evidence, settings: &Settings, live: u32, now: Stamp) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    let rate = seen.calls.saturating_sub(seen.failures) as f64 / settings.window.as_secs_f64().max(1e-3);
    let untold = pace::untold(live).as_secs_f64();
    let quiet = (2.0 * EXPECTED * untold / rate.max(f64::MIN_POSITIVE)).sqrt().min(untold);
    // In a new epoch nothing has been heard of yet.
    now.since(seen.good_at.max(record.since)).as_secs_f64() >= quiet
}

fn reason_to_open(record: &Record, seen: &Evidence, settings: &Settings, live: u32, now: Stamp) -> Option<Reason> {
    let in_a_row = seen.balanced_run(live) >= u64::from(settings.failure_threshold.max(1));
    if in_a_row && would_have_heard(record, seen, settings, live, now) {
        return Some(Reason::ConsecutiveFailures);
    }
    let (calls, failures) = seen.balanced(live);
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    let too_many = failures as f64 >= settings.failure_rate * calls as f64;
    (failures > 0 && calls >= u64::from(settings.minimum_calls) && too_many).then_some(Reason::FailureRate)
}

#[cfg(test)]
mod tests;
