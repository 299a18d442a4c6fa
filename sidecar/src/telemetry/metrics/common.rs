//! What calls share across sidecars, in numbers. Beside each stands a trip to the store, so that they need no shards.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{Metrics, Text};
use crate::telemetry::{CacheResult, ClaimResult, RunExchange};

/// All of it.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Common {
    runs: [AtomicU64; RunExchange::ALL.len()],
    claims: [AtomicU64; ClaimResult::ALL.len()],
}

/// What calls have shared with other sidecars since the process began, by what came of it, as the metrics' labels name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// Exchanges about agent runs.
    pub runs: BTreeMap<&'static str, u64>,
    /// Calls under idempotency keys.
    pub claims: BTreeMap<&'static str, u64>,
    /// Look-ups in what others have kept, and answers kept for them.
    pub cache: BTreeMap<&'static str, u64>,
}

impl Metrics {
    /// What calls have shared so far.
    pub(in crate::telemetry) fn shares(&self) -> Shares {
        let Common { runs, claims } = &self.common;
        let cache = |result: CacheResult| self.shared.sum(|shard| shard.cache[result as usize].load(Relaxed));
        Shares {
            runs: RunExchange::ALL.map(|result| (result.name(), runs[result as usize].load(Relaxed))).into(),
            claims: ClaimResult::ALL.map(|result| (result.name(), claims[result as usize].load(Relaxed))).into(),
            cache: CacheResult::OF_FLEET.map(|result| (result.name(), cache(result))).into(),
        }
    }
}

impl Common {
    pub(in crate::telemetry) fn run_exchanged(&self, result: RunExchange) {
        self.runs[result as usize].fetch_add(1, Relaxed);
    }

    pub(in crate::telemetry) fn claimed(&self, result: ClaimResult) {
        self.claims[result as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn write(&self, text: &mut Text) {
        let name = "fusebox_run_exchanges_total";
        text.family(name, "counter", "Exchanges with the fleet about agent runs, by what came of them.");
        for result in RunExchange::ALL {
            text.sample(name, &[("result", result.name())], self.runs[result as usize].load(Relaxed));
        }
        let name = "fusebox_claims_total";
        text.family(name, "counter", "Calls under idempotency keys that the fleet shares, by whose they were.");
        for result in ClaimResult::ALL {
            text.sample(name, &[("result", result.name())], self.claims[result as usize].load(Relaxed));
        }
    }
}
