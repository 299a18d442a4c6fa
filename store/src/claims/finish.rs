//! Tells what came of a call that was claimed.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{Entry, Is, LONGEST, key};
use crate::{
    Memory, Operation, StoreError,
    body::Body,
    digest::SharedDigest,
    operation::{Place, Reply, SHORTEST, millis},
};

/// Puts an answer in the place of its claim. The reply is whether it is the one that all get; if not, another was
/// finished before, and is found by claiming.
#[derive(Debug, Clone)]
pub struct Finish<'a> {
    /// As in [`Claim`](super::Claim).
    pub digest: SharedDigest,
    /// The answer.
    pub body: &'a Body,
    /// How long it is kept; no longer than a week.
    pub lasts: Duration,
}

impl Finish<'_> {
    fn lasts(&self) -> Duration {
        self.lasts.clamp(SHORTEST, LONGEST)
    }
}

impl Operation for Finish<'_> {
    type Reply = bool;

    const SCRIPT: &'static str = scripts::FINISH;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, &self.digest)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.body.as_bytes().to_vec(), millis(self.lasts())]
    }

    fn read(&self, reply: &mut Reply) -> Result<bool, StoreError> {
        Ok(reply.number::<u8>()? == 1)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> bool {
        if matches!(memory.claims.get(&self.digest, now), Some(Entry { is: Is::Done(_), .. })) {
            return false;
        }
        let is = Is::Done(self.body.clone());
        memory.claims.put(&self.digest, Entry { until: now + self.lasts(), since: now, is });
        true
    }
}
