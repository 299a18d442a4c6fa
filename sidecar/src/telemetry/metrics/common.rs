//! What calls share across sidecars, in numbers. Beside each stands a trip to the store, so that they need no shards.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Text;
use crate::telemetry::{ClaimResult, RunExchange};

/// All of it.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Common {
    runs: [AtomicU64; RunExchange::ALL.len()],
    claims: [AtomicU64; ClaimResult::ALL.len()],
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
