//! Pages for machines: is it alive, is it ready, and the fleet's figures as Prometheus reads them.
//!
//! Every replica tells the same of the fleet: alarms take the highest of them, not their sum.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fusebox_base::{
    prometheus::{Format, Text, process},
    serve::tls::Certificate,
    spans,
};
use fusebox_proto::v1::{AlertKind, BreakerState, Channel, DegradationLevel, Fleet, HealthStatus, Model, Provider};
use tokio_util::sync::CancellationToken;

use crate::{alerts::Counts, control::Control, inject, telemetry::Traces};

/// What stands behind the pages.
#[derive(Debug)]
pub struct Pages {
    /// What is told of.
    pub control: Arc<Control>,
    /// What the webhook has counted, where it is on.
    pub injections: Option<Arc<inject::Counts>>,
    /// Cancelled once no more requests should be sent here.
    pub draining: CancellationToken,
    /// What is told of the spans that were made.
    pub traces: Traces,
    /// What there is to say of the configuration.
    pub configured: Arc<Configured>,
}

/// What there is to say of the configuration.
#[derive(Debug)]
pub struct Configured {
    /// Whether the one that was read last was good.
    pub good: AtomicBool,
    /// The certificates that are served with, by the keys that name their files.
    pub certificates: Vec<(&'static str, Certificate)>,
}

/// The pages.
pub fn router(pages: &Arc<Pages>) -> Router {
    let routes = Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics));
    routes.with_state(Arc::clone(pages))
}

async fn live() -> &'static str {
    "alive\n"
}

/// Without its store it still shows what it last saw, and says so: that is no reason to send operators elsewhere.
async fn ready(State(pages): State<Arc<Pages>>) -> Response {
    if pages.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    (StatusCode::OK, "ready\n").into_response()
}

async fn metrics(State(pages): State<Arc<Pages>>, headers: HeaderMap) -> Response {
    let control = &pages.control;
    let format = Format::accepted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    let mut text = Text::new(format);
    let picture = control.fleet();
    fleet(&mut text, &picture.fleet);
    providers(&mut text, &picture.fleet.providers);
    totals(&mut text, &picture.fleet);
    models(&mut text, &picture.fleet.models);
    channels(&mut text, &picture.fleet.channels);
    deliveries(&mut text, &control.deliverer().deliveries().counts());
    let leads = u8::from(control.deliverer().leads());
    text.single("fusebox_control_leader", "gauge", "Whether this replica is the one that delivers alerts.", leads);
    let well = u8::from(control.reader().is_well());
    text.single("fusebox_control_store_connected", "gauge", "Whether the fleet's store can be read.", well);
    text.single("fusebox_control_watchers", "gauge", "Who watches at present.", control.watchers().open());
    if let Some(injections) = &pages.injections {
        injections.write(&mut text);
    }
    if let Some(counts) = pages.traces.counts() {
        spans::write(&mut text, counts);
    }
    let help = "Whether the configuration in force is the one that was read last; 0: that one was refused.";
    let good = u8::from(pages.configured.good.load(Relaxed));
    text.single("fusebox_config_last_reload_successful", "gauge", help, good);
    let name = "fusebox_certificate_expiry_timestamp_seconds";
    text.family(name, "gauge", "When a certificate that is served with ends, in seconds since the Unix epoch.");
    for (key, certificate) in &pages.configured.certificates {
        if let Some(ends) = certificate.ends() {
            text.sample(name, &[("key", key)], ends);
        }
    }
    text.family("fusebox_build_info", "gauge", "Always 1.");
    text.sample("fusebox_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    process::write(&mut text);
    ([(header::CONTENT_TYPE, format.content_type())], text.finish()).into_response()
}

fn fleet(text: &mut Text, fleet: &Fleet) {
    let name = "fusebox_fleet_info";
    text.family(name, "gauge", "Always 1: the fleet's name, and where it shares what it knows.");
    let store = if fleet.demonstration { "none" } else { "redis" };
    text.sample(name, &[("fleet", &fleet.name), ("store", store)], 1);
    let name = "fusebox_fleet_health";
    text.family(name, "gauge", "The fleet's health: 1 healthy, 2 degraded, 3 critical, 0 nobody is there.");
    text.sample(name, &[], fleet.health);
    let name = "fusebox_fleet_degradation_level";
    text.family(name, "gauge", "The fleet's degradation level: 1 full, 2 reduced, 3 minimal, 0 nobody is there.");
    text.sample(name, &[], fleet.degradation_level);
    let name = "fusebox_fleet_sidecars";
    text.family(name, "gauge", "Sidecars by their health; late: silent for less than a minute.");
    for (label, health) in
        [("healthy", HealthStatus::Healthy), ("degraded", HealthStatus::Degraded), ("critical", HealthStatus::Critical)]
    {
        let count = fleet.sidecars.iter().filter(|one| !one.late && one.health() == health).count();
        text.sample(name, &[("health", label)], count);
    }
    text.sample(name, &[("health", "late")], fleet.sidecars.iter().filter(|one| one.late).count());
    let name = "fusebox_fleet_sidecars_by_level";
    text.family(name, "gauge", "Live sidecars by their degradation level.");
    for (label, level) in [
        ("full", DegradationLevel::Full),
        ("reduced", DegradationLevel::Reduced),
        ("minimal", DegradationLevel::Minimal),
    ] {
        let count = fleet.sidecars.iter().filter(|one| !one.late && one.degradation_level() == level).count();
        text.sample(name, &[("level", label)], count);
    }
    let stale = u8::from(fleet.stale);
    text.single("fusebox_fleet_stale", "gauge", "Whether what is told of the fleet is old.", stale);
    let version = fleet.settings_version;
    text.single("fusebox_fleet_settings_version", "gauge", "The version of what operators have set.", version);
    let rate = fleet.totals.as_ref().map_or(0.0, |totals| totals.calls_per_second);
    text.single("fusebox_fleet_calls_per_second", "gauge", "Attempts a second at all live sidecars.", rate);
    let name = "fusebox_fleet_alerts_firing";
    text.family(name, "gauge", "Alerts that fire.");
    for (label, kind) in [
        ("error_spike", AlertKind::ErrorSpike),
        ("breaker_opened", AlertKind::BreakerOpened),
        ("health_critical", AlertKind::HealthCritical),
        ("degraded", AlertKind::Degraded),
    ] {
        let count = fleet.firing_alerts.iter().filter(|alert| alert.kind() == kind).count();
        text.sample(name, &[("kind", label)], count);
    }
}

/// Sums over whoever is there. They fall as sidecars leave, and so are gauges: for rates, ask the sidecars themselves.
fn totals(text: &mut Text, fleet: &Fleet) {
    let totals = fleet.totals.clone().unwrap_or_default();
    let help = "Calls of all live sidecars since each began; falls as sidecars leave.";
    text.single("fusebox_fleet_calls", "gauge", help, totals.calls);
    let help = "Of those, the calls that failed in any way, or whose callers hung up.";
    text.single("fusebox_fleet_errors", "gauge", help, totals.errors);
    let name = "fusebox_fleet_answers";
    text.family(name, "gauge", "Of those, the others, by where the answer came from.");
    // The map has no order of its own, and a page should not change for that.
    let answers: BTreeMap<_, _> = totals.answers.iter().collect();
    answers.iter().for_each(|(source, count)| text.sample(name, &[("source", source)], count));
    let name = "fusebox_fleet_tokens";
    text.family(name, "gauge", "Tokens of all live sidecars since each began, as providers counted them.");
    text.sample(name, &[("direction", "input")], totals.input_tokens);
    text.sample(name, &[("direction", "output")], totals.output_tokens);
    let help = "What these tokens cost, in the currency of the configured prices.";
    text.single("fusebox_fleet_cost", "gauge", help, totals.cost);
}

fn models(text: &mut Text, models: &[Model]) {
    let name = "fusebox_fleet_model_providers";
    text.family(name, "gauge", "Providers of a model that operators let it have: switched on, and not forced open.");
    models.iter().for_each(|one| text.sample(name, &[("model", &one.name)], one.enabled));
}

fn providers(text: &mut Text, providers: &[Provider]) {
    let state = |provider: &Provider| match provider.breaker.as_ref().map(fusebox_proto::v1::Breaker::state) {
        Some(BreakerState::Open) => 2_u8,
        Some(BreakerState::HalfOpen) => 1,
        Some(BreakerState::Closed | BreakerState::Unspecified) | None => 0,
    };
    let name = "fusebox_fleet_provider_enabled";
    text.family(name, "gauge", "Whether calls go to a provider.");
    providers.iter().for_each(|one| text.sample(name, &[("provider", &one.name)], u8::from(one.enabled)));
    let name = "fusebox_fleet_breaker_state";
    text.family(name, "gauge", "A provider's shared breaker: 0 closed, 1 half-open, 2 open.");
    providers.iter().for_each(|one| text.sample(name, &[("provider", &one.name)], state(one)));
    let name = "fusebox_fleet_breakers_open";
    text.family(name, "gauge", "Sidecars at which a provider's breaker is open.");
    providers.iter().for_each(|one| text.sample(name, &[("provider", &one.name)], one.sidecars_open));
    let name = "fusebox_fleet_settings_applied";
    text.family(name, "gauge", "Live sidecars with a provider that hold to the newest settings.");
    providers.iter().for_each(|one| text.sample(name, &[("provider", &one.name)], one.sidecars_applied));
    let name = "fusebox_fleet_provider_sidecars";
    text.family(name, "gauge", "Live sidecars with a provider.");
    providers.iter().for_each(|one| text.sample(name, &[("provider", &one.name)], one.sidecars_total));
    let name = "fusebox_fleet_errors_per_minute";
    text.family(name, "gauge", "Errors of a provider in the last minute.");
    for provider in providers {
        let rates = provider.errors.iter().flat_map(|errors| &errors.rate_1m);
        let mut rates: Vec<_> = rates.collect();
        rates.sort_by(|one, other| one.0.cmp(other.0));
        for (kind, rate) in rates {
            text.sample(name, &[("provider", &provider.name), ("kind", kind)], rate);
        }
    }
}

fn channels(text: &mut Text, channels: &[Channel]) {
    let name = "fusebox_alert_deliveries_pending";
    text.family(name, "gauge", "Alerts that a channel has not taken yet.");
    channels.iter().for_each(|one| text.sample(name, &[("channel", &one.name)], one.pending));
    let name = "fusebox_alert_channel_failing";
    text.family(name, "gauge", "Whether a channel's last delivery failed.");
    for channel in channels {
        text.sample(name, &[("channel", &channel.name)], u8::from(!channel.last_error.is_empty()));
    }
}

fn deliveries(text: &mut Text, counts: &[Counts]) {
    let name = "fusebox_alert_deliveries_total";
    text.family(name, "counter", "Deliveries of this replica, by what became of them.");
    for one in counts {
        for (result, count) in
            [("delivered", one.delivered), ("tried_again", one.tried_again), ("given_up", one.failed)]
        {
            text.sample(name, &[("channel", &one.channel), ("result", result)], count);
        }
    }
}

#[cfg(test)]
mod tests {
    use fusebox_base::testing::page::Page;
    use fusebox_proto::v1::{Breaker, ErrorMetrics, Sidecar, Totals};

    use super::*;

    #[test]
    fn the_fleets_figures_are_a_page_that_prometheus_reads() {
        let provider = Provider {
            name: "a\"b".into(),
            enabled: true,
            breaker: Some(Breaker { state: BreakerState::Open.into(), ..Breaker::default() }),
            errors: Some(ErrorMetrics { rate_1m: [("network_error".into(), 3.5)].into(), ..ErrorMetrics::default() }),
            ..Provider::default()
        };
        let sidecar = Sidecar { health: HealthStatus::Critical.into(), ..Sidecar::default() };
        let late = Sidecar { late: true, ..sidecar.clone() };
        let channel = Channel { name: "oncall".into(), last_error: "refused".into(), ..Channel::default() };
        let all = Totals { calls: 9, errors: 2, answers: [("cache".into(), 7)].into(), cost: 0.5, ..Totals::default() };
        let shown = Fleet {
            name: "prod".into(),
            health: 3,
            sidecars: vec![sidecar, late],
            providers: vec![provider],
            totals: Some(all),
            models: vec![Model { name: "chat".into(), enabled: 1, ..Model::default() }],
            ..Fleet::default()
        };
        let counted =
            Counts { channel: "oncall".into(), kind: "slack", delivered: 3, tried_again: 2, failed: 1, pending: 0 };
        let mut text = Text::default();
        fleet(&mut text, &shown);
        totals(&mut text, &shown);
        models(&mut text, &shown.models);
        deliveries(&mut text, &[counted]);
        providers(&mut text, &shown.providers);
        channels(&mut text, &[channel]);
        let page = Page::read(&text.finish());
        for (series, value) in [
            ("fusebox_fleet_health", 3.0),
            ("fusebox_fleet_sidecars{health=\"critical\"}", 1.0),
            ("fusebox_fleet_sidecars{health=\"late\"}", 1.0),
            ("fusebox_fleet_breaker_state{provider=\"a\\\"b\"}", 2.0),
            ("fusebox_fleet_errors_per_minute{provider=\"a\\\"b\",kind=\"network_error\"}", 3.5),
            ("fusebox_alert_channel_failing{channel=\"oncall\"}", 1.0),
            ("fusebox_alert_deliveries_total{channel=\"oncall\",result=\"delivered\"}", 3.0),
            ("fusebox_alert_deliveries_total{channel=\"oncall\",result=\"given_up\"}", 1.0),
            ("fusebox_fleet_info{fleet=\"prod\",store=\"redis\"}", 1.0),
            ("fusebox_fleet_calls", 9.0),
            ("fusebox_fleet_errors", 2.0),
            ("fusebox_fleet_answers{source=\"cache\"}", 7.0),
            ("fusebox_fleet_cost", 0.5),
            ("fusebox_fleet_model_providers{model=\"chat\"}", 1.0),
        ] {
            assert_eq!(page.value(series), Some(value), "{series}");
        }
    }
}
