//! The sidecar's metrics: what is counted, and how it reads on a page.
//!
//! Recording costs a few relaxed additions on the thread's own shard. Names are looked up when a
//! configuration is taken, never on a call's way; a name that no configuration holds is `other`.

mod common;
mod limits;
mod load;
mod series;
mod shards;
mod standing;
mod totals;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, UNIX_EPOCH},
};

pub use common::Shares;
use fusebox_base::{
    prometheus::{
        Exemplars, Format, Text, Traced,
        histogram::{self, Family, Histogram, LONG, SHORT},
        process,
    },
    spans::Spans,
};
pub use limits::ProviderLimit;
pub use load::ProviderPlaces;
pub use series::Attempts;
use series::{KINDS, Registry, SOURCES, STATES, kind_name};
pub(super) use series::{ModelSeries, ProviderSeries};
use shards::Shards;
pub use standing::Standing;
pub use totals::Totals;

use crate::{
    call::Priority,
    clock,
    config::Provider,
    telemetry::{CacheResult, Door},
};

/// Models counted by name in a process's life; one more is `other`.
const MAX_MODELS: usize = 1_000;
/// Providers counted by name in a process's life; one more is `other`.
const MAX_PROVIDERS: usize = 256;
/// Who may be shed, by [`Priority`].
const PRIORITIES: [&str; 2] = ["interactive", "batch"];

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    shared: Shards<Shared>,
    models: Registry<ModelSeries>,
    providers: Registry<ProviderSeries>,
    pub(super) load: load::Told,
    pub(super) limits: limits::Limits,
    pub(super) standing: standing::Told,
    pub(super) common: common::Common,
    /// Traces that calls' times can be looked up in, and those of their first tokens.
    took: Exemplars<{ LONG.len() }>,
    first_token: Exemplars<{ LONG.len() }>,
    fleet: Fleet,
    /// Seconds since the Unix epoch.
    started: f64,
}

/// How this process and its fleet get on.
#[derive(Debug, Default)]
struct Fleet {
    connected: AtomicBool,
    took: Histogram<{ SHORT.len() }>,
}

/// What has neither model nor provider.
#[derive(Debug, Default)]
struct Shared {
    in_flight: AtomicI64,
    connections: [AtomicI64; Door::ALL.len()],
    took: Histogram<{ LONG.len() }>,
    first_token: Histogram<{ LONG.len() }>,
    overhead: Histogram<{ SHORT.len() }>,
    shed: [AtomicU64; PRIORITIES.len()],
    cache: [AtomicU64; CacheResult::ALL.len()],
}

impl Metrics {
    /// Counters for about `threads` threads that record.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            shared: Shards::new(threads),
            models: Registry::new(MAX_MODELS, threads),
            providers: Registry::new(MAX_PROVIDERS, threads),
            load: load::Told::default(),
            limits: limits::Limits::default(),
            standing: standing::Told::default(),
            common: common::Common::default(),
            took: Exemplars::default(),
            first_token: Exemplars::default(),
            fleet: Fleet::default(),
            started: clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        }
    }

    /// The series of a model's name.
    pub(super) fn model(&self, name: &Arc<str>) -> Arc<ModelSeries> {
        self.models.named(name)
    }

    /// The series of every model without a name of its own.
    pub(super) fn other_model(&self) -> Arc<ModelSeries> {
        self.models.other()
    }

    /// The series of a provider's name.
    pub(super) fn provider(&self, name: &Arc<str>) -> Arc<ProviderSeries> {
        self.providers.named(name)
    }

    /// The series of every provider without a name of its own.
    pub(super) fn other_provider(&self) -> Arc<ProviderSeries> {
        self.providers.other()
    }

    /// From now on these providers have breakers, and no others.
    pub(super) fn set_live(&self, providers: &[Arc<Provider>]) {
        providers.iter().for_each(|provider| drop(self.providers.named(&provider.name)));
        for series in self.providers.all() {
            let provider = providers.iter().find(|provider| provider.name == series.name);
            series.set_live(provider.map(|provider| provider.scope));
        }
    }

    /// Attempts so far, by provider.
    pub(super) fn attempts(&self) -> HashMap<Arc<str>, Attempts> {
        self.providers.all().into_iter().map(|series| (Arc::clone(&series.name), series.attempts())).collect()
    }

    /// Whether the shared store answers, from now on.
    pub(super) fn set_fleet_connected(&self, connected: bool) {
        self.fleet.connected.store(connected, Relaxed);
    }

    /// One synchronisation with the shared store took so long.
    pub(super) fn fleet_synchronised(&self, took: Duration) {
        self.fleet.took.record(&SHORT, took);
    }

    /// One more call in flight.
    pub(super) fn call_began(&self) {
        self.shared.mine().in_flight.fetch_add(1, Relaxed);
    }

    /// One call fewer in flight.
    pub(super) fn call_left(&self) {
        self.shared.mine().in_flight.fetch_sub(1, Relaxed);
    }

    /// A call took so long in all, and so long in Fusebox itself where that is known; `of`: its span, if that is sampled.
    pub(super) fn call_took(&self, took: Duration, overhead: Option<Duration>, of: Option<Traced>) {
        let shard = self.shared.mine();
        shard.took.record(&LONG, took);
        if let Some(of) = of {
            self.took.keep(&LONG, took, of);
        }
        if let Some(overhead) = overhead {
            shard.overhead.record(&SHORT, overhead);
        }
    }

    /// A call's first token came so long after its arrival; `of`: its span, if that is sampled.
    pub(super) fn first_token(&self, after: Duration, of: Option<Traced>) {
        self.shared.mine().first_token.record(&LONG, after);
        if let Some(of) = of {
            self.first_token.keep(&LONG, after, of);
        }
    }

    /// A call was refused to protect those in flight.
    pub(super) fn shed(&self, priority: Priority) {
        self.shared.mine().shed[priority as usize].fetch_add(1, Relaxed);
    }

    /// So many look-ups in the cache, or answers to be kept there, came to `result`.
    pub(super) fn cache(&self, result: CacheResult, count: u64) {
        self.shared.mine().cache[result as usize].fetch_add(count, Relaxed);
    }

    /// A connection opened (1) or closed (-1).
    pub(super) fn connections(&self, door: Door, change: i64) {
        self.shared.mine().connections[door as usize].fetch_add(change, Relaxed);
    }

    /// Calls in flight.
    pub(super) fn in_flight(&self) -> u64 {
        self.level(|shard| &shard.in_flight)
    }

    /// A sum of levels. What rises on one thread may fall on another, so shards are negative at times; the sum is not.
    fn level(&self, of: impl Fn(&Shared) -> &AtomicI64) -> u64 {
        let sum: i64 = self.shared.iter().map(|shard| of(shard).load(Relaxed)).sum();
        u64::try_from(sum).unwrap_or(0)
    }

    /// The page. `spans` are those of the exporter, if there is one; `critical` failures are by reason.
    pub(super) fn render(&self, format: Format, spans: Option<Spans>, critical: &[(&str, u64)]) -> String {
        let mut text = Text::new(format);
        self.standing.write(&mut text);
        self.write_calls(&mut text);
        self.write_providers(&mut text);
        self.write_limits(&mut text);
        self.write_cache(&mut text);
        self.write_fleet(&mut text);
        let help = "Failures that a person must hear of, by reason.";
        text.family("fusebox_critical_errors_total", "counter", help);
        for (reason, count) in critical {
            text.sample("fusebox_critical_errors_total", &[("reason", reason)], count);
        }
        if let Some(spans) = spans {
            fusebox_base::spans::write(&mut text, spans);
        }
        text.family("fusebox_build_info", "gauge", "Always 1.");
        text.sample("fusebox_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let help = "When the process started, in seconds since the Unix epoch.";
        text.single("process_start_time_seconds", "gauge", help, self.started);
        process::write(&mut text);
        text.finish()
    }

    fn write_calls(&self, text: &mut Text) {
        let name = "fusebox_calls_total";
        text.family(name, "counter", "Calls by their one outcome; kind is ok, or the error's.");
        for model in self.models.all() {
            for (source, source_name) in SOURCES.iter().enumerate() {
                for kind in 0..KINDS {
                    let count = model.shards.sum(|shard| shard.calls[source][kind].load(Relaxed));
                    // A series that starts at zero lets a rate see its first increase.
                    if count > 0 || (kind == 0 && *source_name == "primary") {
                        let labels = [("model", &*model.name), ("source", source_name), ("kind", kind_name(kind))];
                        text.sample(name, &labels, count);
                    }
                }
            }
        }
        let name = "fusebox_call_duration_seconds";
        text.family(name, "histogram", "From a call's arrival to its outcome.");
        let family = Family { name, labels: &[], bounds: &LONG, exemplars: Some(&self.took) };
        family.write(text, self.shared.iter().map(|shard| &shard.took));
        let name = "fusebox_first_token_seconds";
        text.family(name, "histogram", "From a streamed call's arrival to its first token.");
        let family = Family { name, labels: &[], bounds: &LONG, exemplars: Some(&self.first_token) };
        family.write(text, self.shared.iter().map(|shard| &shard.first_token));
        let name = "fusebox_overhead_seconds";
        text.family(
            name,
            "histogram",
            "The time that a call spent in Fusebox itself, neither in an attempt nor in a wait.",
        );
        histogram::write(text, name, &[], &SHORT, self.shared.iter().map(|shard| &shard.overhead));
        text.single("fusebox_in_flight", "gauge", "Calls in flight.", self.in_flight());
        text.family("fusebox_connections", "gauge", "Open connections of callers.");
        for door in Door::ALL {
            let open = self.level(|shard| &shard.connections[door as usize]);
            text.sample("fusebox_connections", &[("door", door.name())], open);
        }
        text.family("fusebox_shed_total", "counter", "Calls refused to protect those in flight.");
        for (index, priority) in PRIORITIES.iter().enumerate() {
            let count = self.shared.sum(|shard| shard.shed[index].load(Relaxed));
            text.sample("fusebox_shed_total", &[("priority", priority)], count);
        }
    }

    fn write_providers(&self, text: &mut Text) {
        let mut providers = self.providers.all();
        providers.retain(|one| one.breaker().is_some() || one.shards.sum(|shard| total(&shard.attempts)) > 0);
        let name = "fusebox_attempts_total";
        text.family(name, "counter", "Attempts at a provider; kind is ok, or the error's.");
        for one in &providers {
            kinds(text, name, one, "kind", 0, |kind| one.shards.sum(|shard| shard.attempts[kind].load(Relaxed)));
        }
        let name = "fusebox_attempt_duration_seconds";
        text.family(name, "histogram", "From an attempt's start to its end, a stream's last token included.");
        for one in &providers {
            let labels = [("provider", &*one.name)];
            let family = Family { name, labels: &labels, bounds: &LONG, exemplars: Some(&one.took) };
            family.write(text, one.shards.iter().map(|shard| &shard.took));
        }
        let name = "fusebox_retries_total";
        text.family(name, "counter", "Attempts that followed one that failed at the same provider, by how it failed.");
        for one in &providers {
            kinds(text, name, one, "reason", KINDS, |kind| one.shards.sum(|shard| shard.retries[kind].load(Relaxed)));
        }
        let name = "fusebox_retries_refused_total";
        text.family(name, "counter", "Retries that were left out, for a provider's retry budget was spent.");
        for one in &providers {
            let count = one.shards.sum(|shard| shard.unpaid.load(Relaxed));
            text.sample(name, &[("provider", &one.name)], count);
        }
        text.family("fusebox_breaker_state", "gauge", "A provider's breaker: 0 closed, 1 half-open, 2 open.");
        for one in &providers {
            if let Some((scope, state)) = one.breaker() {
                text.sample("fusebox_breaker_state", &[("provider", &one.name), ("scope", scope)], state);
            }
        }
        let name = "fusebox_breaker_transitions_total";
        text.family(name, "counter", "Moves of a provider's breaker.");
        for one in &providers {
            for (from, row) in STATES.iter().zip(&one.transitions) {
                for (to, count) in STATES.iter().zip(row).map(|(to, count)| (to, count.load(Relaxed))) {
                    if count > 0 || (*from, *to) == ("closed", "open") {
                        text.sample(name, &[("provider", &one.name), ("from", from), ("to", to)], count);
                    }
                }
            }
        }
        text.family("fusebox_tokens_total", "counter", "Tokens as the provider counted them.");
        for one in &providers {
            let (input, output) = (
                one.shards.sum(|shard| shard.input_tokens.load(Relaxed)),
                one.shards.sum(|shard| shard.output_tokens.load(Relaxed)),
            );
            text.sample("fusebox_tokens_total", &[("provider", &one.name), ("direction", "input")], input);
            text.sample("fusebox_tokens_total", &[("provider", &one.name), ("direction", "output")], output);
        }
        text.family("fusebox_cost_total", "counter", "What tokens cost, in the currency of the configured prices.");
        for one in &providers {
            let cost = one.shards.sum(|shard| shard.cost_nanos.load(Relaxed)) as f64 / 1e9;
            text.sample("fusebox_cost_total", &[("provider", &one.name)], cost);
        }
    }

    fn write_limits(&self, text: &mut Text) {
        let providers = self.providers.all();
        self.limits.write(text, |limit| {
            let series = providers.iter().find(|series| series.name == limit.provider);
            series.map_or(0, |series| series.all_held_back(limit.limit))
        });
    }

    fn write_cache(&self, text: &mut Text) {
        let name = "fusebox_cache_requests_total";
        text.family(name, "counter", "Look-ups in the cache, and answers to be kept there, by what became of them.");
        for result in CacheResult::ALL {
            let count = self.shared.sum(|shard| shard.cache[result as usize].load(Relaxed));
            text.sample(name, &[("result", result.name())], count);
        }
    }

    /// Load, and how this process and its fleet get on.
    fn write_fleet(&self, text: &mut Text) {
        self.load.write(text);
        let connected = u64::from(self.fleet.connected.load(Relaxed));
        text.single("fusebox_fleet_connected", "gauge", "Whether the shared store answers.", connected);
        let name = "fusebox_fleet_sync_seconds";
        text.family(name, "histogram", "One synchronisation with the shared store.");
        histogram::write(text, name, &[], &SHORT, std::iter::once(&self.fleet.took));
        self.common.write(text);
    }
}

fn total(counters: &[AtomicU64]) -> u64 {
    counters.iter().fold(0, |sum, counter| sum.wrapping_add(counter.load(Relaxed)))
}

/// One provider's samples of a family by kind: those that are not zero, and the one that is `always` there.
fn kinds(text: &mut Text, name: &str, one: &ProviderSeries, label: &str, always: usize, count: impl Fn(usize) -> u64) {
    for kind in 0..KINDS {
        let count = count(kind);
        if count > 0 || kind == always {
            text.sample(name, &[("provider", &one.name), (label, kind_name(kind))], count);
        }
    }
}

#[cfg(test)]
mod tests;
