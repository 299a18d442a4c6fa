//! What a provider's rate limits allow one sidecar: its shares of requests and of tokens, taken together or not at all.

use std::time::Duration;

use super::{
    bucket::{Terms, Unit},
    share::{Leased as _, Portion, Share, Take},
};
use crate::{come_back::left::AllLeft, moment::Moment};

/// What a provider allows the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// `None`: unlimited.
    pub requests_per_minute: Option<u64>,
    /// Tokens, in and out. `None`: unlimited.
    pub tokens_per_minute: Option<u64>,
}

/// One sidecar's shares of a provider's limits.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Of requests; `None`: unlimited.
    pub requests: Option<Share>,
    /// Of tokens; `None`: unlimited.
    pub tokens: Option<Share>,
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// It may. What it took is settled at its end.
    Taken(Taken),
    /// The limit leaves no room for it now, and nothing was taken.
    Short {
        /// Of what.
        unit: Unit,
        /// How soon it is worth another try.
        retry_after: Duration,
    },
}

/// What a call took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is settled at the call's end"]
pub struct Taken {
    requests: Portion,
    tokens: Portion,
    estimated: u64,
}

/// What a call came to, as the provider counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was never sent.
    NotSent,
    /// It was sent, and used so many tokens; `None`: nobody said, and what was estimated is believed.
    Sent {
        /// In and out.
        tokens: Option<u64>,
    },
}

impl Allowance {
    /// Shares of what `limits` say, with nothing leased yet.
    #[must_use]
    pub fn new(limits: &RateLimits) -> Self {
        let share = |per_minute: Option<u64>| per_minute.map(|per_minute| Share::new(Terms::of_limit(per_minute)));
        Self { requests: share(limits.requests_per_minute), tokens: share(limits.tokens_per_minute) }
    }

    /// Other limits, from now on. What is leased of one that stays is kept.
    pub fn hold_to(&mut self, limits: &RateLimits) {
        let fresh = Self::new(limits);
        for (share, fresh) in [(&mut self.requests, fresh.requests), (&mut self.tokens, fresh.tokens)] {
            match (share.as_mut(), fresh) {
                (Some(share), Some(fresh)) => share.hold_to(*fresh.terms()),
                (_, fresh) => *share = fresh,
            }
        }
    }

    /// A call that is estimated at `tokens`, in and out, wants to be sent.
    pub fn take(&mut self, tokens: u64, now: Moment) -> Allowed {
        let requests = match take(self.requests.as_mut(), 1, now) {
            Take::Taken(portion) => portion,
            Take::Short { retry_after } => return Allowed::Short { unit: Unit::Requests, retry_after },
        };
        match take(self.tokens.as_mut(), tokens, now) {
            Take::Taken(portion) => Allowed::Taken(Taken { requests, tokens: portion, estimated: tokens }),
            Take::Short { retry_after } => {
                settle(self.requests.as_mut(), requests, 0, now);
                Allowed::Short { unit: Unit::Tokens, retry_after }
            }
        }
    }

    /// A call that took `taken` has ended.
    pub fn settle(&mut self, taken: Taken, outcome: Outcome, now: Moment) {
        let (requests, tokens) = match outcome {
            Outcome::NotSent => (0, 0),
            Outcome::Sent { tokens } => (1, tokens.unwrap_or(taken.estimated)),
        };
        settle(self.requests.as_mut(), taken.requests, requests, now);
        settle(self.tokens.as_mut(), taken.tokens, tokens, now);
    }

    /// The provider said, with an answer, what is left of its limits. It only ever corrects downwards.
    pub fn correct(&mut self, said: &AllLeft, now: Moment) {
        for (share, left) in [(&mut self.requests, said.requests), (&mut self.tokens, said.tokens)] {
            if let (Some(share), Some(left)) = (share, left) {
                share.correct(left.units, left.resets_in, now);
            }
        }
    }

    /// Whether a small call could be sent now; asking takes nothing.
    #[must_use]
    pub fn has_some(&self, now: Moment) -> bool {
        self.requests.iter().chain(&self.tokens).all(|share| share.at_hand(now) > 0)
    }

    /// The share of `unit`; `None`: it is unlimited.
    pub const fn share(&mut self, unit: Unit) -> Option<&mut Share> {
        match unit {
            Unit::Requests => self.requests.as_mut(),
            Unit::Tokens => self.tokens.as_mut(),
            Unit::Retries => None,
        }
    }
}

fn take(share: Option<&mut Share>, units: u64, now: Moment) -> Take {
    share.map_or(Take::Taken(Portion::default()), |share| share.take(units, now))
}

fn settle(share: Option<&mut Share>, portion: Portion, used: u64, now: Moment) {
    if let Some(share) = share {
        share.settle(portion, used, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::come_back::left::Left;

    const NOW: Moment = Moment::from_nanos(1);

    #[test]
    fn a_call_takes_of_both_or_of_none() {
        let limits = RateLimits { requests_per_minute: Some(20), tokens_per_minute: Some(10_000) };
        let mut allowance = Allowance::new(&limits);
        let Allowed::Taken(first) = allowance.take(900, NOW) else { panic!() };
        let Allowed::Short { unit, retry_after } = allowance.take(900, NOW) else { panic!("tokens are left") };
        assert_eq!((unit, retry_after), (Unit::Tokens, Duration::from_millis(4_800)));
        assert!(allowance.has_some(NOW));
        let Allowed::Taken(second) = allowance.take(100, NOW) else { panic!("the request was not given back") };
        let Allowed::Short { unit, retry_after } = allowance.take(0, NOW) else { panic!("requests are left") };
        assert_eq!((unit, retry_after), (Unit::Requests, Duration::from_secs(3)));
        assert!(!allowance.has_some(NOW));
        allowance.settle(first, Outcome::Sent { tokens: Some(100) }, NOW);
        allowance.settle(second, Outcome::NotSent, NOW);
        assert!(matches!(allowance.take(900, NOW), Allowed::Taken(_)));
    }

    #[test]
    fn what_the_provider_says_is_left_is_all_that_is_taken_alone() {
        let limits = RateLimits { requests_per_minute: Some(600), tokens_per_minute: None };
        let mut allowance = Allowance::new(&limits);
        let left = Left { units: 2, resets_in: Duration::from_secs(1) };
        allowance.correct(&AllLeft { requests: Some(left), tokens: Some(left) }, NOW);
        let taken = (0..9).filter(|_| matches!(allowance.take(100, NOW), Allowed::Taken(_))).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn what_is_unlimited_is_never_short() {
        let mut allowance = Allowance::new(&RateLimits { tokens_per_minute: Some(100), ..RateLimits::default() });
        for _ in 0..100 {
            assert!(matches!(allowance.take(0, NOW), Allowed::Taken(_)));
        }
        assert!(allowance.share(Unit::Tokens).is_some() && allowance.share(Unit::Requests).is_none());
    }

    #[test]
    fn what_has_been_taken_still_counts_under_another_limit() {
        let requests = |per_minute| RateLimits { requests_per_minute: Some(per_minute), ..RateLimits::default() };
        let mut allowance = Allowance::new(&requests(20));
        let taken =
            |allowance: &mut Allowance| (0..9).filter(|_| matches!(allowance.take(1, NOW), Allowed::Taken(_))).count();
        assert_eq!(taken(&mut allowance), 2);
        allowance.hold_to(&requests(40));
        assert_eq!(taken(&mut allowance), 0, "a new limit is no new bucket");
        allowance.hold_to(&RateLimits { tokens_per_minute: Some(30), ..RateLimits::default() });
        assert_eq!(taken(&mut allowance), 3);
    }
}
