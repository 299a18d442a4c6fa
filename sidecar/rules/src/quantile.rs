//! What share of the latest times was shorter than which: enough to tell a late answer from a usual one.
//!
//! The last [`KEPT`] times are kept as they are, so that the estimate is exact for them and follows a change
//! within as many calls.

use std::time::Duration;

/// Times that are kept.
pub const KEPT: usize = 128;

/// The latest times, in microseconds.
#[derive(Debug, Clone)]
pub struct Recent {
    times: [u32; KEPT],
    /// How many of them have been recorded, at most [`KEPT`].
    held: usize,
    next: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { times: [0; KEPT], held: 0, next: 0 }
    }
}

impl Recent {
    /// Keeps `time`, in place of the oldest. More than an hour is taken for an hour and a bit.
    pub fn record(&mut self, time: Duration) {
        self.times[self.next] = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        self.next = (self.next + 1) % KEPT;
        self.held = (self.held + 1).min(KEPT);
    }

    /// The shortest time that at least the share `quantile`, from 0 to 1, of those kept did not pass (the nearest
    /// rank); `None`: fewer than `minimum` are kept.
    #[must_use]
    pub fn quantile(&self, quantile: f64, minimum: u32) -> Option<Duration> {
        if self.held == 0 || self.held < usize::try_from(minimum).unwrap_or(usize::MAX) {
            return None;
        }
        let mut times = self.times;
        let times = &mut times[..self.held];
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the number kept, and clamped"
        )]
        let rank = (quantile.clamp(0.0, 1.0) * times.len() as f64).ceil() as usize;
        let (_, found, _) = times.select_nth_unstable(rank.clamp(1, self.held) - 1);
        Some(Duration::from_micros(u64::from(*found)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(times: impl IntoIterator<Item = u32>) -> Recent {
        let mut recent = Recent::default();
        times.into_iter().for_each(|time| recent.record(Duration::from_micros(u64::from(time))));
        recent
    }

    #[test]
    fn the_nearest_rank_is_taken() {
        let recent = of((1..=20).rev());
        for (quantile, micros) in [(0.0, 1), (0.5, 10), (0.94, 19), (0.95, 19), (0.96, 20), (1.0, 20)] {
            assert_eq!(recent.quantile(quantile, 20), Some(Duration::from_micros(micros)), "{quantile}");
        }
        assert_eq!(recent.quantile(0.95, 21), None);
        assert_eq!(Recent::default().quantile(0.95, 0), None);
    }

    #[test]
    fn old_times_are_forgotten() {
        let recent = of(std::iter::repeat_n(1_000_000, 500).chain(std::iter::repeat_n(10, KEPT)));
        assert_eq!(recent.quantile(1.0, 1), Some(Duration::from_micros(10)));
    }

    proptest! {
        #[test]
        fn at_least_that_share_is_no_longer_and_it_is_one_of_them(
            times in prop::collection::vec(any::<u32>(), 1..300), percent in 0_u32..=100,
        ) {
            let kept = &times[times.len().saturating_sub(KEPT)..];
            let found = of(times.iter().copied()).quantile(f64::from(percent) / 100.0, 1).unwrap();
            let found = u32::try_from(found.as_micros()).unwrap();
            let share = |count: usize| u64::try_from(count).unwrap() * 100;
            let wanted = u64::try_from(kept.len()).unwrap() * u64::from(percent);
            prop_assert!(kept.contains(&found));
            prop_assert!(share(kept.iter().filter(|time| **time <= found).count()) >= wanted);
            prop_assert!(share(kept.iter().filter(|time| **time < found).count()) <= wanted);
        }
    }
}
