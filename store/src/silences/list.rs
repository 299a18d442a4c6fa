//! The silences that there are.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{KEYS, Silence, read};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Asks for all that have not ended, from the oldest.
#[derive(Debug, Clone)]
pub struct List;

impl Operation for List {
    type Reply = Vec<Silence>;

    const SCRIPT: &'static str = scripts::LIST_SILENCES;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Silence>, StoreError> {
        let mut silences = Vec::new();
        while !reply.is_over() {
            silences.push(read(reply)?);
        }
        silences.sort_by_key(|silence| silence.id);
        Ok(silences)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Vec<Silence> {
        let held = &mut memory.silences;
        held.sweep(now);
        held.silences.iter().map(|(id, body)| Silence { id: *id, body: body.clone() }).collect()
    }
}
