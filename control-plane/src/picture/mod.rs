//! What an operator sees: the store read at a pace, painted as one [`v1::Fleet`], and told to whoever watches.
//!
//! Every replica reads for itself. What cannot be read stays as it was last seen, and is marked as stale.

mod health;
mod paint;
mod providers;
mod read;
mod seen;
mod sidecars;
mod wire;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use fusebox_proto::v1;

pub use self::{
    health::HealthRule,
    paint::{Frame, paint, silenced},
    providers::{ModelsLeft, models_left},
    read::Reader,
    seen::{Seen, Series},
    wire::{silence, timestamp, word},
};
use crate::json;

/// What an event of the fleet begins and ends with.
const EVENT: (&str, &str) = ("event: fleet\ndata: ", "\n\n");

/// The fleet as it was painted once.
#[derive(Debug, Default)]
pub struct Picture {
    /// For programs.
    pub fleet: v1::Fleet,
    /// What it was painted from.
    pub seen: Arc<Seen>,
    event: OnceLock<Bytes>,
    json: OnceLock<Bytes>,
}

impl Picture {
    fn new(fleet: v1::Fleet, seen: Arc<Seen>) -> Self {
        Self { fleet, seen, ..Self::default() }
    }

    /// As a server-sent event, made once for all who watch. Of each sidecar it leaves out what is only looked at one by
    /// one, which is three quarters of a large fleet.
    #[must_use]
    pub fn event(&self) -> Bytes {
        let event = self.event.get_or_init(|| {
            let json = json::to_bytes(&at_a_glance(self.fleet.clone())).unwrap_or_default();
            [EVENT.0.as_bytes(), &json, EVENT.1.as_bytes()].concat().into()
        });
        event.clone()
    }

    /// All of it as JSON, made once for all who ask.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.json.get_or_init(|| json::to_bytes(&self.fleet).unwrap_or_default().into()).clone()
    }
}

fn at_a_glance(mut fleet: v1::Fleet) -> v1::Fleet {
    for sidecar in &mut fleet.sidecars {
        sidecar.checks.clear();
        sidecar.providers.clear();
        (sidecar.load, sidecar.totals) = (None, None);
    }
    fleet
}

#[cfg(test)]
mod tests;
