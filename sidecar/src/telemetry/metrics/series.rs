//! One model's and one provider's counters. They outlive configurations, so that a reload resets none.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU8, AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};
use std::time::Duration;

use fusebox_base::prometheus::{
    Exemplars, Traced,
    histogram::{Histogram, LONG},
};
use fusebox_rules::fleet::bucket::Unit;
use parking_lot::Mutex;

use super::shards::Shards;
use crate::{
    call::outcome::Source,
    chat::answer::Usage,
    config::Scope,
    error::ErrorKind,
    telemetry::{BreakerState, Transition, ledger::cost_nanos},
};

/// Every kind, and `ok` before them.
pub(super) const KINDS: usize = ErrorKind::ALL.len() + 1;
/// Where answers come from, and `none` before them.
pub(super) const SOURCES: [&str; 6] = ["none", "primary", "fallback", "cache", "simplified", "static"];
/// A breaker's states, in the order of [`BreakerState`]'s numbers.
pub(super) const STATES: [&str; 3] = ["closed", "half_open", "open"];
/// What a label says that may not say more.
pub(super) const OTHER: &str = "other";

pub(super) type Counters<const N: usize> = [AtomicU64; N];

/// The label of a kind by its index.
pub(super) fn kind_name(index: usize) -> &'static str {
    index.checked_sub(1).and_then(|index| ErrorKind::ALL.get(index)).map_or("ok", |kind| kind.name())
}

/// A kind's place among [`KINDS`]; `None`: it went well.
pub(super) fn kind_index(kind: Option<ErrorKind>) -> usize {
    kind.map_or(0, |kind| kind as usize + 1)
}

fn source_index(source: Option<Source>) -> usize {
    match source {
        None => 0,
        Some(Source::Primary) => 1,
        Some(Source::Fallback) => 2,
        Some(Source::Cache) => 3,
        Some(Source::Simplified) => 4,
        Some(Source::Static) => 5,
    }
}

/// Something whose counters are kept under a name.
pub(super) trait Series {
    fn new(name: Arc<str>, threads: usize) -> Self;
    fn name(&self) -> &str;
}

/// Every series that was ever configured, up to a bound. Looked into when a configuration is taken and
/// when a page is written; never on a call's way.
#[derive(Debug)]
pub(super) struct Registry<T> {
    known: Mutex<Vec<Arc<T>>>,
    other: Arc<T>,
    max: usize,
    threads: usize,
}

impl<T: Series> Registry<T> {
    pub(super) fn new(max: usize, threads: usize) -> Self {
        Self { known: Mutex::default(), other: Arc::new(T::new(OTHER.into(), threads)), max, threads }
    }

    /// The series called `name`; a new one if there is none, or the one for all others where there is no room.
    pub(super) fn named(&self, name: &Arc<str>) -> Arc<T> {
        let mut known = self.known.lock();
        if let Some(series) = known.iter().find(|series| series.name() == &**name) {
            return Arc::clone(series);
        }
        if known.len() >= self.max || &**name == OTHER {
            return Arc::clone(&self.other);
        }
        let series = Arc::new(T::new(Arc::clone(name), self.threads));
        known.push(Arc::clone(&series));
        series
    }

    /// The series of whatever has none of its own.
    pub(super) fn other(&self) -> Arc<T> {
        Arc::clone(&self.other)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let mut all = self.known.lock().clone();
        all.push(self.other());
        all
    }
}

/// What is counted of one model.
#[derive(Debug)]
pub(in crate::telemetry) struct ModelSeries {
    /// As callers name it.
    pub(in crate::telemetry) name: Arc<str>,
    pub(super) shards: Shards<ModelShard>,
}

#[derive(Debug)]
pub(super) struct ModelShard {
    pub(super) calls: [Counters<KINDS>; SOURCES.len()],
}

impl Default for ModelShard {
    fn default() -> Self {
        Self { calls: std::array::from_fn(|_| zeros()) }
    }
}

impl Series for ModelSeries {
    fn new(name: Arc<str>, threads: usize) -> Self {
        Self { name, shards: Shards::new(threads) }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl ModelSeries {
    /// A call ended.
    pub(in crate::telemetry) fn call(&self, source: Option<Source>, kind: Option<ErrorKind>) {
        self.shards.mine().calls[source_index(source)][kind_index(kind)].fetch_add(1, Relaxed);
    }
}

/// Attempts that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attempts {
    /// All of them.
    pub all: u64,
    /// Those that failed.
    pub failed: u64,
}

/// What is counted of one provider.
#[derive(Debug)]
pub(in crate::telemetry) struct ProviderSeries {
    /// As the configuration names it.
    pub(in crate::telemetry) name: Arc<str>,
    pub(super) shards: Shards<ProviderShard>,
    /// `[from][to]`; rare, so not sharded.
    pub(super) transitions: [Counters<{ STATES.len() }>; STATES.len()],
    /// Traces that attempts' times can be looked up in.
    pub(super) took: Exemplars<{ LONG.len() }>,
    state: AtomicU8,
    fleet: AtomicBool,
    /// Whether the configuration in force has it. What left is still counted, and has no state.
    live: AtomicBool,
}

#[derive(Debug)]
pub(super) struct ProviderShard {
    pub(super) attempts: Counters<KINDS>,
    pub(super) retries: Counters<KINDS>,
    /// Retries that the budget did not pay for.
    pub(super) unpaid: AtomicU64,
    /// By [`Unit`].
    pub(super) held_back: Counters<{ Unit::ALL.len() }>,
    pub(super) took: Histogram<{ LONG.len() }>,
    pub(super) input_tokens: AtomicU64,
    pub(super) output_tokens: AtomicU64,
    /// Billionths of the operator's currency.
    pub(super) cost_nanos: AtomicU64,
}

impl Default for ProviderShard {
    fn default() -> Self {
        Self {
            attempts: zeros(),
            retries: zeros(),
            unpaid: AtomicU64::default(),
            held_back: zeros(),
            took: Histogram::default(),
            input_tokens: AtomicU64::default(),
            output_tokens: AtomicU64::default(),
            cost_nanos: AtomicU64::default(),
        }
    }
}

impl Series for ProviderSeries {
    fn new(name: Arc<str>, threads: usize) -> Self {
        Self {
            name,
            shards: Shards::new(threads),
            transitions: std::array::from_fn(|_| zeros()),
            took: Exemplars::default(),
            state: AtomicU8::default(),
            fleet: AtomicBool::default(),
            live: AtomicBool::default(),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl ProviderSeries {
    /// An attempt ended `took` after it began; `of`: its span, if that is sampled.
    pub(in crate::telemetry) fn attempt(&self, kind: Option<ErrorKind>, took: Duration, of: Option<Traced>) {
        let shard = self.shards.mine();
        shard.attempts[kind_index(kind)].fetch_add(1, Relaxed);
        shard.took.record(&LONG, took);
        if let Some(of) = of {
            self.took.keep(&LONG, took, of);
        }
    }

    /// All of them so far.
    pub(super) fn attempts(&self) -> Attempts {
        let of = |kind: usize| self.shards.sum(|shard| shard.attempts[kind].load(Relaxed));
        let all = (0..KINDS).map(of).fold(0_u64, u64::wrapping_add);
        Attempts { all, failed: all.saturating_sub(of(kind_index(None))) }
    }

    /// Another attempt follows one that failed with `kind`.
    pub(in crate::telemetry) fn retry(&self, kind: ErrorKind) {
        self.shards.mine().retries[kind_index(Some(kind))].fetch_add(1, Relaxed);
    }

    /// Its retry budget did not pay for another attempt.
    pub(in crate::telemetry) fn unpaid(&self) {
        self.shards.mine().unpaid.fetch_add(1, Relaxed);
    }

    /// Its rate limit, of `unit`, had no room for a call.
    pub(in crate::telemetry) fn held_back(&self, unit: Unit) {
        self.shards.mine().held_back[unit as usize].fetch_add(1, Relaxed);
    }

    /// Calls for which the limit of that name had no room.
    pub(super) fn all_held_back(&self, limit: &str) -> u64 {
        let named = Unit::ALL.into_iter().filter(|unit| unit.name() == limit);
        named.map(|unit| self.shards.sum(|shard| shard.held_back[unit as usize].load(Relaxed))).sum()
    }

    /// An answer used so many tokens, at `price` for a thousand.
    pub(in crate::telemetry) fn used(&self, usage: Usage, price: f64) {
        let shard = self.shards.mine();
        shard.input_tokens.fetch_add(usage.input_tokens.into(), Relaxed);
        shard.output_tokens.fetch_add(usage.output_tokens.into(), Relaxed);
        shard.cost_nanos.fetch_add(cost_nanos(usage, price), Relaxed);
    }

    /// Its breaker moved.
    pub(in crate::telemetry) fn transition(&self, transition: Transition) {
        self.transitions[transition.from as usize][transition.to as usize].fetch_add(1, Relaxed);
        self.state.store(transition.to as u8, SeqCst);
    }

    /// What its breaker is, without having moved: at start, or after a reload.
    pub(in crate::telemetry) fn set_state(&self, state: BreakerState) {
        self.state.store(state as u8, SeqCst);
    }

    /// Whether the configuration in force has it, and whose its breaker is then.
    pub(super) fn set_live(&self, scope: Option<Scope>) {
        self.fleet.store(scope == Some(Scope::Fleet), SeqCst);
        self.live.store(scope.is_some(), SeqCst);
    }

    /// Its breaker's scope and state, if it is configured.
    pub(super) fn breaker(&self) -> Option<(&'static str, u8)> {
        let scope = if self.fleet.load(SeqCst) { "fleet" } else { "pod" };
        self.live.load(SeqCst).then(|| (scope, self.state.load(SeqCst)))
    }
}

fn zeros<const N: usize>() -> Counters<N> {
    [const { AtomicU64::new(0) }; N]
}
