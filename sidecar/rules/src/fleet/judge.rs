//! Whether a shared breaker's state changes, given all that the fleet knows.

use super::{Evidence, Reason, Record, Stamp};
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
        State::Closed => (State::Open, reason_to_open(seen, settings, live)?),
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

fn reason_to_open(seen: &Evidence, settings: &Settings, live: u32) -> Option<Reason> {
    if seen.balanced_run(live) >= u64::from(settings.failure_threshold.max(1)) {
        return Some(Reason::ConsecutiveFailures);
    }
    let (calls, failures) = seen.balanced(live);
    #[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
    let too_many = failures as f64 >= settings.failure_rate * calls as f64;
    (failures > 0 && calls >= u64::from(settings.minimum_calls) && too_many).then_some(Reason::FailureRate)
}

#[cfg(test)]
mod tests;
