//! What a sidecar says of itself in its heartbeat.

use std::{collections::HashMap, sync::Arc};

use fusebox_proto::store::{
    Heartbeat, Level as WireLevel, ProviderBeat,
    breaker_record::State as WireState,
    heartbeat::{Check, Health, Load, ServedModel, Totals},
};
use fusebox_rules::{
    breaker::State,
    degradation::Level,
    health::{self as judged, Status},
    moment::Moment,
};

use crate::{
    call::{
        Shared,
        plan::{Plan, Upstream},
    },
    clock,
    config::Model,
    health::checks::{Checks, Finding},
    telemetry::{self, Attempts},
};

/// Models that are told of. More would make heartbeats that are felt.
const MOST_MODELS: usize = 500;

/// Paints the sidecar, and remembers the last picture, against which rates are taken.
pub(super) struct Painter {
    shared: Arc<Shared>,
    checks: Arc<Checks>,
    /// Milliseconds since 1970 at which this process began to paint.
    started_ms: u64,
    last: (Moment, HashMap<Arc<str>, Attempts>),
}

/// Attempts a second.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    calls: f64,
    errors: f64,
}

impl Painter {
    pub(super) fn new(shared: Arc<Shared>, checks: Arc<Checks>) -> Self {
        let started_ms = u64::try_from(clock::unix_now().as_millis()).unwrap_or(u64::MAX);
        let last = (clock::now(), shared.telemetry.attempts());
        Self { shared, checks, started_ms, last }
    }

    /// How it is now; whoever sends it adds the id, and the settings that it holds to.
    pub(super) fn paint(&mut self) -> Heartbeat {
        let rates = self.rates();
        let Self { shared, checks, .. } = self;
        let current = shared.current.load();
        let (plan, settings) = (&current.plan, &current.plan.config.fleet);
        let findings = checks.findings(plan);
        let load = shared.pressure.load();
        let rate = |upstream: &Upstream| rates.get(&upstream.settings.name).copied().unwrap_or_default();
        Heartbeat {
            pod: settings.pod.clone().unwrap_or_default(),
            node: settings.node.clone().unwrap_or_default(),
            zone: settings.zone.clone().unwrap_or_default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.started_ms,
            health: status(plan, &findings).into(),
            checks: findings.into_iter().map(check).collect(),
            level: level(shared.pressure.level()).into(),
            load: Some(Load {
                cpu: load.cpu,
                memory: load.memory,
                gpu: load.gpu,
                gpu_memory: load.gpu_memory,
                queue: load.queue,
                kv_cache: load.kv_cache,
            }),
            calls_per_second: rates.values().map(|rate| rate.calls).sum(),
            in_flight: u32::try_from(shared.calls()).unwrap_or(u32::MAX),
            providers: plan.upstreams.iter().map(|upstream| provider(upstream, rate(upstream))).collect(),
            models: plan.config.models.iter().take(MOST_MODELS).map(|model| served(model, plan)).collect(),
            totals: Some(totals(shared.telemetry.totals())),
            ..Heartbeat::default()
        }
    }

    /// By provider, since this was last asked.
    fn rates(&mut self) -> HashMap<Arc<str>, Rate> {
        let (now, attempts) = (clock::now(), self.shared.telemetry.attempts());
        let (then, before) = std::mem::replace(&mut self.last, (now, attempts.clone()));
        let seconds = now.since(then).as_secs_f64().max(1e-3);
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let a_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let rate = |(name, now): (Arc<str>, Attempts)| {
            let then = before.get(&name).copied().unwrap_or_default();
            (name, Rate { calls: a_second(now.all, then.all), errors: a_second(now.failed, then.failed) })
        };
        attempts.into_iter().map(rate).collect()
    }
}

fn status(plan: &Plan, findings: &[Finding]) -> Health {
    let enabled: Vec<_> = plan.upstreams.iter().filter(|upstream| upstream.settings.enabled).collect();
    let askable = enabled.iter().filter(|upstream| upstream.gate.would_admit()).count();
    let findings = findings.iter().map(|one| judged::Finding { critical: one.critical, healthy: one.healthy });
    match judged::status(true, judged::Providers { all: enabled.len(), askable }, findings) {
        Status::Healthy => Health::Healthy,
        Status::Degraded => Health::Degraded,
        Status::Critical => Health::Critical,
    }
}

fn check(found: Finding) -> Check {
    Check {
        name: found.name,
        critical: found.critical,
        healthy: found.healthy,
        message: found.message,
        took_us: u64::try_from(found.took.as_micros()).unwrap_or(u64::MAX),
    }
}

const fn level(level: Level) -> WireLevel {
    match level {
        Level::Full => WireLevel::Full,
        Level::Reduced => WireLevel::Reduced,
        Level::Minimal => WireLevel::Minimal,
    }
}

/// A model and all who serve it, those too that are switched off; by rank, which operators may have set.
fn served(model: &Model, plan: &Plan) -> ServedModel {
    let mut providers: Vec<_> =
        model.providers.iter().filter_map(|served| Some(&plan.upstreams.get(served.provider)?.settings)).collect();
    providers.sort_by_key(|settings| settings.priority);
    let names = providers.iter().map(|settings| settings.name.to_string());
    ServedModel { name: model.name.to_string(), providers: names.collect() }
}

fn totals(counted: telemetry::Totals) -> Totals {
    let telemetry::Totals { calls, errors, answers, input_tokens, output_tokens, cost } = counted;
    let answers = answers.into_iter().map(|(source, count)| (source.to_owned(), count)).collect();
    Totals { calls, errors, answers, input_tokens, output_tokens, cost }
}

fn provider(upstream: &Upstream, rate: Rate) -> ProviderBeat {
    let state = match upstream.gate.standing().state {
        State::Closed => WireState::Closed,
        State::Open => WireState::Open,
        State::HalfOpen => WireState::HalfOpen,
    };
    ProviderBeat {
        name: upstream.settings.name.to_string(),
        enabled: upstream.settings.enabled,
        priority: upstream.settings.priority,
        state: state.into(),
        shared: upstream.gate.is_shared(),
        calls_per_second: rate.calls,
        errors_per_second: rate.errors,
    }
}
