//! The store as one process keeps it for itself: for a sidecar alone, for demonstrations, for simulations.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

use fusebox_rules::fleet::Stamp;

use crate::{
    Operation, alerts, audit, breaker, claims, delivery, errors, lock, presence, runs, settings, share, shared_cache,
    silences,
};

/// All that a fleet keeps. Each operation's file says what it does here.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// By the provider's name.
    pub(crate) breakers: BTreeMap<String, breaker::Held>,
    /// By the provider's name.
    pub(crate) errors: errors::Errors,
    pub(crate) presence: presence::Held,
    pub(crate) settings: settings::Held,
    pub(crate) alerts: alerts::Held,
    pub(crate) deliveries: delivery::Held,
    pub(crate) silences: silences::Held,
    pub(crate) audit: audit::Held,
    pub(crate) locks: lock::Held,
    /// By the provider's name.
    pub(crate) shares: share::Held,
    /// By their ids.
    pub(crate) runs: runs::Held,
    pub(crate) shared_cache: shared_cache::Held,
    pub(crate) claims: claims::Held,
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

    /// The settings' version, which grows when Redis would publish it.
    #[must_use]
    pub const fn settings_version(&self) -> u64 {
        self.settings.version()
    }

    /// How often something has become of alerts or silences: grows when Redis would publish that.
    #[must_use]
    pub const fn alert_changes(&self) -> u64 {
        self.alerts.changes() + self.silences.changes()
    }

    /// All that is kept of breakers, to be compared with another's: a model's states differ by it.
    #[must_use]
    pub fn breakers(&self) -> &(impl Debug + Eq + Hash + use<>) {
        &self.breakers
    }

    pub(crate) fn breaker(&mut self, provider: &str) -> &mut breaker::Held {
        self.breakers.entry(provider.to_owned()).or_default()
    }
}
