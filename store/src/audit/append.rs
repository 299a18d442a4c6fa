//! Something was changed, or refused, and that is written down.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts, store::AuditEntry};
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

use super::{Entry, KEY};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, SHORTEST, before, digits, millis},
};

/// Appends an entry, and forgets those that are too many or too old; the reply is the entry's number.
#[derive(Debug, Clone)]
pub struct Append<'a> {
    /// What happened. Texts that are too long are cut: what was asked for at 8 KiB, all others at 1 KiB.
    pub entry: &'a AuditEntry,
    /// How many there may be, and how old.
    pub limits: Limits,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries, from 1 to 1,000,000.
    pub keep: u32,
    /// For how long, from 1 ms to ten years. If nothing more is written for so long, all are forgotten.
    pub keep_for: Duration,
}

/// Entries, at most.
const MOST: u32 = 1_000_000;
/// The longest that one is kept.
const LONGEST: Duration = Duration::from_secs(3_653 * 86_400);
/// Bytes of what was asked for, and of any other text.
const MOST_DETAIL_BYTES: usize = 8 * 1_024;
const MOST_TEXT_BYTES: usize = 1_024;

impl Append<'_> {
    fn entry(&self) -> AuditEntry {
        let cut = |text: &str, most| text[..text.floor_char_boundary(most)].to_owned();
        let text = |text: &str| cut(text, MOST_TEXT_BYTES);
        let AuditEntry { actor, action, detail, reason, outcome, effect, source, settings_version } = self.entry;
        AuditEntry {
            actor: text(actor),
            action: text(action),
            detail: cut(detail, MOST_DETAIL_BYTES),
            reason: text(reason),
            outcome: text(outcome),
            effect: text(effect),
            source: text(source),
            settings_version: *settings_version,
        }
    }

    fn keep(&self) -> u32 {
        self.limits.keep.clamp(1, MOST)
    }

    fn keep_for(&self) -> Duration {
        self.limits.keep_for.clamp(SHORTEST, LONGEST)
    }
}

impl Operation for Append<'_> {
    type Reply = u64;

    const SCRIPT: &'static str = scripts::APPEND;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet(KEY)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.entry().encode_to_vec(), digits(self.keep()), millis(self.keep_for())]
    }

    fn read(&self, reply: &mut Reply) -> Result<u64, StoreError> {
        reply.number()
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> u64 {
        let held = &mut memory.audit.0;
        let number = held.back().map_or(0, |last| last.number + 1).max(now.as_millis());
        held.push_back(Entry { number, entry: self.entry() });
        let oldest = before(now, self.keep_for()).as_millis();
        while held.len() > self.keep() as usize || held.front().is_some_and(|first| first.number < oldest) {
            held.pop_front();
        }
        number
    }
}
