//! The record of a shared breaker: what the store keeps, and what every sidecar holds to.

use std::time::Duration;

use super::Stamp;
use crate::breaker::{Mode, Settings, State};

/// What a shared breaker is doing. One record holds per epoch, and epochs only grow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Numbers the states that the breaker has been in; 0 before the first. Each is later than the last, and no
    /// earlier than the store's milliseconds when it began: so a state that a store lost as it failed over is never
    /// followed by another of the same number.
    pub epoch: u64,
    /// What it does.
    pub state: State,
    /// When it began to.
    pub since: Stamp,
    /// Until when it is open; `None`: it is not, or an operator keeps it open.
    pub until: Option<Stamp>,
    /// Why it is in this state.
    pub reason: Reason,
    /// Recoveries that failed since it was last closed with its ramp over.
    pub failed_recoveries: u32,
    /// Who decides.
    pub mode: Mode,
}

/// By how much a record's times may lie ahead of a sidecar's notion of the shared time before it is the clock that must
/// have been set back.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// Why a shared breaker is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It has never moved.
    New,
    /// Too many failures in a row, over the fleet.
    ConsecutiveFailures,
    /// Too large a share of the fleet's calls failed.
    FailureRate,
    /// A probe failed.
    ProbeFailed,
    /// Enough probes succeeded.
    Recovered,
    /// It had been open for as long as it had to be.
    OpenExpired,
    /// An operator said so.
    Forced,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            epoch: 0,
            state: State::Closed,
            since: Stamp::default(),
            until: None,
            reason: Reason::New,
            failed_recoveries: 0,
            mode: Mode::Auto,
        }
    }
}

impl Record {
    /// Whether it has recovered so lately that only a growing share of calls is let through.
    #[must_use]
    pub fn is_ramping(&self, settings: &Settings, now: Stamp) -> bool {
        self.state == State::Closed && self.reason == Reason::Recovered && now < self.since + settings.ramp
    }

    /// Whether it is open and its time is not up. One that would have to wait for longer than it was opened for has
    /// outlived the clock by which it was opened, as when a store fails over to a server whose clock is behind.
    #[must_use]
    pub fn waits(&self, now: Stamp) -> bool {
        self.until.is_some_and(|until| now < until && until.since(now) <= self.lasts() + CLOCK_SLACK)
    }

    /// How long it is open for; zero if it has no end.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.since(self.since))
    }

    /// The record that follows: the one place where a shared breaker's state changes.
    pub(super) fn next(&self, state: State, reason: Reason, settings: &Settings, now: Stamp) -> Self {
        let failed_recoveries = match (state, reason) {
            (_, Reason::Forced) => 0,
            (State::Open, _) => self.recoveries_that_failed(settings, now),
            (State::HalfOpen | State::Closed, _) => self.failed_recoveries,
        };
        let doubled = 1_u32.checked_shl(failed_recoveries).unwrap_or(u32::MAX);
        let open_for = settings.open_for.saturating_mul(doubled).min(settings.max_open_for);
        let opened = state == State::Open && reason != Reason::Forced;
        Self {
            epoch: self.epoch.saturating_add(1).max(now.as_millis()),
            state,
            since: now,
            until: opened.then(|| now + open_for),
            reason,
            failed_recoveries,
            mode: self.mode,
        }
    }

    /// Counting the one that fails with this opening, if one does.
    fn recoveries_that_failed(&self, settings: &Settings, now: Stamp) -> u32 {
        if self.state == State::HalfOpen || self.is_ramping(settings, now) {
            self.failed_recoveries.saturating_add(1)
        } else {
            0
        }
    }
}
