//! The chain as a whole: who is asked, who is blamed, and who is waited for.

use fusebox_tests::{
    provider::{
        Provider,
        act::{document, hang, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{hello, ms};

fn three_failures(changes: Value) -> Value {
    let mut breaker = json!({"failure_threshold": 3, "open_for": "30s", "probe": "passive"});
    for (name, value) in changes.as_object().unwrap() {
        breaker[name] = value.clone();
    }
    json!({"breaker": breaker, "retry": {"max_retries": 0, "base_delay": "10ms"}})
}

#[tokio::test]
async fn callers_in_a_hurry_open_no_breaker() {
    let provider = Provider::start(tokens(3).after(ms(100)).every(ms(30))).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&three_failures(json!({})))).await;
    for (stream, timeout) in [(false, "5"), (true, "5"), (true, "140")] {
        let calls =
            (0..4).map(|_| sidecar.http().chat(&hello("chat", stream)).header("x-fusebox-timeout-ms", timeout).send());
        for answer in join_all(calls).await {
            assert!(answer.text().contains("inference_timeout"), "{}", answer.text());
        }
    }
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
}

#[tokio::test]
async fn a_provider_that_is_silent_for_its_own_limit_is_blamed() {
    let provider = Provider::start(hang()).await;
    let limits = json!({"timeouts": {"connect": "50ms", "total": "60ms", "first_token": "60ms", "idle": "60ms"}});
    let config = Config::one(&provider).each(&three_failures(json!({}))).each(&limits);
    let sidecar = Sidecar::start(config).await;
    for _ in 0..3 {
        let answer = sidecar.http().chat(&hello("chat", true)).send().await;
        assert_eq!(answer.error()["type"], "inference_timeout", "{}", answer.text());
    }
    assert_eq!(sidecar.http().chat(&hello("chat", true)).send().await.error()["type"], "circuit_open");
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn one_that_is_cooling_is_waited_for_when_the_one_before_it_is_open() {
    let broken = Provider::start(answer(500, &json!({}))).await;
    let limited = Provider::start(answer(429, &json!({})).header("retry-after-ms", "300").then(tokens(1))).await;
    let config = Config::new().provider("broken", &broken).provider("limited", &limited);
    let sidecar = Sidecar::start(
        config
            .each(&three_failures(json!({"failure_threshold": 1})))
            .each(&json!({"retry": {"max_retries": 1, "base_delay": "10ms"}})),
    )
    .await;
    // The first call opens the one and cools the other; it and those after it are answered once that is over.
    for _ in 0..2 {
        let answer = sidecar.http().chat(&hello("chat", false)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-fusebox-provider").unwrap(), "limited");
    }
    assert!(broken.calls() <= 2);
}

#[tokio::test]
async fn a_failure_that_may_pass_is_told_before_one_that_will_not() {
    let refusing = Provider::start(answer(401, &json!({"error": {"message": "bad key"}}))).await;
    let broken = Provider::start(answer(500, &json!({}))).await;
    let (one, other) = (("refusing", &refusing), ("broken", &broken));
    for [first, second] in [[one, other], [other, one]] {
        let config = Config::new().provider(first.0, first.1).provider(second.0, second.1);
        let sidecar = Sidecar::start(config.each(&three_failures(json!({})))).await;
        let answer = sidecar.http().chat(&hello("chat", false)).send().await;
        assert_eq!(answer.error()["type"], "provider_error", "{}", answer.text());
        let providers = answer.error()["details"]["providers"].to_string();
        assert!(
            providers.contains("refusing: authentication") && providers.contains("broken: provider_error"),
            "{providers}"
        );
    }
}

#[tokio::test]
async fn out_of_memory_is_answered_with_half_and_says_so() {
    let out_of_memory = answer(500, &json!({"error": {"message": "CUDA out of memory. Tried to allocate 2 GiB"}}));
    let provider = Provider::start(out_of_memory.then(tokens(1))).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&json!({"retry": {"max_retries": 1}}))).await;
    let mut body = hello("chat", false);
    body["max_tokens"] = json!(100);
    let answer = sidecar.http().chat(&body).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("x-fusebox-quality").unwrap()), (200, "limited"));
    assert_eq!(provider.seen().last().unwrap().body["max_tokens"], 50);
}

#[tokio::test]
async fn one_who_shares_anothers_call_keeps_a_deadline_of_their_own() {
    let provider = Provider::start(tokens(10).every(ms(100))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let call = || sidecar.http().chat(&hello("chat", true)).header("idempotency-key", "k");
    let (whole, cut) = tokio::join!(call().send(), call().header("x-fusebox-timeout-ms", "250").send());
    assert!(whole.events().last().unwrap().is_done());
    assert!(cut.text().contains("inference_timeout") && !cut.text().contains("[DONE]"), "{}", cut.text());
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn an_answer_that_a_stop_sequence_emptied_is_good() {
    let empty = answer(200, &json!({"choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]}));
    let provider = Provider::start(empty).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let mut body = hello("chat", false);
    assert_eq!(sidecar.http().chat(&body).send().await.error()["type"], "invalid_response");
    body["stop"] = json!(["\n"]);
    assert_eq!(sidecar.http().chat(&body).send().await.status, 200);
}

#[tokio::test]
async fn a_null_among_the_events_is_passed_over() {
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]});
    let events = format!("data: null\n\ndata: {chunk}\n\ndata: [DONE]\n\n");
    let provider = Provider::start(document(200, "text/event-stream", events)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let answer = sidecar.http().chat(&hello("chat", true)).send().await;
    assert!(answer.text().contains("hi") && answer.events().last().unwrap().is_done(), "{}", answer.text());
}
