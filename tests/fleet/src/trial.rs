//! What the rules might do instead, tried beside what they do. What is taken over into the rules is to go from here.

use std::time::Duration;

use fusebox_rules::{breaker::Settings, fleet::pace};

/// Which of these a fleet tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// A heartbeat that was answered is word from the store as well.
    pub hears_beats: bool,
    /// A hint moves what is due next, and does not ring; the few sidecars that ask for a probe's lease do not wait for
    /// their turn, and those that need not ask rest; a refusal makes them few again.
    pub keeps_calm: bool,
    /// Without the store, sidecars do not all probe as a breaker's time is up.
    pub spreads_alone: bool,
}

/// A share of the time for which a breaker was open, over which sidecars without a store begin to probe.
const ALONE: f64 = 0.2;

impl Trial {
    /// The rules as they are.
    pub const NONE: Self = Self::all_or_none(false);

    /// All of it.
    pub const ALL: Self = Self::all_or_none(true);

    const fn all_or_none(on: bool) -> Self {
        Self { hears_beats: on, keeps_calm: on, spreads_alone: on }
    }

    /// The chance with which a sidecar asks for a lease, in the round so many after the last refusal.
    #[must_use]
    pub fn asks(rounds: u32, settings: &Settings, live: u32) -> f64 {
        pace::asks_for_lease(live, settings.half_open_max_calls, pace::busy(live).saturating_mul(rounds))
    }

    /// How much later than the fleet's breaker the local one that follows it gives up waiting. `dice` is from 0 to 1.
    #[must_use]
    pub fn later(self, lasts: Duration, dice: f64) -> Duration {
        if self.spreads_alone { lasts.mul_f64(ALONE * dice) } else { Duration::ZERO }
    }
}
