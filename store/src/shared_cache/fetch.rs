//! Looks for an answer.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::key;
use crate::{
    Memory, Operation, StoreError,
    body::Body,
    digest::SharedDigest,
    operation::{Place, Reply},
};

/// Asks for the answer to what a digest stands for; `None`: there is none, or no longer.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// Of the question, and of all that makes one answer differ from another.
    pub digest: SharedDigest,
}

impl Operation for Fetch {
    type Reply = Option<Body>;

    const SCRIPT: &'static str = scripts::FETCH;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, &self.digest)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Option<Body>, StoreError> {
        let is_there = reply.number::<u8>()? == 1;
        let body = Body::read(reply)?;
        Ok(is_there.then_some(body))
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Option<Body> {
        let held = memory.shared_cache.answers.get(&self.digest.hex());
        held.filter(|(until, _)| *until > now).map(|(_, body)| body.clone())
    }
}
