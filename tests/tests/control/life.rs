//! The control plane's own life: replicas, many who watch, a drain, a reload, and a demonstration without Redis.

use std::time::Duration;

use fusebox_proto::v1;
use fusebox_tests::{
    collector::{Collector, find, hex},
    control_plane::{self, ControlPlane},
};
use futures_util::future::join_all;
use serde_json::json;

use super::{Scene, provider, switch};

#[tokio::test]
async fn what_one_replica_changes_another_shows_within_a_moment_and_the_death_of_one_loses_nothing() {
    let scene = Scene::start(2).await;
    let mut other = ControlPlane::of(&scene.redis.url(), json!({})).await;
    other.until("the fleet", |fleet| fleet.sidecars.len() == 2).await;
    other.grpc().await.set_provider(switch("first", false)).await.unwrap();
    scene.control.until("the other's change", |fleet| !provider(fleet, "first").enabled).await;
    other.signal("KILL").await;
    other.ended().await;
    let fleet = scene.control.grpc().await.get_fleet(v1::GetFleetRequest {}).await.unwrap().into_inner();
    assert!(!provider(&fleet, "first").enabled);
    let events = scene.control.grpc().await.list_audit_events(v1::ListAuditEventsRequest::default()).await.unwrap();
    assert_eq!(events.into_inner().events[0].settings_version, fleet.settings_version);
}

#[tokio::test]
async fn two_hundred_watch_at_once_and_one_too_many_is_told_to_come_later() {
    let scene = Scene::with(1, json!({"limits": {"max_watchers": 200}})).await;
    let watch = || async {
        let mut events = scene.control.http().get("/api/v1/fleet/events").open().await;
        assert_eq!(events.status, 200);
        events.event().await.expect("the fleet comes at once");
        events
    };
    let mut watchers = join_all((0..200).map(|_| watch())).await;
    let refused = scene.control.http().get("/api/v1/fleet/events").send().await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after").is_some()), (429, true));
    scene.control.grpc().await.set_provider(switch("first", false)).await.unwrap();
    let seen = join_all(watchers.iter_mut().map(|events| async {
        while let Some(event) = events.event().await {
            if event.json()["providers"][0]["enabled"] == false {
                return true;
            }
        }
        false
    }));
    assert!(seen.await.into_iter().all(|seen| seen), "each of them sees the change");
    drop(watchers);
}

#[tokio::test]
async fn who_watches_is_let_go_as_it_drains_and_it_ends_well() {
    let mut scene = Scene::start(1).await;
    let mut events = scene.control.http().get("/api/v1/fleet/events").open().await;
    let mut pictures = scene.control.grpc().await.watch_fleet(v1::WatchFleetRequest {}).await.unwrap().into_inner();
    assert!(events.event().await.is_some() && pictures.message().await.unwrap().is_some());
    scene.control.signal("TERM").await;
    let (rest, ended) = tokio::join!(events.rest(), async { while let Ok(Some(_)) = pictures.message().await {} });
    drop((rest, ended));
    assert!(scene.control.ended().await.success(), "{}", scene.control.log());
}

#[tokio::test]
async fn a_changed_configuration_is_loaded_anew_as_a_whole_or_not_at_all() {
    let scene = Scene::start(1).await;
    let rule = |share: f64| {
        let fleet = json!({"redis": scene.redis.url()});
        control_plane::config(json!({"fleet": fleet, "health": {"critical_share": share}}))
    };
    scene.control.rewrite(&rule(0.25));
    scene.control.until("the new rule", |fleet| fleet.health_reason.contains("from 25 % on")).await;
    scene.control.rewrite(&rule(7.0));
    scene.control.logged("the refusal", |line| line.contains("health.critical_share")).await;
    let fleet = scene.control.grpc().await.get_fleet(v1::GetFleetRequest {}).await.unwrap().into_inner();
    assert!(fleet.health_reason.contains("from 25 % on"), "{}", fleet.health_reason);
}

#[tokio::test]
async fn without_redis_it_shows_made_up_sidecars_that_do_what_they_are_told() {
    let control = ControlPlane::start(&control_plane::config(json!({}))).await;
    let fleet = control.until("a fleet", |fleet| fleet.sidecars.len() == 5 && fleet.providers.len() == 3).await;
    assert!(fleet.demonstration);
    let asked = switch("hosted", false);
    let result = control.grpc().await.set_provider(asked).await.unwrap().into_inner().result.unwrap();
    assert_eq!((result.sidecars_applied, result.sidecars_total), (5, 5));
    let quiet = |fleet: &v1::Fleet| provider(fleet, "hosted").calls_per_second == 0.0;
    tokio::time::timeout(Duration::from_secs(20), control.until("no call there", quiet)).await.unwrap();
}

#[tokio::test]
async fn each_request_is_a_span_in_its_callers_trace() {
    let collector = Collector::start().await;
    let config = control_plane::config(json!({"telemetry": {"otlp_endpoint": collector.endpoint()}}));
    let soon = [("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "20".to_owned())];
    let control = ControlPlane::start_in(tempfile::tempdir().unwrap(), &config, &soon).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let asked = control.http().get("/api/v1/sidecars/nobody").header("traceparent", parent).send().await;
    assert_eq!(asked.status, 404);
    let name = "GET /api/v1/sidecars/{id}";
    let spans = collector.until("the span", |spans| spans.iter().any(|span| span.name == name)).await;
    let span = spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!(hex(&span.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&span.parent_span_id), "b7ad6b7169203331");
    assert_eq!(find(&span.attributes, "http.response.status_code").as_deref(), Some("404"));
    assert_eq!(collector.resource("service.name").as_deref(), Some("fusebox-control-plane"));
}
