//! Gives a claim back, for a call of which nothing came that others could be given: the next one to ask makes it.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{Entry, Is, key};
use crate::{
    Memory, Operation, StoreError,
    digest::SharedDigest,
    operation::{Place, Reply},
};

/// Ends a claim; the reply is whether it was the asker's.
#[derive(Debug, Clone)]
pub struct Release<'a> {
    /// As in [`Claim`](super::Claim).
    pub digest: SharedDigest,
    /// Who asks.
    pub holder: &'a str,
}

impl Operation for Release<'_> {
    type Reply = bool;

    const SCRIPT: &'static str = scripts::RELEASE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, &self.digest)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.holder.into()]
    }

    fn read(&self, reply: &mut Reply) -> Result<bool, StoreError> {
        Ok(reply.number::<u8>()? == 1)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> bool {
        let held = memory.claims.get(&self.digest, now);
        let mine = matches!(held, Some(Entry { is: Is::InFlight(holder), .. }) if holder == self.holder);
        if mine {
            memory.claims.remove(&self.digest);
        }
        mine
    }
}
