//! The store as one process keeps it for itself: for a sidecar alone, for demonstrations, for simulations.

use std::collections::BTreeMap;

use fusebox_rules::fleet::Stamp;

use crate::{Operation, breaker};

/// All that a fleet keeps. Each operation's file says what it does here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Memory {
    /// By the provider's name.
    pub(crate) breakers: BTreeMap<String, breaker::Held>,
    /// Records that were put in place, until they are fetched: what Redis would publish.
    pub(crate) news: Vec<breaker::News>,
}

impl Memory {
    /// Carries out one operation at `now`.
    pub fn run<O: Operation>(&mut self, operation: &O, now: Stamp) -> O::Reply {
        operation.apply(self, now)
    }

    /// The records put in place since this was last asked.
    pub fn take_news(&mut self) -> Vec<breaker::News> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn breaker(&mut self, provider: &str) -> &mut breaker::Held {
        self.breakers.entry(provider.to_owned()).or_default()
    }
}
