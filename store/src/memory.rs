//! The store as one process keeps it for itself: for a sidecar alone, for demonstrations, for simulations.

use std::collections::BTreeMap;

use fusebox_rules::fleet::Stamp;

use crate::{Operation, alerts, breaker, claims, errors, lock, presence, runs, settings, share, shared_cache};

/// All that a fleet keeps. Each operation's file says what it does here.
#[derive(Debug, Default)]
pub struct Memory {
    pub(crate) breakers: Breakers,
    /// By the provider's name.
    pub(crate) errors: errors::Errors,
    pub(crate) presence: presence::Held,
    pub(crate) settings: settings::Held,
    pub(crate) alerts: alerts::Held,
    pub(crate) locks: lock::Held,
    /// By the provider's name.
    pub(crate) shares: share::Held,
    /// By their ids.
    pub(crate) runs: runs::Held,
    pub(crate) shared_cache: shared_cache::Held,
    pub(crate) claims: claims::Held,
}

/// The shared breakers in it: a value that a model can hold against another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Breakers {
    /// By the provider's name.
    by_provider: BTreeMap<String, breaker::Held>,
    /// Records that were put in place, until they are fetched: what Redis would publish.
    pub(crate) news: Vec<breaker::News>,
}

impl Breakers {
    /// Carries out one operation, which is about breakers and nothing else, at `now`.
    pub fn run<O: Operation>(&mut self, operation: &O, now: Stamp) -> O::Reply {
        let mut memory = Memory { breakers: std::mem::take(self), ..Memory::default() };
        let reply = operation.apply(&mut memory, now);
        *self = memory.breakers;
        reply
    }

    /// The records put in place since this was last asked.
    pub fn take_news(&mut self) -> Vec<breaker::News> {
        std::mem::take(&mut self.news)
    }
}

impl Memory {
    /// Carries out one operation at `now`.
    pub fn run<O: Operation>(&mut self, operation: &O, now: Stamp) -> O::Reply {
        operation.apply(self, now)
    }

    /// The records put in place since this was last asked.
    pub fn take_news(&mut self) -> Vec<breaker::News> {
        self.breakers.take_news()
    }

    /// The settings' version, which grows when Redis would publish it.
    #[must_use]
    pub const fn settings_version(&self) -> u64 {
        self.settings.version()
    }

    pub(crate) fn breaker(&mut self, provider: &str) -> &mut breaker::Held {
        self.breakers.by_provider.entry(provider.to_owned()).or_default()
    }
}
