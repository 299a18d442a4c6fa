//! What holds of every shared breaker at every moment. Tests, the model and the simulation ask after each step, and a
//! sidecar as it hears of a record.

use super::{Record, Ruling, Stamp};
use crate::breaker::{Mode, State};

/// A shared breaker has one state per epoch: two records of one epoch are the same.
#[must_use]
pub fn invariant_one_state_per_epoch(one: &Record, other: &Record) -> bool {
    one.epoch != other.epoch || one == other
}

/// Epochs only grow: what follows `before` in one place has a later epoch, or is the same.
#[must_use]
pub fn invariant_epochs_grow(before: &Record, after: &Record) -> bool {
    after.epoch > before.epoch || after == before
}

/// A record waits for an end exactly if it is open and nobody forces it; a forced one does as it is told.
#[must_use]
pub fn invariant_only_an_open_record_waits(record: &Record) -> bool {
    match record.mode {
        Mode::Auto => record.until.is_some() == (record.state == State::Open),
        Mode::ForcedOpen => record.until.is_none() && record.state == State::Open,
        Mode::ForcedClosed => record.until.is_none() && record.state == State::Closed,
    }
}

/// While it holds to an open record whose time is not up, a sidecar lets no call through.
#[must_use]
pub fn invariant_no_call_under_an_open_record(record: &Record, ruling: &Ruling, now: Stamp) -> bool {
    let open = record.state == State::Open && (record.mode == Mode::ForcedOpen || record.waits(now));
    !open || matches!(ruling, Ruling::Refused(_))
}

/// No more probes are out at a time, over the whole fleet, than the settings allow.
#[must_use]
pub const fn invariant_probes_are_few(out: u32, half_open_max_calls: u32) -> bool {
    out <= if half_open_max_calls == 0 { 1 } else { half_open_max_calls }
}
