//! How often a sidecar speaks with the store, and what follows from it: how late good news may be, and how long silence
//! may last before it means something.

use std::time::Duration;

/// Between two synchronisations while nothing is to be told.
pub const IDLE: Duration = Duration::from_secs(1);
/// Between two while something is to be told, or to be found out; of a fleet that is not large.
const BUSY: Duration = Duration::from_millis(100);
/// Between two draws from what is shared out while calls use it; of a fleet that is not large. What is leased lasts for
/// many times as long.
const DRAW: Duration = Duration::from_millis(200);
/// The same where a call has come short: it comes again sooner than [`BUSY`] to see what has been leased for it.
const SHORT: Duration = Duration::from_millis(50);
/// Between two tellings of what calls paid in for retries, where nothing is asked for. Who retries asks anyway, and the
/// fleet's bucket holds a hundred calls' worth of each sidecar meanwhile.
pub const PAID: Duration = Duration::from_secs(5);
/// How far apart sidecars look, at most, once a breaker's time is up; of a fleet that is not large.
const SPREAD: Duration = Duration::from_millis(50);
/// Sidecars of a fleet that is not large. More of them slow down, so that the store has no more to do.
const MANY: u32 = 200;
/// Between two heartbeats; of a fleet that is not very large.
const BEAT: Duration = Duration::from_secs(1);
/// Sidecars of a fleet that is not very large. More of them beat more slowly, and with that say when the next beat comes.
const VERY_MANY: u32 = 2_000;
/// By how much longer each sidecar more lets all take to say that they have done what operators set: so together they make
/// four thousand requests a second at most, and those of a small fleet are heard at once.
const SAY: Duration = Duration::from_micros(250);
/// Sidecars that ask at first for each probe that may be out.
const ASKERS: f64 = 4.0;
/// By how much a wait is drawn longer than it is said to be, at most; and shorter.
pub const JITTER: f64 = 0.2;

/// Between two synchronisations of one of `live` sidecars that has something to tell or to find out.
#[must_use]
pub fn busy(live: u32) -> Duration {
    stretched(BUSY, live, MANY)
}

/// Between two draws of one of `live` sidecars from what is shared out.
#[must_use]
pub fn draw(live: u32) -> Duration {
    stretched(DRAW, live, MANY)
}

/// The same where a call has come short.
#[must_use]
pub fn short(live: u32) -> Duration {
    stretched(SHORT, live, MANY)
}

/// How far apart `live` sidecars look, at most, once a breaker's time is up.
#[must_use]
pub fn spread(live: u32) -> Duration {
    stretched(SPREAD, live, MANY)
}

/// How far apart `live` sidecars say, at most, that they have done what operators set.
#[must_use]
pub fn say(live: u32) -> Duration {
    SAY * live.max(1)
}

/// Between two heartbeats of one of `live` sidecars.
#[must_use]
pub fn beats(live: u32) -> Duration {
    stretched(BEAT, live, VERY_MANY)
}

/// How long a good call may go untold: failures are told at once, and these with what is told anyway.
#[must_use]
pub fn untold(live: u32) -> Duration {
    IDLE.max(busy(live)).mul_f64(1.0 + JITTER)
}

/// How long nothing may be heard of the store by one of `live` sidecars before it counts as gone.
#[must_use]
pub fn silence(live: u32) -> Duration {
    3 * IDLE.max(busy(live))
}

/// The chance, from 0 to 1, with which one of `live` sidecars asks for one of `most` probes' leases, `after` the breaker
/// became half-open. At first a few ask for each; with each round that passes twice as many, so that it is found out
/// even where most of the sidecars have gone.
#[must_use]
pub fn asks_for_lease(live: u32, most: u32, after: Duration) -> f64 {
    let few = ASKERS * f64::from(most.max(1)) / f64::from(live.max(1));
    let rounds = after.div_duration_f64(busy(live)).min(64.0);
    (few * rounds.floor().exp2()).min(1.0)
}

/// `pace` of a fleet of `many` at most, so much slower as there are more, that together they make no more requests.
fn stretched(pace: Duration, live: u32, many: u32) -> Duration {
    pace.mul_f64(f64::from(live.max(many)) / f64::from(many))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_of_many_ask_for_a_lease_at_first_and_all_in_the_end() {
        let chance = |live, rounds| asks_for_lease(live, 3, busy(live) * rounds);
        assert!((chance(1_200, 0) - 0.01).abs() < 1e-9 && (chance(1_200, 3) - 0.08).abs() < 1e-9);
        assert_eq!([chance(1_200, 7), chance(12, 0), chance(0, 0), chance(u32::MAX, 64)], [1.0; 4]);
    }

    #[test]
    fn a_large_fleet_asks_no_more_of_its_store_and_takes_silence_for_longer() {
        assert_eq!((busy(0), busy(200)), (BUSY, BUSY));
        assert_eq!((busy(1_000), spread(1_000)), (Duration::from_millis(500), Duration::from_millis(250)));
        assert_eq!([beats(0), beats(2_000), beats(10_000)], [BEAT, BEAT, 5 * BEAT]);
        assert_eq!([say(0), say(100), say(1_000)], [0, 25, 250].map(|ms| Duration::from_millis(ms).max(SAY)));
        assert_eq!((untold(3), untold(10_000)), (Duration::from_millis(1_200), Duration::from_secs(6)));
        for live in [0, 1, 200, 1_000, 10_000, 100_000] {
            assert!(silence(live) >= 3 * busy(live) && silence(live) >= 3 * IDLE);
        }
    }
}
