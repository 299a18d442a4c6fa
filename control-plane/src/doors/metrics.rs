//! Pages for machines: is it alive, is it ready, and the fleet's figures as Prometheus reads them.
//!
//! Every replica tells the same of the fleet: alarms take the highest of them, not their sum.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use fusebox_base::prometheus::{CONTENT_TYPE, Text, process};
use fusebox_proto::v1::{AlertKind, BreakerState, Channel, DegradationLevel, Fleet, HealthStatus, Provider};
use tokio_util::sync::CancellationToken;

use crate::{control::Control, inject::Counts};

/// What stands behind the pages.
#[derive(Debug)]
pub struct Pages {
    /// What is told of.
    pub control: Arc<Control>,
    /// What the webhook has counted, where it is on.
    pub injections: Option<Arc<Counts>>,
    /// Cancelled once no more requests should be sent here.
    pub draining: CancellationToken,
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

async fn metrics(State(pages): State<Arc<Pages>>) -> Response {
    let control = &pages.control;
    let mut text = Text::default();
    let picture = control.fleet();
    fleet(&mut text, &picture.fleet);
    providers(&mut text, &picture.fleet.providers);
    channels(&mut text, &picture.fleet.channels);
    let well = u8::from(control.reader().is_well());
    text.single("fusebox_control_store_connected", "gauge", "Whether the fleet's store can be read.", well);
    text.single("fusebox_control_watchers", "gauge", "Who watches at present.", control.watchers().open());
    if let Some(injections) = &pages.injections {
        injections.write(&mut text);
    }
    process::write(&mut text);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response()
}

fn fleet(text: &mut Text, fleet: &Fleet) {
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
    let totals = fleet.totals.clone().unwrap_or_default();
    let rate = totals.calls_per_second;
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

#[cfg(test)]
mod tests {
    use fusebox_base::testing::page::Page;
    use fusebox_proto::v1::{Breaker, ErrorMetrics, Sidecar};

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
        let shown = Fleet { health: 3, sidecars: vec![sidecar, late], providers: vec![provider], ..Fleet::default() };
        let mut text = Text::default();
        fleet(&mut text, &shown);
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
        ] {
            assert_eq!(page.value(series), Some(value), "{series}");
        }
    }
}
