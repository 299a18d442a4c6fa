//! How a breaker stands, for whoever only watches. Those of many providers are asked for at the same time: that is one
//! trip to the store.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Record, Stamp};

use super::decode_record;
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Asks how a provider's breaker stands; changes nothing.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// Whose.
    pub provider: &'a str,
}

/// How a breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its record; of epoch 0: it has never moved, or nobody shares it.
    pub record: Record,
    /// Probes that are out now.
    pub probes_out: u32,
    /// Until when the provider is left alone at its own request; `None`: it is not.
    pub cool_until: Option<Stamp>,
}

impl Operation for Look<'_> {
    type Reply = Standing;

    const SCRIPT: &'static str = scripts::STANDING;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        ["breaker", "leases", "cool"].map(|what| keys.provider(self.provider, what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Standing, StoreError> {
        let record = decode_record(reply.number()?, &reply.bytes()?)?;
        let (probes_out, cool_until) = (reply.number()?, reply.number()?);
        Ok(Standing { record, probes_out, cool_until: (cool_until > 0).then(|| Stamp::from_millis(cool_until)) })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Standing {
        let Some(held) = memory.breakers.get(self.provider) else {
            return Standing { record: Record::default(), probes_out: 0, cool_until: None };
        };
        let out = held.leases.values().filter(|until| **until > now).count();
        Standing {
            record: held.record.clone(),
            probes_out: u32::try_from(out).unwrap_or(u32::MAX),
            cool_until: Some(held.cool_until).filter(|until| *until > now),
        }
    }
}
