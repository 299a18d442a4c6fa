//! How long to wait before the next try to connect. No clock and no dice inside.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Waits that double from 50 ms to 2 s, each shortened by up to half so that a fleet does not come back at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The wait before the next try. `dice` lies in 0..1.
    pub(super) fn next(&mut self, dice: f64) -> Duration {
        let whole = FIRST.saturating_mul(2_u32.saturating_pow(self.tries)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }

    /// A connection has lasted: the next trouble is a new one.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_50_ms_to_2_s_and_start_afresh_after_a_connection_that_lasted() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        backoff.reset();
        assert_eq!(backoff.next(0.0), Duration::from_millis(25));
    }

    #[test]
    fn no_number_of_tries_and_no_dice_leave_the_bounds() {
        let mut backoff = Backoff::default();
        for dice in [-1.0, 0.0, 0.5, 1.0, 7.0].into_iter().cycle().take(200) {
            let wait = backoff.next(dice);
            assert!((FIRST / 2..=LONGEST).contains(&wait), "{wait:?}");
        }
    }
}
