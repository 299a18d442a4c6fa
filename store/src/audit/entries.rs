//! What was written down, page by page.

use fusebox_proto::{keys::Keys, scripts, store::AuditEntry};
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

use super::KEY;
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Asks for a page, from the newest. An empty one is the end.
#[derive(Debug, Clone)]
pub struct Entries {
    /// The number that it ends before: the last one's of the page before it. `None`: it begins with the newest.
    pub before: Option<u64>,
    /// How many, at most; from 1 to 500.
    pub most: u32,
}

/// What was written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Grows from one entry of a fleet to the next.
    pub number: u64,
    /// What happened.
    pub entry: AuditEntry,
}

/// Entries in one reply.
const MOST_IN_PAGE: u32 = 500;

impl Entry {
    /// When it was written down; of several in one millisecond, a little later.
    #[must_use]
    pub const fn at(&self) -> Stamp {
        Stamp::from_millis(self.number)
    }
}

impl Operation for Entries {
    type Reply = Vec<Entry>;

    const SCRIPT: &'static str = scripts::ENTRIES;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet(KEY)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        // No entry has the number 0, or one before it.
        vec![digits(self.before.map_or(0, |before| before.max(1))), digits(self.most.clamp(1, MOST_IN_PAGE))]
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        while !reply.is_over() {
            let number = reply.number()?;
            let entry = AuditEntry::decode(reply.bytes()?.as_slice());
            let entry = entry.map_err(|error| StoreError::Protocol(format!("an audit entry: {error}")))?;
            entries.push(Entry { number, entry });
        }
        Ok(entries)
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Vec<Entry> {
        let held = &memory.audit.0;
        let end = held.partition_point(|entry| entry.number < self.before.unwrap_or(u64::MAX));
        held.range(..end).rev().take(self.most.clamp(1, MOST_IN_PAGE) as usize).cloned().collect()
    }
}
