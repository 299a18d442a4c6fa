//! The retry budget of the whole fleet: calls of all sidecars pay into one bucket, and a sidecar leases retries from it
//! ahead of need. Without a store its own local budget goes on, which is paid into all the while. What was paid in is
//! told with what is asked anyway; on its own it is told seldom.
//!
//! **The bound.** As that of [`share`](super::share), in retries: what flows in is the free ones and what calls paid.

use super::{
    bucket::{Ask, Drawn, Terms},
    pace::PAID,
    share::{Leased, Share, Take},
};
use crate::{
    budget::{Amounts, Budget, Payment, RETRY, Settings},
    moment::Moment,
};

/// One sidecar's hand on the fleet's budget. Units are thousandths of a retry.
#[derive(Debug, Clone)]
pub struct Retries {
    amounts: Amounts,
    share: Share,
    /// Paid by calls, and not yet told.
    deposits: u64,
    /// When such were last told.
    told: Moment,
    local: Budget,
    /// Whether the store answers.
    well: bool,
}

impl Retries {
    /// A budget that begins at `now`, with nothing leased and no store heard of yet.
    #[must_use]
    pub fn new(settings: &Settings, now: Moment) -> Self {
        let amounts = settings.amounts();
        let share = Share::new(terms(&amounts, 1));
        Self { amounts, share, deposits: 0, told: now, local: Budget::new(settings, now), well: false }
    }

    /// Other settings, from `now` on; the same ones change nothing. The local budget begins anew with them.
    pub fn hold_to(&mut self, settings: &Settings, now: Moment) {
        if settings.amounts() != self.amounts {
            self.amounts = settings.amounts();
            self.local = Budget::new(settings, now);
        }
    }

    /// Pays in for a call that begins.
    pub fn deposit(&mut self, now: Moment) {
        self.local.deposit(now);
        // No more than the bucket may hold for one sidecar.
        self.deposits = self.deposits.saturating_add(self.amounts.per_call).min(self.amounts.paid);
    }

    /// Pays for a retry.
    pub fn withdraw(&mut self, now: Moment) -> Payment {
        if !self.well && self.share.left(now) < RETRY {
            return self.local.withdraw(now);
        }
        match self.share.take(RETRY, now) {
            // What was taken is not settled: a retry that was paid for is never paid back.
            Take::Taken(_) => Payment::Paid,
            // What its own calls have paid in is as good before the fleet's bucket has seen it.
            Take::Short { .. } => match self.deposits.checked_sub(RETRY) {
                Some(left) => {
                    self.deposits = left;
                    Payment::Paid
                }
                None => Payment::Refused,
            },
        }
    }

    /// Whole retries that it would pay for now.
    #[must_use]
    pub fn left(&self, now: Moment) -> u64 {
        let local = if self.well { 0 } else { self.local.left(now) };
        (self.share.left(now) / RETRY).max(local)
    }
}

impl Leased for Retries {
    fn terms(&self) -> &Terms {
        self.share.terms()
    }

    fn ask(&mut self, live: u32, now: Moment) -> Option<Ask> {
        self.share.hold_to(terms(&self.amounts, live));
        let ask = self.share.ask(live, now);
        let has_time = self.well && now < self.told + PAID;
        if ask.is_none() && (self.deposits == 0 || has_time) {
            return None;
        }
        self.told = now;
        let (ask, deposits) = (ask.unwrap_or_default(), std::mem::take(&mut self.deposits));
        Some(Ask { put: ask.put.saturating_add(deposits), ..ask })
    }

    fn hear(&mut self, ask: &Ask, drawn: &Drawn, sent: Moment, now: Moment) {
        self.well = true;
        self.share.hear(ask, drawn, sent, now);
    }

    fn lost(&mut self) {
        self.well = false;
        self.share.lost();
    }

    fn untold(&mut self, ask: &Ask) {
        self.share.untold(ask);
    }
}

/// The free ones are the fleet's, however many sidecars there are; what calls pay is saved up for each of them.
fn terms(amounts: &Amounts, live: u32) -> Terms {
    let paid = amounts.paid.saturating_mul(u64::from(live.max(1)));
    let most = amounts.free.saturating_add(paid);
    let burst = if most == 0 { 0 } else { most.max(RETRY) };
    Terms { per_minute: amounts.per_second.saturating_mul(60), burst, initial: amounts.free }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fleet::{Stamp, bucket::Bucket};

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    fn exchange(sidecar: &mut Retries, store: &mut Bucket, live: u32, millis: u64) {
        let Some(ask) = sidecar.ask(live, at(millis)) else { return };
        let drawn = store.draw(sidecar.terms(), &ask, Stamp::from_millis(millis));
        sidecar.hear(&ask, &drawn, at(millis), at(millis));
    }

    fn fleet(ratio: f64, minimum_per_second: f64, sidecars: u32) -> (Vec<Retries>, Bucket) {
        let settings = Settings { ratio, minimum_per_second };
        ((0..sidecars).map(|_| Retries::new(&settings, at(0))).collect(), Bucket::default())
    }

    #[test]
    fn all_calls_pay_for_all_retries_however_many_sidecars_make_them() {
        let (mut sidecars, mut store) = fleet(0.2, 0.0, 10);
        let (mut calls, mut retries) = (0_u64, 0_u64);
        for tick in 0..600 {
            let now = tick * 100;
            for sidecar in &mut sidecars {
                // A total outage: each call is retried once if it may be.
                for _ in 0..5 {
                    sidecar.deposit(at(now));
                    calls += 1;
                    retries += u64::from(tick > 0 && sidecar.withdraw(at(now)) == Payment::Paid);
                }
                exchange(sidecar, &mut store, 10, now);
            }
        }
        // Each may have one on credit that it has not told of yet.
        assert!(retries <= calls / 5 + 10, "{retries} retries of {calls} calls");
        assert!(retries * 6 > calls, "what was paid for was refused: {retries} retries of {calls} calls");
    }

    #[test]
    fn those_that_have_no_errors_pay_for_one_that_has() {
        let (mut sidecars, mut store) = fleet(0.1, 0.0, 10);
        let mut retries = 0;
        for tick in 0..100 {
            let now = tick * 100;
            for (index, sidecar) in sidecars.iter_mut().enumerate() {
                sidecar.deposit(at(now));
                if tick >= 50 && index == 0 {
                    retries += u32::from(sidecar.withdraw(at(now)) == Payment::Paid);
                }
                exchange(sidecar, &mut store, 10, now);
            }
        }
        assert!(retries >= 45, "alone it would have had some 10 of 50, and had {retries}");
    }

    #[test]
    fn without_a_store_its_own_budget_goes_on_and_had_been_paid_into() {
        let (mut sidecars, mut store) = fleet(0.2, 0.0, 1);
        let one = &mut sidecars[0];
        assert_eq!(one.withdraw(at(0)), Payment::Refused);
        exchange(one, &mut store, 1, 0);
        (0..20).for_each(|_| one.deposit(at(10)));
        one.lost();
        assert_eq!(one.left(at(20)), 4);
        assert_eq!((0..9).filter(|_| one.withdraw(at(20)) == Payment::Paid).count(), 4);
        exchange(one, &mut store, 1, 100);
        assert_eq!(one.withdraw(at(100)), Payment::Paid, "what was paid in went to the fleet's bucket, too");
    }

    #[test]
    fn what_its_own_calls_paid_pays_for_its_retries_before_the_fleet_has_heard_of_it() {
        let (mut sidecars, mut store) = fleet(0.5, 0.0, 1);
        exchange(&mut sidecars[0], &mut store, 1, 0);
        (0..4).for_each(|_| sidecars[0].deposit(at(10)));
        assert_eq!((0..9).filter(|_| sidecars[0].withdraw(at(10)) == Payment::Paid).count(), 2);
        exchange(&mut sidecars[0], &mut store, 1, 100);
        assert_eq!(sidecars[0].withdraw(at(100)), Payment::Refused, "it was paid for once");
    }

    #[test]
    fn calls_that_need_no_retry_tell_seldom_what_they_paid() {
        let (mut sidecars, mut store) = fleet(0.1, 1.0, 1);
        exchange(&mut sidecars[0], &mut store, 1, 0);
        let asked = (1..=250).filter(|tick| {
            sidecars[0].deposit(at(tick * 100));
            let ask = sidecars[0].ask(1, at(tick * 100));
            ask.is_some_and(|ask| {
                let drawn = store.draw(sidecars[0].terms(), &ask, Stamp::from_millis(tick * 100));
                sidecars[0].hear(&ask, &drawn, at(tick * 100), at(tick * 100));
                ask.put == 5_000
            })
        });
        assert_eq!(asked.count(), 5);
    }

    #[test]
    fn the_same_settings_again_leave_a_budget_as_it_was_and_others_begin_it_anew() {
        let settings = |ratio| Settings { ratio, minimum_per_second: 0.0 };
        let mut retries = Retries::new(&settings(0.5), at(0));
        (0..10).for_each(|_| retries.deposit(at(0)));
        retries.hold_to(&settings(0.5), at(0));
        assert_eq!(retries.left(at(0)), 5);
        retries.hold_to(&settings(0.6), at(0));
        assert_eq!(retries.left(at(0)), 0);
        (0..10).for_each(|_| retries.deposit(at(0)));
        assert_eq!(retries.left(at(0)), 6);
    }

    #[test]
    fn where_no_retries_are_allowed_none_is() {
        let (mut sidecars, mut store) = fleet(0.0, 0.0, 1);
        for tick in 0..100 {
            sidecars[0].deposit(at(tick * 100));
            assert_eq!(sidecars[0].withdraw(at(tick * 100)), Payment::Refused);
            exchange(&mut sidecars[0], &mut store, 1, tick * 100);
        }
    }
}
