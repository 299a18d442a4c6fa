//! Chance, from one seed: the same seed gives the same history.

use std::time::Duration;

/// A generator of what networks, providers and callers do by chance.
#[derive(Debug)]
pub struct Dice(fastrand::Rng);

/// The middle of the time that a message takes between a sidecar and the store.
const WAY: Duration = Duration::from_micros(300);
/// Its spread: one message in a thousand takes some 5 ms.
const WAY_SPREAD: f64 = 0.91;
/// No message takes longer.
const LONGEST_WAY: Duration = Duration::from_millis(5);

impl Dice {
    /// One that begins with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Uniform, from 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.0.f64()
    }

    /// A number that names a lease, as sidecars draw it.
    pub fn token(&mut self) -> u64 {
        self.0.u64(1..=u64::MAX >> 11)
    }

    /// Until the next of events that come by themselves, so many a second.
    pub fn until_next(&mut self, per_second: f64) -> Duration {
        let drawn = -(1.0 - self.share()).ln() / per_second;
        Duration::try_from_secs_f64(drawn).unwrap_or(Duration::MAX)
    }

    /// A duration around `middle`: lognormal, `spread` being that of its logarithm.
    pub fn around(&mut self, middle: Duration, spread: f64) -> Duration {
        let (one, other) = (1.0 - self.share(), self.share());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        middle.mul_f64((spread * normal).exp())
    }

    /// What one message between a sidecar and the store takes.
    pub fn way(&mut self) -> Duration {
        self.around(WAY, WAY_SPREAD).min(LONGEST_WAY)
    }

    /// Within a fifth of `about`, as the sidecar draws its waits.
    pub fn jittered(&mut self, about: Duration) -> Duration {
        about.mul_f64(0.8 + 0.4 * self.share())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_take_a_third_of_a_millisecond_in_the_middle_and_five_at_most() {
        let mut dice = Dice::new(1);
        let mut ways: Vec<Duration> = (0..20_000).map(|_| dice.way()).collect();
        ways.sort_unstable();
        let middle = ways[10_000];
        assert!((Duration::from_micros(280)..Duration::from_micros(320)).contains(&middle), "{middle:?}");
        assert!(ways[19_900] > Duration::from_millis(2) && ways[19_999] <= LONGEST_WAY, "{:?}", ways[19_900]);
    }

    #[test]
    fn the_same_seed_gives_the_same_history() {
        let drawn = |seed| {
            let mut dice = Dice::new(seed);
            std::iter::repeat_with(|| dice.until_next(3.0)).take(50).collect::<Vec<_>>()
        };
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }
}
