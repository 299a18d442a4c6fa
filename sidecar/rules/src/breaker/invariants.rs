//! What holds of every breaker at every moment. Tests ask after each step; production may count.

use super::{Breaker, Mode, State};
use crate::moment::Moment;

/// No more probes are out than the settings allow, and none unless it is half-open.
#[must_use]
pub fn invariant_probes_are_few_and_only_while_half_open(breaker: &Breaker) -> bool {
    let out = breaker.probes.out(Moment::ZERO);
    out <= if breaker.state == State::HalfOpen { breaker.max_probes() } else { 0 }
}

/// It has an end to wait for exactly if it is open and nobody forces it; a forced one does as it is told.
#[must_use]
pub fn invariant_only_an_open_breaker_waits(breaker: &Breaker) -> bool {
    match breaker.mode {
        Mode::Auto => breaker.until.is_some() == (breaker.state == State::Open),
        Mode::ForcedOpen => breaker.until.is_none() && breaker.state == State::Open,
        Mode::ForcedClosed => breaker.until.is_none() && breaker.state == State::Closed,
    }
}

/// While it decides for itself and is closed, it has seen fewer failures in a row than would open it.
#[must_use]
pub fn invariant_a_closed_breaker_has_no_run_of_failures(breaker: &Breaker) -> bool {
    breaker.mode != Mode::Auto
        || breaker.state != State::Closed
        || breaker.failures_in_a_row() < breaker.settings.failure_threshold.max(1)
}

/// Half-open, it has seen fewer successes than would close it; otherwise it counts none.
#[must_use]
pub fn invariant_half_open_is_undecided(breaker: &Breaker) -> bool {
    breaker.successes < if breaker.state == State::HalfOpen { breaker.settings.success_threshold.max(1) } else { 1 }
}
