//! A provider that asked to be left alone is left alone by all. Of two such wishes the later end wins.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Leaves a provider alone; the reply is until when.
#[derive(Debug, Clone)]
pub struct Cool<'a> {
    /// Whom.
    pub provider: &'a str,
    /// Until when.
    pub until: Stamp,
}

impl Operation for Cool<'_> {
    type Reply = Stamp;

    const SCRIPT: &'static str = scripts::COOL;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.provider(self.provider, "cool")]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![digits(self.until.as_millis())]
    }

    fn read(&self, reply: &mut Reply) -> Result<Stamp, StoreError> {
        Ok(Stamp::from_millis(reply.number()?))
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Stamp {
        let held = memory.breaker(self.provider);
        if held.cool_until <= now {
            held.cool_until = Stamp::default();
        }
        if self.until > now {
            held.cool_until = held.cool_until.max(self.until);
        }
        held.cool_until
    }
}
