//! Puts down how deliveries go, all of it or nothing.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{KEPT_FOR, KEYS, MOST_RECORDS, Name, Record};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits, millis},
};

/// Puts records in place of what they were, and moves the cursor; the reply is whether the fence is still the latest.
/// If not, nothing was done: somebody else has taken over, or the store has lost what it kept.
#[derive(Debug, Clone)]
pub struct PutDeliveries<'a> {
    /// From [`super::TakeOver`].
    pub fence: u64,
    /// Up to which event all that follows of it is among the records; from 1. `None`: as it was.
    pub cursor: Option<u64>,
    /// What is put; each name once.
    pub records: &'a [Record],
    /// What is forgotten.
    pub forgotten: &'a [Name],
}

impl Operation for PutDeliveries<'_> {
    type Reply = bool;

    const SCRIPT: &'static str = scripts::PUT_DELIVERIES;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let mut arguments = vec![
            digits(self.fence),
            self.cursor.map(digits).unwrap_or_default(),
            millis(KEPT_FOR),
            MOST_RECORDS.to_string().into_bytes(),
            self.records.len().to_string().into_bytes(),
        ];
        arguments.extend(self.records.iter().flat_map(|record| [record.name.encode(), record.body.clone()]));
        arguments.extend(self.forgotten.iter().map(Name::encode));
        arguments
    }

    fn read(&self, reply: &mut Reply) -> Result<bool, StoreError> {
        Ok(reply.number::<u8>()? == 1)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> bool {
        let held = &mut memory.deliveries;
        if held.fence != Some(self.fence) {
            return false;
        }
        held.cursor = self.cursor.unwrap_or(held.cursor);
        held.last = held.last.max(now.as_millis());
        for record in self.records {
            held.put(record);
        }
        for name in self.forgotten {
            held.forget(name);
        }
        while held.bodies.len() > MOST_RECORDS {
            let Some((_, oldest)) = held.order.pop_first() else { break };
            held.bodies.remove(&oldest);
        }
        true
    }
}
