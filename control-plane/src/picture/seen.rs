//! What was read of the store: the fleet's raw state at one time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fusebox_rules::fleet::{Alert, Record, Stamp, settings::Settings};
use fusebox_store::{
    errors::{Minute, Tally},
    presence::Alive,
};

use crate::alerts::Silence;

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The shared time when it was; zero: nothing ever was.
    pub at: Stamp,
    /// Whether the store could not be read since.
    pub stale: bool,
    /// Sidecars that are there, and those that were a minute ago; by their ids.
    pub sidecars: Vec<Alive>,
    /// What operators have set.
    pub settings: Arc<Settings>,
    /// Shared breakers, by provider.
    pub breakers: BTreeMap<String, Record>,
    /// Calls and errors, by provider.
    pub series: BTreeMap<String, Series>,
    /// Alerts that fire, from the oldest.
    pub firing: Vec<Alert>,
    /// What is not delivered.
    pub silences: Vec<Silence>,
}

/// Calls and errors of one provider.
#[derive(Debug, Clone)]
pub struct Series {
    /// Sums of the last minute and the last hour.
    pub tally: Tally,
    /// Minute by minute, from the oldest.
    pub minutes: Vec<Minute>,
}

impl Seen {
    /// Sidecars that have missed no more heartbeats than anyone may.
    pub fn live(&self) -> impl Iterator<Item = &Alive> {
        self.sidecars.iter().filter(|alive| alive.live)
    }

    /// Every provider that a sidecar has, in the order of their names.
    #[must_use]
    pub fn providers(&self) -> BTreeSet<&str> {
        let of_sidecars = self.sidecars.iter().flat_map(|alive| &alive.heartbeat.providers);
        of_sidecars.map(|provider| provider.name.as_str()).collect()
    }
}
