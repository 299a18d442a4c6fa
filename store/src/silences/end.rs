//! A silence is ended before its time.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{KEYS, Silence, read};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Ends a silence, and hints at it; the reply is what it was. `None`: there is none of that id, or no longer.
#[derive(Debug, Clone)]
pub struct End {
    /// Which.
    pub id: u64,
}

impl Operation for End {
    type Reply = Option<Silence>;

    const SCRIPT: &'static str = scripts::END_SILENCE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let [publish, channel] = place.alerts();
        vec![digits(self.id), publish, channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Option<Silence>, StoreError> {
        Ok(Some(read(reply)?).filter(|silence| silence.id > 0))
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Option<Silence> {
        let held = &mut memory.silences;
        held.sweep(now);
        let body = held.silences.remove(&self.id)?;
        held.changes += 1;
        Some(Silence { id: self.id, body })
    }
}
