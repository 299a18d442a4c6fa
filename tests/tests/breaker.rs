//! A provider that fails is left alone, found out about, and let back in gently.

use std::time::{Duration, Instant};

use fusebox_tests::{
    client::Metrics,
    provider::{
        Provider, Seen,
        act::{Act, hang, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Doors, Ended, Way, hello, ms};

fn broken() -> Act {
    answer(500, &json!({}))
}

/// A breaker of three failures that is quick to come back.
fn breaker(changes: Value) -> Value {
    let mut breaker = json!({"failure_threshold": 3, "open_for": "200ms", "max_open_for": "10s", "success_threshold": 2,
                             "half_open_max_calls": 1, "ramp": "0s", "probe": "passive"});
    for (name, value) in changes.as_object().unwrap() {
        breaker[name] = value.clone();
    }
    json!({"breaker": breaker})
}

async fn start(provider: &Provider, changes: Value) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(provider).each(&breaker(changes))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

/// Calls until the breaker is open.
async fn trip(doors: &Doors, calls: usize) {
    for _ in 0..calls {
        assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "provider_error");
    }
}

/// Calls again and again until one ends as `kind`; every other must end as `meanwhile`.
async fn call_until(doors: &Doors, kind: &str, meanwhile: &str) -> Ended {
    let began = Instant::now();
    loop {
        let ended = doors.call(Way::HttpWhole, "chat").await;
        if ended.kind() == kind {
            return ended;
        }
        assert_eq!(ended.kind(), meanwhile, "{ended:#?}");
        assert!(began.elapsed() < Duration::from_secs(10), "no call ended as {kind}: {ended:#?}");
    }
}

fn moves(metrics: &Metrics, from: &str, to: &str) -> f64 {
    metrics.sum("fusebox_breaker_transitions_total", &[("provider", "a"), ("from", from), ("to", to)])
}

fn is_callers(seen: &Seen) -> bool {
    seen.body["messages"] == hello("", false)["messages"]
}

#[tokio::test]
async fn it_opens_at_its_threshold_and_then_no_call_reaches_the_provider() {
    for way in Way::ALL {
        let provider = Provider::start(broken()).await;
        let (sidecar, doors) = start(&provider, json!({"open_for": "30s", "max_open_for": "60s"})).await;
        for _ in 0..3 {
            assert_eq!(doors.call(way, "chat").await.kind(), "provider_error");
        }
        for way in Way::ALL {
            let ended = doors.call(way, "chat").await;
            let problem = ended.failed();
            assert_eq!(problem.kind, "circuit_open", "{way:?}");
            assert_eq!(problem.http.unwrap_or(503), 503);
            assert_eq!(problem.grpc.unwrap_or(14), 14);
            assert!(problem.retryable);
            let wait = problem.wait.expect("an open breaker says when it will let a call through");
            assert!(wait > Duration::from_secs(25) && wait <= Duration::from_secs(30), "{wait:?}");
            assert!(ended.took < ms(100), "{ended:#?}");
        }
        assert_eq!(provider.calls(), 3, "{way:?}");
        let metrics = sidecar.metrics().await;
        assert_eq!(moves(&metrics, "closed", "open"), 1.0);
        assert_eq!(metrics.sum("fusebox_calls_total", &[("kind", "circuit_open")]), 4.0);
    }
}

#[tokio::test]
async fn while_it_is_open_another_provider_answers() {
    let provider = Provider::start(broken()).await;
    let healthy = Provider::start(tokens(2)).await;
    let config = Config::one(&provider).provider("b", &healthy);
    let sidecar = Sidecar::start(config.each(&breaker(json!({"open_for": "30s", "max_open_for": "60s"})))).await;
    let doors = Doors::of(&sidecar).await;
    for call in 0..10 {
        let way = Way::ALL[call % 4];
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.provider.as_str(), ended.source.as_str()), ("b", "fallback"), "{ended:#?}");
    }
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn a_broken_stream_counts_as_a_failure() {
    let provider = Provider::start(tokens(2).cut()).await;
    let (_sidecar, doors) = start(&provider, json!({"open_for": "30s", "max_open_for": "60s"})).await;
    for _ in 0..3 {
        assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "stream_broken");
    }
    assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "circuit_open");
}

#[tokio::test]
async fn what_is_not_the_providers_fault_does_not_open_it() {
    let mistakes = [(400, "invalid_input"), (403, "permission_denied"), (404, "model_not_found")];
    for (status, kind) in mistakes {
        let body = json!({"error": {"message": "The model `x` does not exist", "type": "x", "code": null}});
        let provider = Provider::start(answer(status, &body)).await;
        let (_sidecar, doors) = start(&provider, json!({})).await;
        for _ in 0..8 {
            assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), kind);
        }
        assert_eq!(provider.calls(), 8, "{kind}");
    }
}

#[tokio::test]
async fn an_active_probe_closes_it_without_spending_a_callers_call() {
    let provider = Provider::start(broken()).await;
    let (sidecar, doors) = start(&provider, json!({"probe": "active"})).await;
    trip(&doors, 3).await;
    provider.play(tokens(1));
    let closed = |metrics: &Metrics| moves(metrics, "half_open", "closed") == 1.0;
    let metrics = sidecar.metrics_until("the breaker to close by itself", closed).await;
    assert_eq!((moves(&metrics, "closed", "open"), moves(&metrics, "open", "half_open")), (1.0, 1.0));
    let probes: Vec<Seen> = provider.seen().split_off(3);
    assert_eq!(probes.len(), 2, "as many as success_threshold");
    assert!(probes.iter().all(|probe| !is_callers(probe)));
    assert!(
        probes[0].body["max_tokens"].as_u64().or(probes[0].body["max_completion_tokens"].as_u64()) <= Some(16),
        "a probe is small"
    );
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "ok");
}

#[tokio::test]
async fn an_active_probe_that_is_answered_too_late_opens_it_again() {
    let provider = Provider::start(broken()).await;
    let (sidecar, doors) = start(&provider, json!({"probe": "active", "slow_first_token": "100ms"})).await;
    trip(&doors, 3).await;
    provider.play(tokens(1).after(ms(200)));
    let again = |metrics: &Metrics| moves(metrics, "half_open", "open") == 1.0;
    let metrics = sidecar.metrics_until("the breaker to open again", again).await;
    assert_eq!(moves(&metrics, "half_open", "closed"), 0.0);
}

#[tokio::test]
async fn with_active_probes_no_caller_finds_out_the_hard_way() {
    let provider = Provider::start(broken()).await;
    let (_sidecar, doors) = start(&provider, json!({"probe": "active", "open_for": "50ms"})).await;
    trip(&doors, 3).await;
    let began = Instant::now();
    while began.elapsed() < ms(500) {
        assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "circuit_open");
    }
    let seen = provider.saw(4).await;
    assert_eq!(seen.iter().filter(|seen| is_callers(seen)).count(), 3, "the rest are probes");
}

#[tokio::test]
async fn a_passive_breaker_lets_calls_through_one_at_a_time_and_closes_on_success() {
    let provider = Provider::start(broken()).await;
    let (sidecar, doors) = start(&provider, json!({})).await;
    trip(&doors, 3).await;
    provider.play(tokens(2));
    call_until(&doors, "ok", "circuit_open").await;
    assert_eq!(moves(&sidecar.metrics().await, "half_open", "closed"), 0.0, "one success of two");
    call_until(&doors, "ok", "circuit_open").await;
    let closed = |metrics: &Metrics| moves(metrics, "half_open", "closed") == 1.0;
    sidecar.metrics_until("the breaker to close", closed).await;
}

#[tokio::test]
async fn a_failed_probe_opens_it_again_for_twice_as_long() {
    let provider = Provider::start(broken()).await;
    let (sidecar, doors) = start(&provider, json!({})).await;
    trip(&doors, 3).await;
    call_until(&doors, "provider_error", "circuit_open").await;
    call_until(&doors, "provider_error", "circuit_open").await;
    let seen = provider.seen();
    let (first, second) = (seen[3].at - seen[2].at, seen[4].at - seen[3].at);
    assert!(first >= ms(200) && first < ms(350), "{first:?}");
    assert!(second >= ms(400) && second < ms(600), "{second:?}");
    assert_eq!(moves(&sidecar.metrics().await, "half_open", "open"), 2.0);
}

#[tokio::test]
async fn half_open_admits_no_more_than_its_share() {
    let provider = Provider::start(broken()).await;
    let (_sidecar, doors) = start(&provider, json!({"open_for": "50ms"})).await;
    trip(&doors, 3).await;
    provider.play(hang());
    // The first call that is admitted hangs in its probe; all others are refused meanwhile.
    let probing = async {
        let mut calls = futures_util::stream::FuturesUnordered::new();
        loop {
            calls.push(doors.call(Way::HttpWhole, "chat"));
            tokio::select! {
                _ = provider.saw(4) => break,
                ended = futures_util::StreamExt::next(&mut calls) => assert_eq!(ended.unwrap().kind(), "circuit_open"),
            }
        }
        let refused = join_all((0..10).map(|_| doors.call(Way::HttpWhole, "chat"))).await;
        assert!(refused.iter().all(|ended| ended.kind() == "circuit_open"), "{refused:#?}");
    };
    probing.await;
    assert_eq!(provider.calls(), 4);
}

#[tokio::test]
async fn a_share_of_failures_opens_it_where_they_never_come_in_a_row() {
    let script: Vec<Act> = (0..40).map(|call| if call % 2 == 0 { broken() } else { tokens(1) }).collect();
    let provider = Provider::start(script).await;
    let rate = json!({"failure_rate": 0.5, "minimum_calls": 10, "open_for": "30s", "max_open_for": "60s"});
    let (_sidecar, doors) = start(&provider, rate).await;
    for _ in 0..40 {
        doors.call(Way::HttpWhole, "chat").await;
    }
    let calls = provider.calls();
    assert!((10..=12).contains(&calls), "{calls}");
}

#[tokio::test]
async fn a_slow_first_token_and_a_slow_stream_are_failures_if_so_configured() {
    let cases = [
        (tokens(3).first_token_after(ms(120)), json!({"slow_first_token": "50ms"})),
        (tokens(4).every(ms(100)), json!({"min_tokens_per_second": 50})),
    ];
    for (act, slow) in cases {
        let provider = Provider::start(act.clone()).await;
        let mut changes = slow.clone();
        changes["open_for"] = json!("30s");
        changes["max_open_for"] = json!("60s");
        let (_sidecar, doors) = start(&provider, changes).await;
        for _ in 0..3 {
            assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "ok", "the answer is good all the same");
        }
        assert_eq!(doors.call(Way::HttpStream, "chat").await.kind(), "circuit_open", "{slow}");
    }
}

#[tokio::test]
async fn after_a_429_the_provider_is_left_alone_for_as_long_as_it_said() {
    for way in Way::ALL {
        let limited = answer(429, &json!({})).header("retry-after-ms", "400").header("retry-after", "1");
        let provider = Provider::start(limited.then(tokens(1))).await;
        let (sidecar, doors) = start(&provider, json!({})).await;
        assert_eq!(doors.call(way, "chat").await.kind(), "rate_limited");
        let refused = doors.call(way, "chat").await;
        assert_eq!(refused.kind(), "rate_limited", "{refused:#?}");
        let wait = refused.failed().wait.expect("a cool-down has an end");
        assert!(wait <= ms(400), "{wait:?}");
        assert_eq!(provider.calls(), 1);
        call_until(&doors, "ok", "rate_limited").await;
        let seen = provider.seen();
        let gap = seen[1].at - seen[0].at;
        assert!(gap >= ms(395) && gap < ms(700), "{gap:?}");
        assert_eq!(moves(&sidecar.metrics().await, "closed", "open"), 0.0, "a cool-down is no trip");
    }
}

#[tokio::test]
async fn a_refused_key_makes_the_provider_unhealthy_until_it_changes() {
    let refused = answer(401, &json!({"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}));
    let provider = Provider::start(refused).await;
    let healthy = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).provider("b", &healthy)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.provider, "b");
    }
    assert_eq!(provider.calls(), 1, "the same key would be refused again");
}

#[tokio::test]
async fn a_closed_breaker_lets_calls_back_in_little_by_little() {
    let provider = Provider::start(broken()).await;
    let healthy = Provider::start(tokens(1)).await;
    let config = Config::one(&provider).provider("b", &healthy);
    let ramp = breaker(json!({"probe": "active", "open_for": "50ms", "ramp": "60s"}));
    let sidecar = Sidecar::start(config.each(&ramp)).await;
    let doors = Doors::of(&sidecar).await;
    for _ in 0..3 {
        assert_eq!(doors.call(Way::HttpWhole, "chat").await.provider, "b");
    }
    provider.play(tokens(1));
    let closed = |metrics: &Metrics| moves(metrics, "half_open", "closed") == 1.0;
    sidecar.metrics_until("the breaker to close", closed).await;
    // One at a time would be no crowd: the ramp is for those that come together.
    provider.play(tokens(1).after(ms(300)));
    let together = join_all((0..200).map(|_| doors.call(Way::HttpWhole, "chat"))).await;
    let there = together.iter().filter(|ended| ended.provider == "a").count();
    assert!(together.iter().all(|ended| ended.kind() == "ok"), "{together:#?}");
    assert!((1..=60).contains(&there), "about a tenth of 200 calls, not {there}");
}
