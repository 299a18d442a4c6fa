//! What operators change: it is done by every sidecar, seen by all who look, and not lost.

use std::time::Duration;

use fusebox_proto::v1;
use fusebox_tests::{control_plane::ControlPlane, provider::Provider, redis::Server};
use serde_json::json;
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{Scene, provider, switch, waited};

#[tokio::test]
async fn a_provider_that_is_switched_off_gets_no_call_once_all_have_applied_it() {
    let scene = Scene::start(3).await;
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (3, 0));
    let answer = scene.control.grpc().await.set_provider(switch("first", false)).await.unwrap().into_inner();
    let result = answer.result.unwrap();
    assert_eq!((result.sidecars_applied, result.sidecars_total, result.waiting_for.len()), (3, 3, 0));
    assert!(result.effects[0].contains("switched off at 3 sidecars"), "{:?}", result.effects);
    let shown = answer.provider.unwrap();
    assert_eq!((shown.enabled, shown.sidecars_applied, shown.sidecars_total), (false, 3, 3));
    let word = shown.enabled_word.unwrap();
    assert_eq!((word.by.as_str(), word.reason.as_str()), ("anyone", "a drill"));
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (3, 3));
    scene.control.grpc().await.set_provider(switch("first", true)).await.unwrap();
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (6, 3));
}

#[tokio::test]
async fn a_switch_and_a_rank_are_handed_back_to_the_configuration() {
    let scene = Scene::start(2).await;
    let mut operator = scene.control.grpc().await;
    operator.set_provider(v1::SetProviderRequest { priority: Some(99), ..switch("first", false) }).await.unwrap();
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (0, 2));
    let reset = v1::SetProviderRequest { enabled: None, reset: true, ..switch("first", true) };
    let answer = operator.set_provider(reset).await.unwrap().into_inner();
    let result = answer.result.unwrap();
    assert_eq!((result.sidecars_applied, result.sidecars_total), (2, 2));
    let shown = answer.provider.unwrap();
    assert_eq!((shown.enabled, shown.priority, shown.enabled_word, shown.priority_word), (true, 0, None, None));
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (2, 2));
}

#[tokio::test]
async fn ranks_breakers_and_levels_are_set_and_end_by_themselves() {
    let scene = Scene::start(2).await;
    let mut operator = scene.control.grpc().await;
    let ranked = v1::SetProviderRequest { enabled: None, priority: Some(99), ..switch("first", true) };
    operator.set_provider(ranked).await.unwrap();
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (0, 2));
    let forced = v1::SetBreakerRequest {
        provider: "second".into(),
        mode: v1::BreakerMode::ForcedOpen.into(),
        reason: "a drill".into(),
        expires_after: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        change: waited(),
    };
    let shown = operator.set_breaker(forced).await.unwrap().into_inner().provider.unwrap();
    assert!(shown.breaker_word.unwrap().expires_at.is_some());
    let open =
        |fleet: &v1::Fleet| provider(fleet, "second").breaker.as_ref().unwrap().state() == v1::BreakerState::Open;
    scene.control.until("open", open).await;
    scene.call_all().await;
    assert_eq!((scene.first.calls(), scene.second.calls()), (2, 2));
    scene.control.until("handed back", |fleet| provider(fleet, "second").breaker_word.is_none()).await;
    let level = v1::SetDegradationRequest {
        level: v1::DegradationLevel::Minimal.into(),
        reason: "a drill".into(),
        change: waited(),
        ..v1::SetDegradationRequest::default()
    };
    let fleet = operator.set_degradation(level).await.unwrap().into_inner().fleet.unwrap();
    assert_eq!((fleet.degradation_level(), fleet.degradation_overridden), (v1::DegradationLevel::Minimal, true));
    let all_minimal =
        |fleet: &v1::Fleet| fleet.sidecars.iter().all(|one| one.degradation_level() == v1::DegradationLevel::Minimal);
    scene.control.until("all at the level minimal", all_minimal).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let scene = Scene::start(2).await;
    let dry = v1::ChangeOptions { dry_run: true, ..v1::ChangeOptions::default() };
    let asked = v1::SetProviderRequest { change: Some(dry), reason: String::new(), ..switch("first", false) };
    let answer = scene.control.grpc().await.set_provider(asked).await.unwrap().into_inner();
    let result = answer.result.unwrap();
    assert_eq!((result.settings_version, result.sidecars_total), (0, 2));
    assert_eq!(result.effects[1], "chat: left to serve it: second");
    assert!(answer.provider.unwrap().enabled);
    scene.call_all().await;
    assert_eq!(scene.first.calls(), 2);
    let audit = scene.control.grpc().await.list_audit_events(v1::ListAuditEventsRequest::default()).await;
    assert_eq!(audit.unwrap().into_inner().events, []);
}

#[tokio::test]
async fn the_last_provider_of_a_model_goes_only_by_force() {
    let scene = Scene::start(1).await;
    let mut operator = scene.control.grpc().await;
    operator.set_provider(switch("first", false)).await.unwrap();
    let refused = operator.set_provider(switch("second", false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(refused.get_error_details().error_info().unwrap().metadata["models"], "chat");
    scene.call_all().await;
    assert_eq!(scene.second.calls(), 1);
    let forced = v1::ChangeOptions { force: true, ..waited().unwrap() };
    let asked = v1::SetProviderRequest { change: Some(forced), ..switch("second", false) };
    operator.set_provider(asked).await.unwrap();
    assert_eq!(scene.sidecars[0].call().await.kind(), "circuit_open");
    assert_eq!((scene.first.calls(), scene.second.calls()), (0, 1));
}

#[tokio::test]
async fn of_two_operators_who_saw_the_same_settings_the_second_is_told_and_nothing_is_overwritten() {
    let scene = Scene::start(1).await;
    let mut operator = scene.control.grpc().await;
    let version = operator.set_provider(switch("first", false)).await.unwrap().into_inner().result.unwrap();
    let expecting = |expected_version| Some(v1::ChangeOptions { expected_version, ..v1::ChangeOptions::default() });
    let ranked = |change| v1::SetProviderRequest { enabled: None, priority: Some(5), change, ..switch("second", true) };
    operator.set_provider(ranked(expecting(version.settings_version))).await.unwrap();
    let late = v1::SetProviderRequest { change: expecting(version.settings_version), ..switch("first", true) };
    let refused = operator.set_provider(late).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted, "{refused:?}");
    let now = refused.get_error_details().error_info().unwrap().metadata["settingsVersion"].clone();
    let fleet = operator.get_fleet(v1::GetFleetRequest {}).await.unwrap().into_inner();
    assert_eq!(now, fleet.settings_version.to_string());
    assert!(!provider(&fleet, "first").enabled && provider(&fleet, "second").priority == 5, "{fleet:#?}");
}

#[tokio::test]
async fn many_changes_at_once_are_all_made() {
    let scene = Scene::start(1).await;
    let change = |number: u32| {
        let control = &scene.control;
        async move {
            let name = if number.is_multiple_of(2) { "first" } else { "second" };
            let mut operator = control.grpc().await;
            let one = match number / 2 {
                0 => v1::SetProviderRequest { change: None, ..switch(name, true) },
                _ => {
                    v1::SetProviderRequest { enabled: None, priority: Some(number), change: None, ..switch(name, true) }
                }
            };
            operator.set_provider(one).await.unwrap().into_inner().result.unwrap().settings_version
        }
    };
    let mut versions = futures_util::future::join_all((0..4).map(change)).await;
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 4, "each has a version of its own");
    let fleet = scene.control.until("the last of them", |fleet| fleet.settings_version == versions[3]).await;
    for (name, rank) in [("first", 2), ("second", 3)] {
        let shown = provider(&fleet, name);
        assert_eq!((shown.enabled_word.is_some(), shown.priority), (true, rank), "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_field_by_field() {
    let (redis, provider) = (Server::start().await, Provider::start(fusebox_tests::provider::act::tokens(1)).await);
    let _all = crate::fleet::fleet(1, |_| super::config(&redis.url(), &provider, &provider)).await;
    let control = ControlPlane::of(&redis.url(), json!({})).await;
    control.until("a sidecar", |fleet| fleet.sidecars.len() == 1).await;
    let mut operator = control.grpc().await;
    let refused = operator.set_provider(v1::SetProviderRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let details = refused.get_error_details();
    let fields: Vec<_> = details.bad_request().unwrap().field_violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["name", "enabled", "reason"]);
    let refused = operator.set_provider(switch("frist", false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("there are: first, second"), "{}", refused.message());
    let events = operator.list_audit_events(v1::ListAuditEventsRequest::default()).await.unwrap().into_inner().events;
    let outcomes: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.outcome.as_str())).collect();
    assert_eq!(outcomes, [("SetProvider", "refused"), ("SetProvider", "refused")]);
}

#[tokio::test]
async fn a_store_that_comes_back_empty_is_told_again_by_a_replica_alone() {
    let mut scene = Scene::start(1).await;
    scene.control.grpc().await.set_provider(switch("first", false)).await.unwrap();
    // Nobody else is there who could put it back.
    scene.sidecars.clear();
    scene.redis.kill();
    scene.redis.restart().await;
    scene.redis.flush().await;
    let back = |fleet: &v1::Fleet| !fleet.stale && fleet.settings_version > 0;
    scene.control.until("the settings again", back).await;
    let url = scene.redis.url();
    let late = crate::fleet::fleet(1, |_| super::config(&url, &scene.first, &scene.second)).await;
    scene
        .control
        .until("it is applied", |fleet| {
            fleet.sidecars.iter().any(|one| !one.late && one.settings_version == fleet.settings_version)
        })
        .await;
    late[0].call().await.good();
    assert_eq!((scene.first.calls(), scene.second.calls()), (0, 1));
}

#[tokio::test]
async fn a_sidecar_that_was_away_does_what_was_set_meanwhile() {
    let scene = Scene::start(1).await;
    let (url, control) = (scene.redis.url(), &scene.control);
    control.grpc().await.set_provider(switch("first", false)).await.unwrap();
    let late = crate::fleet::One::start(super::config(&url, &scene.first, &scene.second)).await;
    late.status_until("applied", |status| status["fleet"]["settings_version"].as_u64() > Some(0)).await;
    late.call().await.good();
    assert_eq!((scene.first.calls(), scene.second.calls()), (0, 1));
}

#[tokio::test]
async fn without_the_store_what_is_shown_is_stale_and_a_change_is_refused_and_may_be_asked_again() {
    let mut scene = Scene::start(1).await;
    scene.redis.kill();
    let fleet = scene.control.until("stale", |fleet| fleet.stale).await;
    assert_eq!(fleet.sidecars.len(), 1, "what was seen last is still shown");
    let refused = scene.control.grpc().await.set_provider(switch("first", false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    scene.redis.restart().await;
    scene.control.until("fresh", |fleet| !fleet.stale && fleet.sidecars.len() == 1).await;
    let done = scene.control.grpc().await.set_provider(switch("first", false)).await.unwrap().into_inner();
    assert_eq!(done.result.unwrap().sidecars_applied, 1);
}

#[tokio::test]
async fn an_answer_that_waits_says_who_has_not_applied_it_in_time() {
    let scene = Scene::start(2).await;
    scene.sidecars[1].sidecar.signal("STOP").await;
    let wait = Some(prost_types::Duration { seconds: 0, nanos: 300_000_000 });
    let change = Some(v1::ChangeOptions { wait, ..v1::ChangeOptions::default() });
    let asked = v1::SetProviderRequest { change, ..switch("first", false) };
    let result = scene.control.grpc().await.set_provider(asked).await.unwrap().into_inner().result.unwrap();
    assert_eq!((result.sidecars_applied, result.sidecars_total, result.waiting_for.len()), (1, 2, 1));
    scene.sidecars[1].sidecar.signal("CONT").await;
    let applied = |fleet: &v1::Fleet| provider(fleet, "first").sidecars_applied == 2;
    tokio::time::timeout(Duration::from_secs(20), scene.control.until("by both", applied)).await.unwrap();
}
