//! What is known of a run, for a sidecar to which its first call comes. It may ask before that call, and wait for no
//! longer than it likes.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::{
    fleet::Stamp,
    run::others::{MAX_TOLD, Others},
};

use super::{key, known, read};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Asks what a run has spent, over all sidecars.
#[derive(Debug, Clone)]
pub struct Look<'a> {
    /// Its id.
    pub run: &'a str,
    /// Tool calls, by their prints, of which to say how often each was asked for; no more than 16.
    pub prints: &'a [u64],
}

impl Look<'_> {
    fn prints(&self) -> impl Iterator<Item = u64> {
        self.prints.iter().take(MAX_TOLD).copied()
    }
}

impl Operation for Look<'_> {
    type Reply = Others;

    const SCRIPT: &'static str = scripts::LOOK;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, self.run)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        self.prints().map(digits).collect()
    }

    fn read(&self, reply: &mut Reply) -> Result<Others, StoreError> {
        let _kept: u8 = reply.number()?;
        read(reply, self.prints())
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Others {
        known(memory.runs.get(self.run).filter(|run| run.until > now), self.prints(), now)
    }
}
