//! A record takes another's place, on a condition.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Record, Stamp};

use super::{News, decode_record, encode_record};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Puts a record in place, and hints at it. One that [`Condition::Replaces`] another has to come within [`FRESH`].
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// Whose.
    pub provider: &'a str,
    /// What is to hold.
    pub record: Record,
    /// On which condition.
    pub condition: Condition,
}

/// How long after it was judged a record may still take the place of the one that it was judged from. Shorter than any
/// failover: what is still under way then must not follow a lost write of the same millisecond under the same epoch.
pub const FRESH: Duration = Duration::from_secs(1);

/// What a record may take the place of: in either case only of an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Only that of this epoch, from which it was judged.
    Replaces(u64),
    /// Any of an earlier epoch: the store has lost what this process still knows.
    IsNewer,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Whether it was put in place. Otherwise somebody else was first.
    pub won: bool,
    /// What holds now.
    pub record: Record,
}

impl Operation for Commit<'_> {
    type Reply = Committed;

    const SCRIPT: &'static str = scripts::COMMIT;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.provider(self.provider, "breaker")]
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let replaces = match self.condition {
            Condition::Replaces(epoch) => digits(epoch),
            Condition::IsNewer => Vec::new(),
        };
        let channel = place.keys.provider_channel(self.provider).into_bytes();
        let stale = digits((self.record.since + FRESH).as_millis());
        vec![replaces, digits(self.record.epoch), encode_record(&self.record), place.publish.into(), channel, stale]
    }

    fn read(&self, reply: &mut Reply) -> Result<Committed, StoreError> {
        let won = reply.number::<u8>()? == 1;
        Ok(Committed { won, record: decode_record(reply.number()?, &reply.bytes()?)? })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Committed {
        let held = memory.breaker(self.provider);
        let replaces = match self.condition {
            Condition::Replaces(epoch) => held.record.epoch == epoch && now < self.record.since + FRESH,
            Condition::IsNewer => true,
        };
        let won = replaces && held.record.epoch < self.record.epoch;
        if won {
            held.record = self.record.clone();
        }
        let record = held.record.clone();
        if won {
            memory.news.push(News { provider: self.provider.to_owned(), record: record.clone() });
        }
        Committed { won, record }
    }
}
