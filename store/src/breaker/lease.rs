//! A probe of a half-open breaker, leased: so many at a time in the whole fleet, and a lost one only until it expires.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, SHORTEST, digits, millis},
};

/// Asks for leave to send one probe.
#[derive(Debug, Clone)]
pub struct Lease<'a> {
    /// To whom.
    pub provider: &'a str,
    /// The epoch in which the breaker is half-open.
    pub epoch: u64,
    /// Names the lease: drawn at random by whoever asks.
    pub token: u64,
    /// Probes that may be out at a time; zero is taken as one.
    pub most: u32,
    /// How long it lasts, unless it is ended before.
    pub lasts: Duration,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leased {
    /// Whether the probe may be sent.
    pub granted: bool,
    /// Probes that are out now.
    pub out: u32,
}

impl Operation for Lease<'_> {
    type Reply = Leased;

    const SCRIPT: &'static str = scripts::LEASE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        ["breaker", "leases"].map(|what| keys.provider(self.provider, what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![digits(self.epoch), digits(self.token), digits(self.most.max(1)), millis(self.lasts)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Leased, StoreError> {
        Ok(Leased { granted: reply.number::<u8>()? == 1, out: reply.number()? })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Leased {
        let held = memory.breaker(self.provider);
        held.leases.retain(|_, until| *until > now);
        let out = u32::try_from(held.leases.len()).unwrap_or(u32::MAX);
        if held.record.epoch != self.epoch || out >= self.most.max(1) {
            return Leased { granted: false, out };
        }
        held.leases.insert(self.token, now + self.lasts.max(SHORTEST));
        Leased { granted: true, out: out + 1 }
    }
}
