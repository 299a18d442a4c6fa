//! What is shown: the fleet as its sidecars, its breakers and its counts are, and when it is not known any more.

use fusebox_proto::v1;
use fusebox_tests::provider::act::{Act, json as answer};
use serde_json::json;

use super::{Scene, provider};

fn broken() -> Act {
    answer(500, &json!({}))
}

#[tokio::test]
async fn sidecars_providers_models_and_totals_are_shown() {
    let scene = Scene::start(2).await;
    scene.call_all().await;
    let counted = |fleet: &v1::Fleet| fleet.totals.as_ref().is_some_and(|totals| totals.calls == 2);
    let fleet = scene.control.until("both calls", counted).await;
    assert_eq!(
        (fleet.name.as_str(), fleet.health(), fleet.demonstration),
        ("default", v1::HealthStatus::Healthy, false)
    );
    assert!(fleet.health_reason.starts_with("0 of 2 sidecars critical"), "{}", fleet.health_reason);
    let totals = fleet.totals.clone().unwrap();
    assert_eq!((totals.errors, totals.answers.values().sum::<u64>()), (0, 2));
    assert!(totals.output_tokens > 0, "{totals:?}");
    assert_eq!(fleet.models.iter().map(|model| (&*model.name, model.enabled)).collect::<Vec<_>>(), [("chat", 2)]);
    let first = provider(&fleet, "first");
    assert_eq!((first.sidecars_total, first.shared, first.models.join(",")), (2, true, "chat".to_owned()));
    let one = fleet.sidecars[0].clone();
    let asked = v1::GetSidecarRequest { id: one.id.clone() };
    let shown = scene.control.grpc().await.get_sidecar(asked).await.unwrap().into_inner();
    assert_eq!((shown.id, shown.version), (one.id, env!("CARGO_PKG_VERSION").to_owned()));
    let minutes =
        |fleet: &v1::Fleet| provider(fleet, "first").history.iter().map(|minute| minute.calls).sum::<u64>() == 2;
    scene.control.until("the calls in the hour's chart", minutes).await;
}

#[tokio::test]
async fn a_breaker_that_opened_an_alert_of_it_and_errors_by_kind_are_shown() {
    let scene = Scene::start(3).await;
    scene.first.play(broken());
    for _ in 0..4 {
        scene.call_all().await;
    }
    let opened = |fleet: &v1::Fleet| {
        let first = provider(fleet, "first");
        first.breaker.as_ref().unwrap().state() == v1::BreakerState::Open && first.sidecars_open == 3
    };
    let fleet = scene.control.until("the open breaker", opened).await;
    assert!(provider(&fleet, "first").breaker.as_ref().unwrap().half_open_at.is_some());
    let fleet = scene.control.until("the errors", |fleet| {
        provider(fleet, "first").errors.as_ref().is_some_and(|errors| errors.errors_1m > 0)
    });
    let fleet = fleet.await;
    let errors = provider(&fleet, "first").errors.clone().unwrap();
    assert!(errors.rate_1m.contains_key("provider_error"), "{errors:?}");
    assert_eq!(errors.top_patterns[0].pattern.split(':').next(), Some("provider_error"));
    let fleet = scene.control.until("the alert", |fleet| !fleet.firing_alerts.is_empty()).await;
    let alert = &fleet.firing_alerts[0];
    assert_eq!((alert.kind(), alert.provider.as_str()), (v1::AlertKind::BreakerOpened, "first"));
    let asked = v1::AcknowledgeAlertRequest { id: alert.id.clone() };
    let known = scene.control.grpc().await.acknowledge_alert(asked).await.unwrap().into_inner();
    assert_eq!(known.acknowledged_by, "anyone");
    scene
        .control
        .until("that somebody knows", |fleet| fleet.firing_alerts.iter().all(|alert| alert.acknowledged_at.is_some()))
        .await;
}

#[tokio::test]
async fn a_sidecar_that_falls_silent_is_shown_as_late_and_one_that_leaves_is_gone() {
    let mut scene = Scene::start(3).await;
    scene.sidecars[0].sidecar.signal("TERM").await;
    scene.control.until("one has left", |fleet| fleet.sidecars.len() == 2).await;
    scene.sidecars[1].sidecar.signal("KILL").await;
    let late = |fleet: &v1::Fleet| fleet.sidecars.iter().filter(|one| one.late).count() == 1;
    let fleet = scene.control.until("one is late", late).await;
    assert_eq!(provider(&fleet, "first").sidecars_total, 1, "whoever is late is not waited for");
    assert!(fleet.health_reason.ends_with("1 went silent within the last minute"), "{}", fleet.health_reason);
    scene.sidecars.clear();
}

#[tokio::test]
async fn the_fleets_figures_are_metrics_and_alerts_come_as_they_are_raised() {
    let scene = Scene::start(1).await;
    let mut alerts = scene.control.grpc().await.watch_alerts(v1::WatchAlertsRequest {}).await.unwrap().into_inner();
    scene.first.play(broken());
    for _ in 0..6 {
        scene.call_all().await;
    }
    let raised = tokio::time::timeout(std::time::Duration::from_secs(30), alerts.message()).await;
    let raised = raised.expect("an alert comes").unwrap().unwrap();
    assert_eq!((raised.kind(), raised.severity()), (v1::AlertKind::BreakerOpened, v1::Severity::Critical));
    let page = scene.control.http().get("/metrics").send().await.text();
    let metrics = fusebox_tests::client::Metrics::parse(&page);
    for (name, labels, value) in [
        ("fusebox_fleet_sidecars", &[("health", "critical")][..], 0.0),
        ("fusebox_fleet_provider_enabled", &[("provider", "second")], 1.0),
        ("fusebox_control_store_connected", &[], 1.0),
    ] {
        assert_eq!(metrics.sum(name, labels), value, "{name}");
    }
}
