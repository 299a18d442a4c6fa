//! What the rules might do instead, tried beside what they do. What is taken over into the rules is to go from here.

use std::time::Duration;

use fusebox_rules::{
    breaker::Settings,
    fleet::{Reason, Record},
};
use fusebox_store::breaker;

/// Which of these a fleet tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// A heartbeat that was answered is word from the store as well.
    pub hears_beats: bool,
    /// A run of failures counts only once a good call would have been heard of.
    pub hears_out: bool,
    /// A hint moves what is due next, and does not ring; few sidecars ask for a probe's lease, and these do not wait for
    /// their turn; those that look as a breaker's time is up are spread with their number.
    pub keeps_calm: bool,
    /// After a recovery each sidecar lets through the share that the ramp says, however few of its calls are under way.
    pub ramps_together: bool,
    /// Without the store, sidecars do not all probe as a breaker's time is up.
    pub spreads_alone: bool,
}

/// Good calls that one expects to have heard of, before that none was means anything.
const EXPECTED: f64 = 20.0;
/// The longest that a good call is kept to oneself: the idle pace with its jitter.
const UNTOLD: Duration = Duration::from_millis(1_200);
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
        Self { hears_beats: on, hears_out: on, keeps_calm: on, ramps_together: on, spreads_alone: on }
    }

    /// Whether `next`, which was judged from what is `seen`, is to be held back. Failures are told at once and good
    /// calls within a second: between the two, a busy provider seems to fail in a row. Good calls known by now, of
    /// those since a time `quiet` ago, are `rate * quiet^2 / (2 * pace)`.
    #[must_use]
    pub fn waits(self, next: &Record, seen: &breaker::Seen, settings: &Settings, stretch: f64) -> bool {
        if !self.hears_out || next.reason != Reason::ConsecutiveFailures {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "calls of a window are far below 2^52")]
        let rate = seen.evidence.calls.saturating_sub(seen.evidence.failures) as f64 / settings.window.as_secs_f64();
        let pace = UNTOLD.as_secs_f64().max(0.12 * stretch);
        let quiet = (2.0 * EXPECTED * pace / rate.max(f64::MIN_POSITIVE)).sqrt().min(pace);
        // In a new epoch nothing has been heard of yet.
        let heard_from = seen.evidence.good_at.max(seen.record.since);
        next.since.since(heard_from).as_secs_f64() < quiet
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
    use fusebox_rules::fleet::{Evidence, Stamp};

    use super::*;
    use crate::world::defaults;

    fn run_at(now: Stamp) -> Record {
        Record { reason: Reason::ConsecutiveFailures, since: now, ..Record::default() }
    }

    #[test]
    fn a_run_counts_once_a_good_call_would_have_been_heard_of() {
        let at = Stamp::from_millis;
        let waits = |calls, good_at, now: u64| {
            let evidence = Evidence { calls, failures: 5, good_at: at(good_at), ..Evidence::default() };
            let record = Record { since: at(5_000), ..Record::default() };
            let seen = breaker::Seen { record, evidence, cool_until: Stamp::default() };
            Trial::ALL.waits(&run_at(at(now)), &seen, &defaults(), 1.0)
        };
        assert!(waits(120_005, 10_000, 10_100), "of 2,000 good calls a second one is heard of all the time");
        assert!(!waits(120_005, 10_000, 10_200));
        assert!(waits(65, 10_000, 11_100), "of one a second, only when it is told");
        assert!(!waits(65, 10_000, 11_200));
        assert!(!waits(5, 0, 6_300), "there never was one");
        assert!(waits(5, 0, 5_900), "there cannot have been one yet");
    }

    #[test]
    fn few_ask_for_a_lease_at_first_and_all_in_the_end() {
        let asks = |rounds, live| Trial::ALL.asks(rounds, &defaults(), live);
        assert!((asks(0, 1_200) - 0.01).abs() < 1e-9, "{}", asks(0, 1_200));
        assert!(asks(7, 1_200) >= 1.0 && asks(0, 10) >= 1.0);
        assert!(Trial::NONE.asks(0, &defaults(), 1_200) >= 1.0);
    }
}
