//! How often a provider is asked again, when, and who pays for it.

use std::time::Duration;

use fusebox_proto::v1::{Attempt, CallOptions, GenerateRequest};
use fusebox_tests::{
    client::{grpc::ask, told},
    provider::{
        Provider,
        act::{Act, json as answer, refuse, tokens},
        faults,
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tonic::Request;

use crate::support::{Doors, Way, hello, ms};

fn broken() -> Act {
    answer(500, &json!({}))
}

fn retry(changes: Value) -> Value {
    json!({ "retry": changes })
}

async fn start(provider: &Provider, changes: Value) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(provider).each(&retry(changes))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

async fn attempts(doors: &Doors) -> Vec<Attempt> {
    let answer = doors.grpc.clone().generate(ask("hello")).await;
    match answer {
        Ok(answer) => answer.into_inner().outcome.expect("an outcome").attempts,
        Err(status) => told(&status).outcome.expect("an outcome").attempts,
    }
}

fn waited(attempt: &Attempt) -> (Duration, &str) {
    let wait = attempt.waited.map(|wait| Duration::try_from(wait).unwrap()).unwrap_or_default();
    (wait, attempt.wait_reason.as_str())
}

fn gaps(provider: &Provider) -> Vec<Duration> {
    provider.seen().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}

#[tokio::test]
async fn each_kind_is_tried_here_as_often_as_its_row_says() {
    // With three retries allowed: attempts in all.
    let expected = [
        ("500", 4),
        ("502 with a page", 4),
        ("503 overloaded", 4),
        ("reset before the head", 4),
        ("429 with no body", 4),
        ("424 generation failed", 4),
        ("an empty answer", 4),
        ("500 out of memory, in vllm's words", 2),
        ("503 loading, in tgi's words", 1),
        ("401", 1),
        ("403", 1),
        ("404 model", 1),
        ("400", 1),
        ("400 content filter", 1),
        ("400 context length", 1),
    ];
    let all = [faults::statuses(), faults::silences()].concat();
    for (name, count) in expected {
        let fault = all.iter().find(|fault| fault.name == name).expect("a fault of this name");
        for way in [Way::GrpcWhole, Way::HttpStream] {
            let provider = Provider::start(fault.act.clone()).await;
            let (_sidecar, doors) = start(&provider, json!({"max_retries": 3, "base_delay": "2ms"})).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!(provider.calls(), count, "{name} by {way:?}: {ended:#?}");
            assert_eq!(ended.attempts, count, "{name} by {way:?}");
        }
    }
}

#[tokio::test]
async fn a_providers_own_error_is_tried_again_at_once_and_then_with_growing_waits() {
    let provider = Provider::start(broken().times(3, tokens(1))).await;
    let (_sidecar, doors) = start(&provider, json!({"max_retries": 3, "base_delay": "60ms", "max_delay": "1s"})).await;
    let attempts = attempts(&doors).await;
    let waits: Vec<_> = attempts.iter().map(waited).collect();
    assert_eq!(waits, [(ms(0), "none"), (ms(0), "none"), (ms(60), "backoff"), (ms(120), "backoff")]);
    let kinds: Vec<&str> = attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["provider_error", "provider_error", "provider_error", ""]);
    let gaps = gaps(&provider);
    assert!(gaps[0] < ms(50) && gaps[1] >= ms(60) && gaps[2] >= ms(120), "{gaps:?}");
    let mut last = Duration::ZERO;
    for attempt in &attempts {
        let started = Duration::try_from(attempt.started_after.unwrap()).unwrap();
        assert!(started >= last, "attempts are told in their order");
        last = started;
        assert_eq!(attempt.provider, "a");
    }
    assert!(last >= ms(180), "{last:?}");
}

#[tokio::test]
async fn a_broken_connection_is_tried_again_after_a_wait() {
    let provider = Provider::start(refuse().then(tokens(1))).await;
    let (_sidecar, doors) = start(&provider, json!({"max_retries": 1, "base_delay": "80ms"})).await;
    let attempts = attempts(&doors).await;
    assert_eq!(waited(&attempts[1]), (ms(80), "backoff"));
    assert!(gaps(&provider)[0] >= ms(80));
}

#[tokio::test]
async fn backoff_stops_growing_at_max_delay_and_jitter_only_shortens_it() {
    let provider = Provider::start(refuse().times(5, tokens(1))).await;
    let policy = json!({"max_retries": 5, "base_delay": "20ms", "backoff_factor": 3.0, "max_delay": "50ms"});
    let (_sidecar, doors) = start(&provider, policy.clone()).await;
    let waits: Vec<Duration> = attempts(&doors).await.iter().map(|attempt| waited(attempt).0).collect();
    assert_eq!(waits, [ms(0), ms(20), ms(50), ms(50), ms(50), ms(50)]);

    provider.play(refuse().times(5, tokens(1)));
    let mut jittered = policy;
    jittered["jitter"] = json!(true);
    let (_sidecar, doors) = start(&provider, jittered).await;
    let waits: Vec<Duration> = attempts(&doors).await.iter().map(|attempt| waited(attempt).0).collect();
    assert!(waits.iter().zip([0, 20, 50, 50, 50, 50]).all(|(wait, most)| *wait <= ms(most)), "{waits:?}");
    assert!(waits[2..].windows(2).any(|pair| pair[0] != pair[1]), "no two callers come back together: {waits:?}");
}

#[tokio::test]
async fn a_429_that_names_no_wait_is_tried_again_all_the_same() {
    let provider = Provider::start(answer(429, &json!({})).then(tokens(1))).await;
    let (_sidecar, doors) = start(&provider, json!({"max_retries": 1, "base_delay": "50ms"})).await;
    let attempts = attempts(&doors).await;
    let kinds: Vec<&str> = attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["rate_limited", ""]);
}

#[tokio::test]
async fn a_wait_that_the_provider_names_is_kept() {
    for (name, value, wait) in
        [("retry-after-ms", "150", 150), ("x-ratelimit-reset-requests", "150ms", 150), ("retry-after", "1", 1000)]
    {
        let limited = answer(429, &json!({})).header("x-ratelimit-remaining-requests", "0").header(name, value);
        let provider = Provider::start(limited.then(tokens(1))).await;
        let (_sidecar, doors) = start(&provider, json!({"max_retries": 1})).await;
        let attempts = attempts(&doors).await;
        let (waited, why) = waited(&attempts[1]);
        assert_eq!(why, "retry_after", "{name}");
        assert!(waited >= ms(wait - 20) && waited < ms(wait + 100), "{name}: {waited:?}");
        assert!(gaps(&provider)[0] >= ms(wait), "{name}: {:?}", gaps(&provider));
    }
}

#[tokio::test]
async fn a_wait_that_would_outlive_the_deadline_is_not_waited() {
    let provider = Provider::start(answer(429, &json!({})).header("retry-after", "5")).await;
    let (_sidecar, doors) = start(&provider, json!({"max_retries": 3})).await;
    for way in [Way::HttpWhole, Way::HttpStream] {
        let ended = doors.call_within(way, "chat", Some(ms(1000))).await;
        assert_eq!(ended.kind(), "rate_limited", "{ended:#?}");
        assert!(ended.took < ms(500), "{ended:#?}");
        let wait = ended.failed().wait.expect("the wait is passed on");
        assert!(wait > ms(3000) && wait <= ms(5000), "{wait:?}");
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn nothing_is_tried_again_once_max_elapsed_has_passed() {
    let provider = Provider::start(refuse()).await;
    let policy = json!({"max_retries": 50, "base_delay": "40ms", "backoff_factor": 1.0, "max_elapsed": "100ms"});
    let (_sidecar, doors) = start(&provider, policy).await;
    let ended = doors.call(Way::HttpWhole, "chat").await;
    assert!((2..=3).contains(&ended.attempts), "{ended:#?}");
    assert_eq!(provider.calls(), ended.attempts);
}

#[tokio::test]
async fn max_attempts_counts_over_retries_and_providers() {
    let a = Provider::start(broken()).await;
    let b = Provider::start(broken()).await;
    let config = Config::one(&a).provider("b", &b).each(&retry(json!({"max_retries": 5, "base_delay": "1ms"})));
    let sidecar = Sidecar::start(config).await;
    for most in [1, 2, 7, 12] {
        let before = a.calls() + b.calls();
        let options = CallOptions { max_attempts: Some(most), ..CallOptions::default() };
        let request = GenerateRequest { options: Some(options), ..ask("hello") };
        let status = sidecar.grpc().await.generate(request).await.unwrap_err();
        let made = a.calls() + b.calls() - before;
        assert_eq!(made, most as usize);
        assert_eq!(told(&status).outcome.unwrap().attempts.len(), made);
    }
}

#[tokio::test]
async fn retries_that_the_callers_sdk_has_made_are_taken_off() {
    let policy = json!({"max_retries": 3, "base_delay": "1ms"});
    for (already, left) in [("0", 4), ("2", 2), ("3", 1), ("9", 1)] {
        let provider = Provider::start(broken()).await;
        let (sidecar, doors) = start(&provider, policy.clone()).await;
        let request = sidecar.http().chat(&hello("chat", false)).header("x-stainless-retry-count", already);
        assert_eq!(request.send().await.header("x-fusebox-attempts"), Some(left.to_string().as_str()), "{already}");
        assert_eq!(provider.calls(), left, "{already}");

        let mut request = Request::new(ask("hello"));
        request.metadata_mut().insert("grpc-previous-rpc-attempts", already.parse().unwrap());
        doors.grpc.clone().generate(request).await.unwrap_err();
        assert_eq!(provider.calls(), 2 * left, "{already} by gRPC");
    }
}

#[tokio::test]
async fn in_an_outage_retries_are_capped_by_the_budget() {
    let provider = Provider::start(broken()).await;
    let budget = json!({"retry_budget": {"ratio": 0.1, "minimum_per_second": 0}});
    let config = Config::one(&provider).each(&retry(json!({"max_retries": 3, "base_delay": "1ms"}))).with(budget);
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for _ in 0..300 {
        assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "provider_error");
    }
    let retries = provider.calls() - 300;
    assert!((20..=60).contains(&retries), "300 calls pay for 30 retries, and what was saved up; there were {retries}");
    let metrics = sidecar.metrics().await;
    assert_eq!(metrics.sum("fusebox_retries_total", &[("provider", "a")]), retries as f64);
    let refused = metrics.sum("fusebox_retries_refused_total", &[("provider", "a")]);
    assert!((240.0..=300.0).contains(&refused), "most of the 300 calls could pay for none: {refused}");
    assert_eq!(
        metrics.sum("fusebox_attempts_total", &[("provider", "a"), ("kind", "provider_error")]),
        (300 + retries) as f64
    );
}
