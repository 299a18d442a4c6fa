//! What the rules might do instead, tried beside what they do. What is taken over into the rules is to go from here.

use std::time::Duration;

use fusebox_rules::breaker::Settings;

/// Which of these a fleet tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// A heartbeat that was answered is word from the store as well.
    pub hears_beats: bool,
    /// A hint moves what is due next, and does not ring; few sidecars ask for a probe's lease, and these do not wait for
    /// their turn; those that look as a breaker's time is up are spread with their number.
    pub keeps_calm: bool,
    /// Without the store, sidecars do not all probe as a breaker's time is up.
    pub spreads_alone: bool,
}

/// Sidecars that ask for a probe's lease at a time, for each that may be out.
const ASKERS: f64 = 4.0;
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

    /// The share of sidecars that ask for a lease at a time, in the round so many after the last refusal.
    #[must_use]
    pub fn asks(self, rounds: u32, settings: &Settings, live: u32) -> f64 {
        if !self.keeps_calm {
            return 1.0;
        }
        let share = ASKERS * f64::from(settings.half_open_max_calls.max(1)) / f64::from(live.max(1));
        share * 2_f64.powi(i32::try_from(rounds.min(30)).unwrap_or(0))
    }

    /// How much later than the fleet's breaker the local one that follows it gives up waiting. `dice` is from 0 to 1.
    #[must_use]
    pub fn later(self, lasts: Duration, dice: f64) -> Duration {
        if self.spreads_alone { lasts.mul_f64(ALONE * dice) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::defaults;

    #[test]
    fn few_ask_for_a_lease_at_first_and_all_in_the_end() {
        let asks = |rounds, live| Trial::ALL.asks(rounds, &defaults(), live);
        assert!((asks(0, 1_200) - 0.01).abs() < 1e-9, "{}", asks(0, 1_200));
        assert!(asks(7, 1_200) >= 1.0 && asks(0, 10) >= 1.0);
        assert!(Trial::NONE.asks(0, &defaults(), 1_200) >= 1.0);
    }
}
