//! The retry budget: a token bucket that lets a share of calls be retried, and no more.
//!
//! It holds thousandths of a retry as integers, so that no rounding ever mints one.

use std::time::Duration;

use crate::moment::Moment;

/// How many retries a provider's calls pay for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Retries that each call pays for, from 0 to 1.
    pub ratio: f64,
    /// Retries a second that are free, so that a quiet sidecar may retry at all.
    pub minimum_per_second: f64,
}

/// One retry, in the bucket's unit.
pub(crate) const RETRY: u64 = 1_000;
/// How many seconds' worth of free retries it saves up.
const FREE_SECONDS_KEPT: u64 = 10;
/// How many calls' worth of paid retries it saves up.
const CALLS_KEPT: u64 = 100;
/// More of either setting than anyone means; keeps the arithmetic within its integers.
const MOST: f64 = 1e9;

/// A token bucket. A new one holds what it may save of the free retries, and nothing paid for.
#[derive(Debug, Clone)]
pub struct Budget {
    per_call: u64,
    per_second: u64,
    most: u64,
    held: u64,
    /// Up to when free retries have been put in.
    filled_to: Moment,
}

/// Whether a retry is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payment {
    /// It is, and what it cost is gone.
    Paid,
    /// There is not enough left; nothing was taken.
    Refused,
}

/// What settings come to, in thousandths of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amounts {
    pub(crate) per_call: u64,
    pub(crate) per_second: u64,
    /// Free ones that are saved up.
    pub(crate) free: u64,
    /// Those paid for that are saved up.
    pub(crate) paid: u64,
}

impl Settings {
    pub(crate) fn amounts(&self) -> Amounts {
        let (per_call, per_second) = (thousandths(self.ratio), thousandths(self.minimum_per_second));
        let free = per_second.saturating_mul(FREE_SECONDS_KEPT);
        Amounts { per_call, per_second, free, paid: per_call.saturating_mul(CALLS_KEPT) }
    }
}

impl Budget {
    /// A budget that begins at `now`.
    #[must_use]
    pub fn new(settings: &Settings, now: Moment) -> Self {
        let Amounts { per_call, per_second, free, paid } = settings.amounts();
        let most = free.saturating_add(paid);
        // A bucket that could never hold one retry would never allow one, however much was paid in.
        let most = if most == 0 { 0 } else { most.max(RETRY) };
        Self { per_call, per_second, most, held: free, filled_to: now }
    }

    /// Pays in for a call that begins.
    pub fn deposit(&mut self, now: Moment) {
        self.fill(now);
        self.put_in(self.per_call, now);
    }

    /// Pays for a retry.
    pub fn withdraw(&mut self, now: Moment) -> Payment {
        self.fill(now);
        match self.held.checked_sub(RETRY) {
            Some(left) => {
                self.held = left;
                Payment::Paid
            }
            None => Payment::Refused,
        }
    }

    /// Whole retries that it would pay for now.
    #[must_use]
    pub fn left(&self, now: Moment) -> u64 {
        let mut filled = self.clone();
        filled.fill(now);
        filled.held / RETRY
    }

    /// Puts in what is free since the last time. What is less than a thousandth of a retry is left for the next.
    fn fill(&mut self, now: Moment) {
        const SECOND: u128 = Duration::from_secs(1).as_nanos();
        let (elapsed, rate) = (now.since(self.filled_to).as_nanos(), u128::from(self.per_second));
        let minted = elapsed * rate / SECOND;
        if minted > 0 {
            let took = (minted * SECOND).div_ceil(rate);
            self.filled_to = self.filled_to + Duration::from_nanos(u64::try_from(took).unwrap_or(u64::MAX));
        }
        self.put_in(u64::try_from(minted).unwrap_or(u64::MAX), now);
    }

    fn put_in(&mut self, amount: u64, now: Moment) {
        self.held = self.held.saturating_add(amount).min(self.most);
        if self.held == self.most {
            // What a full bucket runs over with is lost, the begun thousandth too.
            self.filled_to = self.filled_to.max(now);
        }
    }
}

fn thousandths(retries: f64) -> u64 {
    #[expect(clippy::cast_sign_loss, reason = "clamped to what is not negative; not a number becomes zero")]
    let thousandths = (retries.clamp(0.0, MOST) * 1_000.0).ceil() as u64;
    thousandths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn budget(ratio: f64, minimum_per_second: f64) -> Budget {
        Budget::new(&Settings { ratio, minimum_per_second }, Moment::ZERO)
    }

    fn withdrawals(budget: &mut Budget, now: Moment) -> usize {
        std::iter::repeat_with(|| budget.withdraw(now)).take_while(|payment| *payment == Payment::Paid).count()
    }

    #[test]
    fn five_calls_at_a_fifth_pay_for_one_retry() {
        let mut budget = budget(0.2, 0.0);
        for _ in 0..4 {
            budget.deposit(at(0));
            assert_eq!(budget.withdraw(at(0)), Payment::Refused);
        }
        budget.deposit(at(0));
        assert_eq!(budget.left(at(0)), 1);
        assert_eq!(budget.withdraw(at(0)), Payment::Paid);
        assert_eq!(budget.withdraw(at(0)), Payment::Refused);
    }

    #[test]
    fn a_quiet_sidecar_has_its_free_retries_and_saves_ten_seconds_of_them() {
        let mut budget = budget(0.0, 3.0);
        assert_eq!(withdrawals(&mut budget, at(0)), 30);
        assert_eq!(withdrawals(&mut budget, at(333)), 0);
        assert_eq!(withdrawals(&mut budget, at(1_000)), 3);
        assert_eq!(withdrawals(&mut budget, at(3_600_000)), 30);
    }

    #[test]
    fn a_full_bucket_keeps_nothing_of_the_thousandth_that_has_begun() {
        let mut budget = budget(0.0, 1.0);
        assert_eq!(withdrawals(&mut budget, Moment::from_nanos(900_000)), 10);
        assert_eq!(budget.withdraw(at(1_000)), Payment::Refused);
        assert_eq!(budget.withdraw(at(1_001)), Payment::Paid);
    }

    #[test]
    fn what_calls_pay_is_saved_up_to_a_hundred_calls_worth() {
        let mut budget = budget(0.2, 0.0);
        (0..10_000).for_each(|_| budget.deposit(at(0)));
        assert_eq!(withdrawals(&mut budget, at(0)), 20);
    }

    #[test]
    fn the_smallest_share_allows_a_retry_in_the_end_and_none_allows_none() {
        let mut small = budget(0.001, 0.0);
        (0..1_000).for_each(|_| small.deposit(at(0)));
        assert_eq!(withdrawals(&mut small, at(0)), 1);
        let mut none = budget(0.0, 0.0);
        (0..1_000).for_each(|_| none.deposit(at(0)));
        assert_eq!(withdrawals(&mut none, Moment::NEVER), 0);
    }

    #[test]
    fn settings_out_of_range_and_the_end_of_time_do_no_harm() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            let mut budget = budget(odd, odd);
            budget.deposit(Moment::NEVER);
            budget.withdraw(Moment::NEVER);
            budget.withdraw(at(0));
        }
    }

    proptest! {
        #[test]
        fn it_never_pays_for_more_than_was_put_in_nor_keeps_back_what_was(
            ratio in 0_u32..1_000,
            per_second in 0_u32..20,
            steps in prop::collection::vec((0_u64..400, any::<bool>()), 0..300),
        ) {
            let mut budget = budget(f64::from(ratio) / 1_000.0, f64::from(per_second));
            // In billionths of a thousandth of a retry: exact.
            let unit = 1_000_000_000_u128;
            let free = u128::from(per_second) * 1_000;
            let most = (free * 10 + u128::from(ratio) * 100) * unit;
            let most = if most == 0 { 0 } else { most.max(1_000 * unit) };
            let (mut exact, mut now) = (free * 10 * unit, 0_u64);
            for (millis, calls) in steps {
                now += millis;
                exact = (exact + u128::from(millis) * 1_000_000 * free).min(most);
                if calls {
                    budget.deposit(at(now));
                    exact = (exact + u128::from(ratio) * unit).min(most);
                } else if budget.withdraw(at(now)) == Payment::Paid {
                    prop_assert!(exact >= 1_000 * unit, "paid for more than there was");
                    exact -= 1_000 * unit;
                } else {
                    prop_assert!(exact < 1_002 * unit, "refused what there was");
                }
            }
        }
    }
}
