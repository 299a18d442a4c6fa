//! Alerts as the store keeps them: those that fire, all of late, and what became of each in a stream.

mod acknowledge;
mod body;
mod events;
mod firing;
mod raise;
mod recent;
mod resolve;

use std::collections::{BTreeMap, VecDeque};

use fusebox_rules::fleet::{Alert, AlertKey, Stamp};

pub use self::{
    acknowledge::Acknowledge,
    body::{decode_alert, encode_alert},
    events::{Event, Events},
    firing::Firing,
    raise::{Limits, Raise, Raised},
    recent::Recent,
    resolve::Resolve,
};

/// What the scripts that change alerts touch.
const KEYS: [&str; 4] = ["alerts:events", "alerts:firing", "alerts:bodies", "alerts:order"];
/// Events that are kept. Also in the scripts.
const MOST_EVENTS: usize = 10_000;
/// Alerts, or events, in one reply.
const MOST_IN_PAGE: u32 = 500;

/// In memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    firing: BTreeMap<AlertKey, u64>,
    /// By their ids.
    alerts: BTreeMap<u64, Alert>,
    /// From the oldest.
    events: VecDeque<Event>,
    /// How often something has become of any.
    changes: u64,
}

impl Held {
    /// The next event's number, which a new alert takes for its id.
    fn number(&self, now: Stamp) -> u64 {
        self.events.back().map_or(0, |event| event.number + 1).max(now.as_millis())
    }

    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// Keeps an alert as it is now, and tells of it.
    fn tell(&mut self, number: u64, alert: &Alert) {
        self.changes += 1;
        self.alerts.insert(alert.id, alert.clone());
        self.events.push_back(Event { number, alert: alert.clone() });
        if self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
    }
}
