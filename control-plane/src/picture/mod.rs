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

use std::sync::Arc;

use bytes::Bytes;
use fusebox_proto::v1;

pub use self::{
    health::HealthRule,
    paint::{Frame, paint, silenced},
    providers::{ModelsLeft, models_left},
    read::Reader,
    seen::{Seen, Series},
    wire::{alert, silence, timestamp, word},
};
use crate::json;

/// What an event of the fleet begins and ends with.
const EVENT: (&str, &str) = ("event: fleet\ndata: ", "\n\n");

/// The fleet as it was painted once.
#[derive(Debug, Default)]
pub struct Picture {
    /// For programs.
    pub fleet: v1::Fleet,
    /// The same as a server-sent event, made once for all who watch.
    pub event: Bytes,
    /// What it was painted from.
    pub seen: Arc<Seen>,
}

impl Picture {
    fn new(fleet: v1::Fleet, seen: Arc<Seen>) -> Self {
        let json = json::to_bytes(&fleet).unwrap_or_default();
        let event = [EVENT.0.as_bytes(), &json, EVENT.1.as_bytes()].concat().into();
        Self { fleet, event, seen }
    }

    /// The fleet as JSON.
    #[must_use]
    pub fn json(&self) -> Bytes {
        let end = self.event.len().saturating_sub(EVENT.1.len());
        self.event.slice(EVENT.0.len().min(end)..end)
    }
}

#[cfg(test)]
mod tests;
