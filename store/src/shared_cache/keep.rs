//! Keeps an answer for others.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{LONGEST, key};
use crate::{
    Memory, Operation, StoreError,
    body::Body,
    digest::SharedDigest,
    operation::{Place, Reply, SHORTEST, millis},
};

/// Puts an answer in the place of what was kept under its digest.
#[derive(Debug, Clone)]
pub struct Keep<'a> {
    /// As in [`Fetch`](super::Fetch).
    pub digest: SharedDigest,
    /// The answer.
    pub body: &'a Body,
    /// How long it is kept; no longer than thirty days.
    pub lasts: Duration,
}

impl Keep<'_> {
    fn lasts(&self) -> Duration {
        self.lasts.clamp(SHORTEST, LONGEST)
    }
}

impl Operation for Keep<'_> {
    type Reply = ();

    const SCRIPT: &'static str = scripts::KEEP;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, &self.digest)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.body.as_bytes().to_vec(), millis(self.lasts())]
    }

    fn read(&self, _reply: &mut Reply) -> Result<(), StoreError> {
        Ok(())
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) {
        memory.shared_cache.put(&self.digest.hex(), now + self.lasts(), self.body.clone());
    }
}
