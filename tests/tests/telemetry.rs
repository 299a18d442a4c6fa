//! What is counted, logged and passed on of a call.

use fusebox_tests::{
    provider::{
        Provider,
        act::{json as answer, tokens},
        faults::MARK,
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;

use crate::support::{Doors, Way, hello};

#[tokio::test]
async fn a_correlation_id_is_taken_or_made_and_is_on_every_answer() {
    let provider = Provider::start(tokens(1).then(answer(500, &json!({})))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let call = || sidecar.http().chat(&hello("chat", false));
    let good = call().header("x-correlation-id", "order/42").send().await;
    assert_eq!(good.header("x-correlation-id"), Some("order/42"));
    let bad = call().header("x-correlation-id", "order/43").send().await;
    assert_eq!(bad.header("x-correlation-id"), Some("order/43"));
    assert_eq!(bad.error()["correlation_id"], "order/43");
    sidecar.logged("the failed call's line", |line| line.contains("order/43") && line.contains("provider_error")).await;
    let [one, other] = [call().send().await, call().send().await];
    let made = |answer: &fusebox_tests::client::Answer| answer.header("x-correlation-id").unwrap().to_owned();
    assert_ne!(made(&one), made(&other));
    let strange = call().header("x-correlation-id", &"x".repeat(5000)).send().await;
    assert!(made(&strange).len() <= 128, "an id without sense is not taken over");
}

#[tokio::test]
async fn a_trace_is_continued_to_the_provider() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let request = sidecar.http().chat(&hello("chat", false)).header("traceparent", &parent).header("tracestate", "a=1");
    request.send().await;
    let mut request = tonic::Request::new(fusebox_tests::client::grpc::ask("hello"));
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    sidecar.grpc().await.generate(request).await.unwrap();
    for call in provider.seen() {
        let passed = call.header("traceparent").expect("a trace goes on");
        assert!(passed.starts_with(&format!("00-{trace}-")) && passed.len() == parent.len(), "{passed}");
    }
    assert_eq!(provider.seen()[0].header("tracestate"), Some("a=1"));
}

#[tokio::test]
async fn calls_attempts_tokens_and_retries_are_counted() {
    let script = answer(500, &json!({})).then(tokens(3));
    let provider = Provider::start(script).await;
    let retry = json!({"retry": {"max_retries": 1, "base_delay": "1ms"}});
    let sidecar = Sidecar::start(Config::one(&provider).each(&retry)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.kind(), "ok", "{way:?}");
    }
    let counted = |metrics: &fusebox_tests::client::Metrics| metrics.sum("fusebox_calls_total", &[]) == 4.0;
    let metrics = sidecar.metrics_until("four calls", counted).await;
    let sum = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    assert_eq!(sum("fusebox_calls_total", &[("model", "chat"), ("source", "primary")]), 4.0);
    assert_eq!(sum("fusebox_attempts_total", &[("provider", "a")]), 5.0);
    assert_eq!(sum("fusebox_attempts_total", &[("provider", "a"), ("kind", "provider_error")]), 1.0);
    assert_eq!(sum("fusebox_retries_total", &[("provider", "a")]), 1.0);
    assert_eq!(sum("fusebox_call_duration_seconds_count", &[]), 4.0);
    assert_eq!(sum("fusebox_first_token_seconds_count", &[]), 2.0, "of the two streams");
    assert_eq!(sum("fusebox_attempt_duration_seconds_count", &[("provider", "a")]), 5.0);
    assert_eq!(sum("fusebox_overhead_seconds_count", &[]), 4.0);
    assert_eq!(sum("fusebox_in_flight", &[]), 0.0);
    assert!(sum("fusebox_tokens_total", &[("provider", "a")]) >= 12.0, "three tokens an answer, at least");
}

#[tokio::test]
async fn label_values_are_few_whatever_callers_name() {
    let provider = Provider::start(tokens(1)).await;
    // With no models configured any name is passed on.
    let config = Config::new().apart("a", &provider.base_url(), json!({}));
    let sidecar = Sidecar::start(config).await;
    for name in 0..200 {
        assert_eq!(sidecar.http().chat(&hello(&format!("made-up-{name}"), false)).send().await.status, 200);
    }
    assert_eq!(provider.seen()[199].body["model"], "made-up-199");
    let text = sidecar.admin().get("/metrics").send().await.text();
    let series = text.lines().filter(|line| line.starts_with("fusebox_calls_total{")).count();
    assert!(series < 110, "{series} series of fusebox_calls_total");
}

#[tokio::test]
async fn a_providers_raw_words_are_logged_and_told_at_debug_and_not_at_info() {
    for (level, logged) in [("info", false), ("debug", true)] {
        let provider = Provider::start(answer(500, &json!({"error": {"message": format!("oh no {MARK}")}}))).await;
        let sidecar = Sidecar::start(Config::one(&provider).with(json!({"telemetry": {"log": level}}))).await;
        let call = sidecar.http().chat(&hello("chat", false)).header("x-correlation-id", "the-call");
        let answer = call.send().await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.everything().contains(MARK), logged, "at {level}: {}", answer.text());
        if logged {
            let words = answer.error()["details"]["provider_words"].as_str().unwrap_or_default().to_owned();
            assert!(words.starts_with("HTTP 500: "), "{words}");
        }
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.kind(), "provider_error");
            assert_eq!(ended.everything.contains(MARK), logged, "at {level}, {way:?}: {ended:#?}");
        }
        sidecar.logged("the call's line", |line| line.contains("the-call") && line.contains("provider_error")).await;
        assert_eq!(sidecar.log().contains(MARK), logged, "at {level}:\n{}", sidecar.log());
    }
}

#[tokio::test]
async fn a_prompt_is_not_logged() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"telemetry": {"log": "debug"}}))).await;
    let body = json!({"messages": [{"role": "user", "content": "my diagnosis is private"}]});
    sidecar.http().chat(&body).header("x-correlation-id", "the-call").send().await;
    sidecar.logged("the call's line", |line| line.contains("the-call")).await;
    assert!(!sidecar.log().contains("diagnosis"), "{}", sidecar.log());
}
