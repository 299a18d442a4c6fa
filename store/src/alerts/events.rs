//! What became of alerts, one event after the other: for whoever delivers them, and for whoever watches.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, Stamp};

use super::{KEYS, MOST_IN_PAGE, body::decode_alert};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Asks for a page, from the oldest. An empty one is the end for now. Of more than 10,000 events the oldest are gone.
#[derive(Debug, Clone)]
pub struct Events {
    /// The number of the event after which it begins. Numbers are no earlier than the shared time in milliseconds, so
    /// that time stands for now.
    pub after: u64,
    /// How many, at most; from 1 to 500.
    pub most: u32,
}

/// An alert was raised, acknowledged, or resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Grows from one event of a fleet to the next.
    pub number: u64,
    /// The alert as it was then; it tells what happened. Its id is the number of the event that raised it.
    pub alert: Alert,
}

impl Operation for Events {
    type Reply = Vec<Event>;

    const SCRIPT: &'static str = scripts::EVENTS;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet(KEYS[0])]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![digits(self.after), digits(self.most.clamp(1, MOST_IN_PAGE))]
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        while !reply.is_over() {
            let number = reply.number()?;
            let alert = decode_alert(reply.number()?, &reply.bytes()?)?;
            events.extend(alert.map(|alert| Event { number, alert }));
        }
        Ok(events)
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Vec<Event> {
        let events = &memory.alerts.events;
        let from = events.partition_point(|event| event.number <= self.after);
        events.iter().skip(from).take(self.most.clamp(1, MOST_IN_PAGE) as usize).cloned().collect()
    }
}
