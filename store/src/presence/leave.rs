//! A sidecar that drains says that it goes, so that nobody counts on it for three heartbeats more.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::KEYS;
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Forgets a sidecar; the reply is how many are left.
#[derive(Debug, Clone)]
pub struct Leave<'a> {
    /// Its id.
    pub sidecar: &'a str,
}

impl Operation for Leave<'_> {
    type Reply = u32;

    const SCRIPT: &'static str = scripts::LEAVE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.sidecar.into()]
    }

    fn read(&self, reply: &mut Reply) -> Result<u32, StoreError> {
        reply.number()
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> u32 {
        memory.presence.0.remove(self.sidecar);
        memory.presence.live(now)
    }
}
