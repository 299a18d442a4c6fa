//! What a provider's rate limits leave this sidecar, and who pays for its retries, as the hot path sees both.
//!
//! Where there is no limit, a call pays one load. Where there is one, a lock is taken as a call begins and as it ends,
//! for some tens of nanoseconds, and never over a call. Leases come from the fleet's loop; a gate that is not shared has
//! the whole limit for itself.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, Release},
        },
    },
    time::Duration,
};

use fusebox_rules::{
    budget,
    come_back::left::AllLeft,
    fleet::{
        allowance::{Allowance, Allowed, Outcome, RateLimits, Taken},
        bucket::Unit,
        retries::Retries,
        share::{EXCHANGE, Leased},
    },
    moment::Moment,
    usage::Usage,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Gate;
use crate::clock;

/// Tokens that an answer is thought to have before any was seen, where the caller names no limit.
const UNSEEN_ANSWER: u64 = 256;
/// One part in so many of what is thought of answers is what the last one was.
const WEIGHT: u64 = 8;

/// What gates ring.
#[derive(Debug, Clone, Default)]
pub struct Bells {
    /// When the fleet should hear at once of what was seen here.
    pub news: Arc<Notify>,
    /// When a call waits for what the fleet may have to give.
    pub need: Arc<Notify>,
}

/// One provider's limits and budget.
#[derive(Debug)]
pub(super) struct Rates {
    is_limited: AtomicBool,
    counts_tokens: AtomicBool,
    allowance: Mutex<Allowance>,
    usual_answer: AtomicU64,
    retries: Mutex<Retries>,
}

/// A limit, and what is left of it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Of what.
    pub unit: Unit,
    /// What is allowed a minute.
    pub per_minute: u64,
    /// What a call could take now without asking anyone.
    pub left: u64,
}

/// A limit that leaves a call no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) unit: Unit,
    pub(super) retry_after: Duration,
}

impl Rates {
    pub(super) fn new(limits: &RateLimits, retries: &budget::Settings, now: Moment) -> Self {
        let rates = Self {
            is_limited: AtomicBool::new(false),
            counts_tokens: AtomicBool::new(false),
            allowance: Mutex::new(Allowance::new(limits)),
            usual_answer: AtomicU64::new(UNSEEN_ANSWER),
            retries: Mutex::new(Retries::new(retries, now)),
        };
        rates.note(limits);
        rates
    }

    /// Other limits, from now on. What was taken stays taken.
    pub(super) fn hold_to(&self, limits: &RateLimits, retries: &budget::Settings, now: Moment) {
        self.allowance.lock().hold_to(limits);
        self.note(limits);
        self.retries.lock().hold_to(retries, now);
    }

    fn note(&self, limits: &RateLimits) {
        let counts_tokens = limits.tokens_per_minute.is_some();
        self.counts_tokens.store(counts_tokens, Release);
        self.is_limited.store(counts_tokens || limits.requests_per_minute.is_some(), Release);
    }

    fn is_limited(&self) -> bool {
        self.is_limited.load(Relaxed)
    }

    /// Takes what a call of `tokens` needs; `None`: nothing is limited.
    pub(super) fn take(&self, tokens: impl FnOnce() -> u64, now: Moment) -> Result<Option<Taken>, Short> {
        if !self.is_limited() {
            return Ok(None);
        }
        let tokens = if self.counts_tokens.load(Relaxed) { tokens() } else { 0 };
        match self.allowance.lock().take(tokens, now) {
            Allowed::Taken(taken) => Ok(Some(taken)),
            Allowed::Short { unit, retry_after } => Err(Short { unit, retry_after }),
        }
    }

    /// A call that took `taken` has ended.
    pub(super) fn settle(&self, taken: Taken, outcome: Outcome, now: Moment) {
        self.allowance.lock().settle(taken, outcome, now);
    }

    /// The provider said what is left of its own limits.
    pub(super) fn correct(&self, said: &AllLeft, now: Moment) {
        self.allowance.lock().correct(said, now);
    }

    /// An answer came to so many tokens.
    pub(super) fn answered(&self, usage: Usage) {
        let seen = u64::from(usage.output_tokens);
        // Embeddings have no tokens, and say nothing of answers that have some.
        let follow = |usual: u64| (seen > 0).then(|| (usual * (WEIGHT - 1) + seen).div_ceil(WEIGHT));
        let _ = self.usual_answer.fetch_update(Relaxed, Relaxed, follow);
    }
}

impl Short {
    /// Whether the store may have what is missing, as far as is known.
    pub(super) fn may_be_leased(&self) -> bool {
        self.retry_after <= EXCHANGE
    }
}

impl Gate {
    /// Notes that a call came, which pays for a share of a retry.
    pub fn deposit(&self, now: Moment) {
        self.rates.retries.lock().deposit(now);
    }

    /// Whether one more retry is paid for; takes it.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.rates.retries.lock().withdraw(clock::now()) == budget::Payment::Paid
    }

    /// Whether the provider's rate limits leave room for a small call now, as far as is known; asking takes nothing.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.rates.is_limited() || self.rates.allowance.lock().has_some(clock::now())
    }

    /// Takes what a small question of the sidecar's own uses, so many tokens; false: the limits have no room for it.
    #[must_use]
    pub fn spend(&self, tokens: u64) -> bool {
        let now = clock::now();
        let taken = self.rates.take(|| tokens, now);
        if let Ok(Some(taken)) = taken {
            self.rates.settle(taken, Outcome::Sent { tokens: None }, now);
        }
        taken.is_ok()
    }

    /// Whether any limit of the provider's is known, so that what it says of them is worth reading.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.rates.is_limited()
    }

    /// Whether it matters how many tokens a call has.
    #[must_use]
    pub fn counts_tokens(&self) -> bool {
        self.rates.counts_tokens.load(Relaxed)
    }

    /// Tokens that an answer has had of late, where tokens count.
    #[must_use]
    pub fn usual_answer(&self) -> u64 {
        self.rates.usual_answer.load(Relaxed)
    }

    /// Its limits, and what is left of each.
    #[must_use]
    pub fn left(&self) -> Vec<Left> {
        let now = clock::now();
        let mut allowance = self.rates.allowance.lock();
        let mut left = |unit| {
            let share = allowance.share(unit)?;
            Some(Left { unit, per_minute: share.terms().per_minute, left: share.at_hand(now) })
        };
        Unit::ALL.into_iter().filter_map(&mut left).collect()
    }

    /// Looks at what is leased of `unit`; `None`: it is not limited.
    pub fn with_leased<T>(&self, unit: Unit, look: impl FnOnce(&mut dyn Leased) -> T) -> Option<T> {
        match unit {
            Unit::Requests | Unit::Tokens => {
                self.rates.allowance.lock().share(unit).map(|share| look(share as &mut dyn Leased))
            }
            Unit::Retries => Some(look(&mut *self.rates.retries.lock())),
        }
    }
}

#[cfg(test)]
mod tests;
