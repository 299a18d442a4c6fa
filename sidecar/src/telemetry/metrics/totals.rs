//! All calls since the process began in a few sums, for whoever adds up several processes. Nothing is counted for them
//! that the page does not show.

use std::{collections::BTreeMap, sync::atomic::Ordering::Relaxed};

use super::{Metrics, SOURCES, total};

/// What was counted of all models and providers together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed in any way, and those whose callers hung up.
    pub errors: u64,
    /// The others, by the source of the answer; a source of which there was none is not there.
    pub answers: BTreeMap<&'static str, u64>,
    /// Tokens as the providers counted them.
    pub input_tokens: u64,
    /// The same, of answers.
    pub output_tokens: u64,
    /// In the currency of the configured prices.
    pub cost: f64,
}

impl Metrics {
    /// All so far.
    pub(in crate::telemetry) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for model in self.models.all() {
            for (source, name) in SOURCES.into_iter().enumerate() {
                let all = model.shards.sum(|shard| total(&shard.calls[source]));
                let good = model.shards.sum(|shard| shard.calls[source][0].load(Relaxed));
                totals.calls += all;
                totals.errors += all.saturating_sub(good);
                if good > 0 {
                    *totals.answers.entry(name).or_default() += good;
                }
            }
        }
        let mut cost_nanos = 0_u64;
        for provider in self.providers.all() {
            totals.input_tokens += provider.shards.sum(|shard| shard.input_tokens.load(Relaxed));
            totals.output_tokens += provider.shards.sum(|shard| shard.output_tokens.load(Relaxed));
            cost_nanos += provider.shards.sum(|shard| shard.cost_nanos.load(Relaxed));
        }
        Totals { cost: cost_nanos as f64 / 1e9, ..totals }
    }
}
