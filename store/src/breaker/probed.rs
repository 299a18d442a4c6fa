//! What became of a leased probe. Told twice, it counts once.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits, millis},
};

/// Ends a probe's lease.
#[derive(Debug, Clone)]
pub struct Probed<'a> {
    /// Whom it asked.
    pub provider: &'a str,
    /// The epoch in which it was leased.
    pub epoch: u64,
    /// The lease.
    pub token: u64,
    /// Whether the provider did well; `None`: nothing can be said, or it was not sent.
    pub good: Option<bool>,
}

/// What the probes of an epoch have shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Those that succeeded.
    pub good: u32,
    /// Those that failed.
    pub bad: u32,
}

/// How long outcomes are remembered: longer than any half-open state lasts.
const REMEMBERED: Duration = Duration::from_secs(3_600);

impl Operation for Probed<'_> {
    type Reply = Proof;

    const SCRIPT: &'static str = scripts::PROBED;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        ["breaker", "leases", "probes"].map(|what| keys.provider(self.provider, what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let outcome = match self.good {
            Some(true) => "good",
            Some(false) => "bad",
            None => "",
        };
        vec![digits(self.epoch), digits(self.token), outcome.into(), millis(REMEMBERED)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Proof, StoreError> {
        Ok(Proof { good: reply.number()?, bad: reply.number()? })
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Proof {
        let held = memory.breaker(self.provider);
        held.leases.remove(&self.token);
        if held.proofs_of != Some(self.epoch) {
            if held.record.epoch != self.epoch {
                return Proof { good: 0, bad: 0 };
            }
            held.proofs.clear();
            held.proofs_of = Some(self.epoch);
        }
        if let Some(good) = self.good {
            held.proofs.entry(self.token).or_insert(good);
        }
        let count = |good| u32::try_from(held.proofs.values().filter(|proof| **proof == good).count());
        Proof { good: count(true).unwrap_or(u32::MAX), bad: count(false).unwrap_or(u32::MAX) }
    }
}
