//! From what was read of the store to what is shown: a pure function.

use std::collections::BTreeMap;

use fusebox_proto::v1;
use fusebox_rules::fleet::Alert;

use super::{
    health::HealthRule,
    providers::{models, providers, together},
    seen::Seen,
    sidecars::{sidecars, totals},
    wire,
};
use crate::alerts::silenced_by;

/// What a picture is set in: what the store does not say.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The fleet's name.
    pub name: String,
    /// When the fleet as a whole is unwell.
    pub rule: HealthRule,
    /// Where alerts are sent, and how that goes.
    pub channels: Vec<v1::Channel>,
    /// What became of the alerts that fire, by their ids.
    pub deliveries: BTreeMap<u64, Vec<v1::Delivery>>,
    /// Whether the store is this process's own.
    pub demonstration: bool,
}

/// The fleet as it was seen.
#[must_use]
pub fn paint(seen: &Seen, frame: &Frame) -> v1::Fleet {
    let (sidecars, providers) = (sidecars(seen), providers(seen));
    let judged = frame.rule.judge(&sidecars);
    let level = seen.settings.level.as_ref().filter(|said| said.word.holds(seen.at));
    let (errors, history) = together(seen);
    v1::Fleet {
        name: frame.name.clone(),
        at: wire::timestamp(seen.at),
        health: judged.health.into(),
        health_reason: judged.reason,
        degradation_level: level.map_or(judged.level, |said| wire::level(said.value)).into(),
        degradation_overridden: level.is_some(),
        degradation_word: level.map(|said| wire::word(&said.word)),
        models: models(seen, &providers),
        totals: Some(totals(&sidecars)),
        errors: Some(errors),
        history,
        providers,
        sidecars,
        firing_alerts: seen.firing.iter().map(|alert| firing(alert, seen, frame)).collect(),
        stale: seen.stale,
        settings_version: seen.settings.version,
        channels: frame.channels.clone(),
        demonstration: frame.demonstration,
    }
}

fn firing(alert: &Alert, seen: &Seen, frame: &Frame) -> v1::Alert {
    let deliveries = frame.deliveries.get(&alert.id).cloned().unwrap_or_default();
    v1::Alert { deliveries, ..silenced(alert, seen) }
}

/// `alert`, with the silence that keeps it from being delivered.
#[must_use]
pub fn silenced(alert: &Alert, seen: &Seen) -> v1::Alert {
    let silence = silenced_by(&alert.condition.key, &seen.silences, seen.at);
    v1::Alert { silence: silence.map(|one| one.id.to_string()).unwrap_or_default(), ..wire::alert(alert) }
}
