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
    v1::Alert { deliveries, ..silenced(wire::alert(alert), seen) }
}

/// `alert`, with the silence that keeps it from being delivered.
#[must_use]
pub fn silenced(mut alert: v1::Alert, seen: &Seen) -> v1::Alert {
    let any_or = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let matching = seen.silences.iter().find(|one| {
        let silence = &one.body;
        let ended =
            silence.word.as_ref().is_some_and(|word| word.expires_ms > 0 && word.expires_ms <= seen.at.as_millis());
        !ended
            && (silence.kind == 0 || silence.kind == alert.kind)
            && any_or(&silence.provider, &alert.provider)
            && any_or(&silence.sidecar, &alert.sidecar)
    });
    alert.silence = matching.map(|silence| silence.id.to_string()).unwrap_or_default();
    alert
}
