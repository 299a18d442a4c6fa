//! Providers and models as operators see them: what the sidecars say of them, what is shared, and what is set.

use std::collections::{BTreeMap, BTreeSet};

use fusebox_proto::{
    store::{Heartbeat, ProviderBeat, breaker_record::State},
    v1,
};
use fusebox_rules::{
    breaker::Mode,
    fleet::{Record, Stamp, settings::Settings},
};
use fusebox_store::errors::{Minute, Tally, Total};

use super::{
    seen::{Seen, Series},
    wire,
};

/// What callers may name where no model is configured.
pub(super) const ANY_MODEL: &str = "*";

/// All of them, in the order of their ranks.
pub(super) fn providers(seen: &Seen) -> Vec<v1::Provider> {
    let served = served(seen);
    let mut all: Vec<_> = seen.providers().into_iter().map(|name| provider(name, seen, &served)).collect();
    all.sort_by(|one, other| (one.priority, &one.name).cmp(&(other.priority, &other.name)));
    all
}

/// Models that sidecars serve, each with its providers as most sidecars rank them.
pub(super) fn models(seen: &Seen, providers: &[v1::Provider]) -> Vec<v1::Model> {
    let mut votes: BTreeMap<String, BTreeMap<Vec<String>, usize>> = BTreeMap::new();
    for alive in seen.live() {
        for (model, providers) in served_by(&alive.heartbeat) {
            *votes.entry(model).or_default().entry(providers).or_default() += 1;
        }
    }
    let asked: BTreeSet<&str> = providers.iter().filter(|one| may_be_asked(one)).map(|one| one.name.as_str()).collect();
    let model = |(name, votes): (String, BTreeMap<Vec<String>, usize>)| {
        let most =
            votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(providers, _)| providers).unwrap_or_default();
        let enabled = most.iter().filter(|name| asked.contains(name.as_str())).count();
        v1::Model { name, enabled: u32::try_from(enabled).unwrap_or(u32::MAX), providers: most }
    };
    votes.into_iter().map(model).collect()
}

/// A model, and who would be left to serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsLeft {
    /// Its name; `*` where none is configured.
    pub model: String,
    /// Those that are left, by rank; of the sidecar that has fewest.
    pub left: Vec<String>,
    /// Live sidecars at which nobody is left.
    pub without: usize,
    /// Live sidecars that serve it.
    pub sidecars: usize,
}

/// Who would be left to serve the models that `provider` serves, if it were not asked any more where `held` holds at `now`.
#[must_use]
pub fn models_left(seen: &Seen, held: &Settings, now: Stamp, provider: &str) -> Vec<ModelsLeft> {
    let mut found: BTreeMap<String, ModelsLeft> = BTreeMap::new();
    for alive in seen.live() {
        let beat = &alive.heartbeat;
        for (model, providers) in served_by(beat).into_iter().filter(|(_, all)| all.iter().any(|one| one == provider)) {
            let asked = |name: &String| {
                let set = held.provider(name, now);
                let forced = set.breaker.is_some_and(|said| said.value == Mode::ForcedOpen);
                name != provider && !forced && beat.providers.iter().any(|one| one.name == *name && one.enabled)
            };
            let left: Vec<String> = providers.into_iter().filter(asked).collect();
            let one = found.entry(model.clone()).or_insert_with(|| ModelsLeft {
                model,
                left: left.clone(),
                without: 0,
                sidecars: 0,
            });
            one.sidecars += 1;
            one.without += usize::from(left.is_empty());
            if left.len() < one.left.len() {
                one.left = left;
            }
        }
    }
    found.into_values().collect()
}

/// Errors of all providers together.
pub(super) fn together(seen: &Seen) -> (v1::ErrorMetrics, Vec<v1::ErrorMinute>) {
    let mut metrics = v1::ErrorMetrics::default();
    let mut patterns: BTreeMap<String, u64> = BTreeMap::new();
    let mut minutes: BTreeMap<Stamp, Minute> = BTreeMap::new();
    for series in seen.series.values() {
        let own = errors(&series.tally, seen.at);
        metrics.calls_1m += own.calls_1m;
        metrics.errors_1m += own.errors_1m;
        own.rate_1m.into_iter().for_each(|(kind, rate)| *metrics.rate_1m.entry(kind).or_default() += rate);
        own.rate_1h.into_iter().for_each(|(kind, rate)| *metrics.rate_1h.entry(kind).or_default() += rate);
        own.top_patterns.into_iter().for_each(|one| *patterns.entry(one.pattern).or_default() += one.count);
        for minute in &series.minutes {
            let Total { calls, errors } = &mut minutes
                .entry(minute.at)
                .or_insert_with(|| Minute { at: minute.at, total: Total::default() })
                .total;
            *calls += minute.total.calls;
            minute.total.errors.iter().for_each(|(kind, many)| *errors.entry(kind.clone()).or_default() += many);
        }
    }
    let mut patterns: Vec<_> =
        patterns.into_iter().map(|(pattern, count)| v1::ErrorPattern { pattern, count }).collect();
    patterns.sort_by_key(|one| std::cmp::Reverse(one.count));
    patterns.truncate(MOST_PATTERNS);
    metrics.top_patterns = patterns;
    (metrics, minutes.values().map(minute).collect())
}

/// Patterns that are shown.
const MOST_PATTERNS: usize = 20;

/// Who serves which models, over all live sidecars.
fn served(seen: &Seen) -> BTreeMap<String, BTreeSet<String>> {
    let mut served: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (model, providers) in seen.live().flat_map(|alive| served_by(&alive.heartbeat)) {
        for provider in providers {
            served.entry(provider).or_default().insert(model.clone());
        }
    }
    served
}

/// A sidecar's models; where it has none, any name is passed on to every provider.
fn served_by(beat: &Heartbeat) -> Vec<(String, Vec<String>)> {
    if beat.models.is_empty() && !beat.providers.is_empty() {
        let mut all: Vec<_> = beat.providers.iter().map(|one| (one.priority, one.name.clone())).collect();
        all.sort();
        return vec![(ANY_MODEL.to_owned(), all.into_iter().map(|(_, name)| name).collect())];
    }
    beat.models.iter().map(|model| (model.name.clone(), model.providers.clone())).collect()
}

fn provider(name: &str, seen: &Seen, served: &BTreeMap<String, BTreeSet<String>>) -> v1::Provider {
    let set = seen.settings.provider(name, seen.at);
    let beats: Vec<(&Heartbeat, &ProviderBeat)> = seen.live().filter_map(|alive| of(&alive.heartbeat, name)).collect();
    let count = |wanted: &dyn Fn(&(&Heartbeat, &ProviderBeat)) -> bool| {
        u32::try_from(beats.iter().filter(|one| wanted(one)).count()).unwrap_or(u32::MAX)
    };
    let common = |pick: &dyn Fn(&ProviderBeat) -> u32| commonest(beats.iter().map(|(_, one)| pick(one)));
    let said_enabled = common(&|one| u32::from(one.enabled)).is_none_or(|enabled| enabled == 1);
    let enabled = set.enabled.map_or(said_enabled, |said| said.value);
    let priority = set.priority.map_or_else(|| common(&|one| one.priority).unwrap_or_default(), |said| said.value);
    let mixed = beats.iter().any(|(_, one)| (one.enabled, one.priority) != (enabled, priority));
    let version = seen.settings.version;
    let series = seen.series.get(name);
    let mut breaker = wire::breaker(seen.breakers.get(name).unwrap_or(&Record::default()));
    if let Some(said) = set.breaker {
        breaker.mode = wire::mode(said.value).into();
    }
    v1::Provider {
        name: name.to_owned(),
        enabled,
        priority,
        breaker: Some(breaker),
        errors: Some(series.map(|series| errors(&series.tally, seen.at)).unwrap_or_default()),
        sidecars_applied: count(&|(beat, _)| beat.settings_version >= version),
        sidecars_total: count(&|_| true),
        sidecars_open: count(&|(_, one)| one.state() == State::Open),
        enabled_word: set.enabled.map(|said| wire::word(&said.word)),
        priority_word: set.priority.map(|said| wire::word(&said.word)),
        breaker_word: set.breaker.map(|said| wire::word(&said.word)),
        history: series.map(history).unwrap_or_default(),
        calls_per_second: beats.iter().map(|(_, one)| one.calls_per_second).sum(),
        errors_per_second: beats.iter().map(|(_, one)| one.errors_per_second).sum(),
        models: served.get(name).map(|models| models.iter().cloned().collect()).unwrap_or_default(),
        shared: beats.iter().any(|(_, one)| one.shared),
        mixed,
    }
}

fn of<'a>(beat: &'a Heartbeat, name: &str) -> Option<(&'a Heartbeat, &'a ProviderBeat)> {
    beat.providers.iter().find(|one| one.name == name).map(|one| (beat, one))
}

fn commonest(values: impl Iterator<Item = u32>) -> Option<u32> {
    let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
    values.for_each(|value| *votes.entry(value).or_default() += 1);
    votes.into_iter().max_by_key(|(value, votes)| (*votes, std::cmp::Reverse(*value))).map(|(value, _)| value)
}

fn may_be_asked(provider: &v1::Provider) -> bool {
    let forced = provider.breaker.as_ref().is_some_and(|breaker| breaker.mode() == v1::BreakerMode::ForcedOpen);
    provider.enabled && !forced
}

fn history(series: &Series) -> Vec<v1::ErrorMinute> {
    series.minutes.iter().map(minute).collect()
}

fn minute(minute: &Minute) -> v1::ErrorMinute {
    v1::ErrorMinute {
        at: wire::timestamp(minute.at),
        calls: minute.total.calls,
        errors: minute.total.errors.clone().into_iter().collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn errors(tally: &Tally, now: Stamp) -> v1::ErrorMetrics {
    // A young fleet's hour is shorter, and no shorter than a minute: then the rates would be of nothing.
    let minutes = (tally.reach(now).as_secs_f64() / 60.0).max(1.0);
    let hour = tally.hour.errors.iter();
    v1::ErrorMetrics {
        rate_1m: tally.minute.errors.iter().map(|(kind, many)| (kind.clone(), *many as f64)).collect(),
        rate_1h: hour.map(|(kind, many)| (kind.clone(), *many as f64 / minutes)).collect(),
        calls_1m: tally.minute.calls,
        errors_1m: tally.minute.failed(),
        top_patterns: tally
            .patterns
            .iter()
            .map(|(pattern, count)| v1::ErrorPattern { pattern: pattern.clone(), count: *count })
            .collect(),
    }
}
