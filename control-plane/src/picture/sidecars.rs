//! Sidecars as operators see them: their heartbeats, and what is set of them.

use std::time::Duration;

use fusebox_proto::{
    store::{self, heartbeat},
    v1,
};
use fusebox_rules::fleet::{Stamp, settings::Settings};
use fusebox_store::presence::Alive;

use super::{seen::Seen, wire};

/// All of them, in the order of their ids.
pub(super) fn sidecars(seen: &Seen) -> Vec<v1::Sidecar> {
    seen.sidecars.iter().map(|alive| sidecar(alive, &seen.settings, seen.at)).collect()
}

/// What all live ones have counted since each began.
pub(super) fn totals(sidecars: &[v1::Sidecar]) -> v1::Totals {
    let mut sum = v1::Totals::default();
    for sidecar in sidecars.iter().filter(|sidecar| !sidecar.late) {
        let Some(totals) = &sidecar.totals else { continue };
        sum.calls += totals.calls;
        sum.errors += totals.errors;
        sum.input_tokens += totals.input_tokens;
        sum.output_tokens += totals.output_tokens;
        sum.cost += totals.cost;
        sum.calls_per_second += sidecar.calls_per_second;
        for (source, answers) in &totals.answers {
            *sum.answers.entry(source.clone()).or_default() += answers;
        }
    }
    sum
}

fn sidecar(alive: &Alive, settings: &Settings, now: Stamp) -> v1::Sidecar {
    let beat = &alive.heartbeat;
    let own = settings.sidecar_levels.get(&beat.id).filter(|said| said.word.holds(now));
    let of_fleet = || settings.level.as_ref().filter(|said| said.word.holds(now));
    v1::Sidecar {
        id: beat.id.clone(),
        pod: beat.pod.clone(),
        node: beat.node.clone(),
        zone: beat.zone.clone(),
        version: beat.version.clone(),
        started_at: wire::timestamp(Stamp::from_millis(beat.started_ms)),
        seen_at: wire::timestamp(alive.seen),
        late: !alive.live,
        health: wire::health(beat.health()).into(),
        checks: beat.checks.iter().map(check).collect(),
        degradation_level: wire::stored_level(beat.level()).into(),
        degradation_word: own.or_else(of_fleet).map(|said| wire::word(&said.word)),
        load: beat.load.as_ref().map(load),
        calls_per_second: beat.calls_per_second,
        in_flight: beat.in_flight,
        settings_version: beat.settings_version,
        providers: beat.providers.iter().map(provider).collect(),
        totals: beat.totals.as_ref().map(|totals| own_totals(totals, beat.calls_per_second)),
    }
}

fn own_totals(totals: &heartbeat::Totals, calls_per_second: f64) -> v1::Totals {
    v1::Totals {
        calls: totals.calls,
        errors: totals.errors,
        answers: totals.answers.clone(),
        input_tokens: totals.input_tokens,
        output_tokens: totals.output_tokens,
        cost: totals.cost,
        calls_per_second,
    }
}

fn provider(beat: &store::ProviderBeat) -> v1::SidecarProvider {
    v1::SidecarProvider {
        name: beat.name.clone(),
        enabled: beat.enabled,
        priority: beat.priority,
        breaker: wire::stored_state(beat.state()).into(),
        shared: beat.shared,
        calls_per_second: beat.calls_per_second,
        errors_per_second: beat.errors_per_second,
    }
}

fn check(check: &heartbeat::Check) -> v1::HealthCheck {
    v1::HealthCheck {
        name: check.name.clone(),
        critical: check.critical,
        healthy: check.healthy,
        message: check.message.clone(),
        took: prost_types::Duration::try_from(Duration::from_micros(check.took_us)).ok(),
    }
}

fn load(load: &heartbeat::Load) -> v1::Load {
    let heartbeat::Load { cpu, memory, gpu, gpu_memory, queue, kv_cache } = *load;
    v1::Load { cpu, memory, gpu, gpu_memory, queue, kv_cache }
}
