//! What a call ends on once every provider has failed: each step down, and each reason not to take one.

use fusebox_tests::{
    provider::{
        Provider,
        act::{Act, hang, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::{
    options::{Ask, ask},
    support::{Doors, Way, hello, ms},
};

fn down() -> Act {
    answer(500, &json!({"error": {"message": "down"}}))
}

/// A sidecar whose model `chat` the provider serves, with these ways down.
async fn with(provider: &Provider, degradation: Value) -> (Sidecar, Doors) {
    started(Config::one(provider).with(json!({"degradation": degradation}))).await
}

async fn started(config: Config) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

#[tokio::test]
async fn a_smaller_model_answers_before_anything_else() {
    for way in Way::ALL {
        let (large, small) = (Provider::start(down()).await, Provider::start(tokens(2)).await);
        let config = Config::one(&large).apart("b", &small.base_url(), json!({})).model("small", &["b"]).with(json!({
            "degradation": {"fallback_model": "small", "simplified_prompt": "{original_prompt}", "fallback_response": "sorry"},
        }));
        let (sidecar, doors) = started(config).await;
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!(told.how(), ("0:0 0:1 ", "fallback", "limited"), "{way:?}");
        assert_eq!(told.provider, "b");
        assert!(told.warnings.contains("provider_error") && told.warnings.contains("small"), "{told:?}");
        assert_eq!(small.seen()[0].body["model"], "small");
        assert_eq!((large.calls(), small.calls()), (1, 1));
        let metrics = sidecar.metrics_until("the outcome", |metrics| {
            metrics.sum("fusebox_calls_total", &[("source", "fallback"), ("kind", "ok")]) == 1.0
        });
        metrics.await;
    }
}

#[tokio::test]
async fn without_models_of_its_own_a_sidecar_asks_for_the_smaller_one_by_name() {
    let provider = Provider::start(down().then(tokens(1))).await;
    let config = Config::new().apart("a", &provider.base_url(), json!({}));
    let (sidecar, _doors) = started(config.with(json!({"degradation": {"fallback_model": "small"}}))).await;
    let answer = sidecar.http().chat(&hello("large", false)).send().await;
    assert_eq!(answer.header("x-fusebox-quality"), Some("limited"), "{}", answer.text());
    let models: Vec<Value> = provider.seen().iter().map(|seen| seen.body["model"].clone()).collect();
    assert_eq!(models, ["large", "small"]);
}

#[tokio::test]
async fn a_shorter_prompt_is_asked_when_the_callers_own_has_failed() {
    for way in Way::ALL {
        let provider = Provider::start(down().then(tokens(2))).await;
        let set = json!({"simplified_prompt": "In short: {original_prompt}", "fallback_response": "sorry"});
        let (_sidecar, doors) = with(&provider, set).await;
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!(told.how(), ("1:0 1:1 ", "simplified", "limited"), "{way:?}");
        assert!(told.warnings.contains("a shorter prompt"), "{told:?}");
        let messages = provider.seen()[1].body["messages"].clone();
        assert_eq!(messages, json!([{"role": "user", "content": "In short: hello"}]), "{way:?}");
    }
}

#[tokio::test]
async fn a_text_that_was_set_is_the_last_answer() {
    for way in Way::ALL {
        let provider = Provider::start(down()).await;
        let (sidecar, doors) = with(&provider, json!({"fallback_response": "We are \"sorry\"."})).await;
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!(told.how(), ("We are \"sorry\".", "static", "unavailable"), "{way:?}");
        assert_eq!((&*told.finish, &*told.provider), ("stop", ""), "{way:?}");
        assert!(told.warnings.contains("(provider_error)"), "{told:?}");
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum("fusebox_calls_total", &[("source", "static"), ("kind", "ok")]), 1.0);
    }
}

#[tokio::test]
async fn a_static_answer_is_a_well_formed_one() {
    let provider = Provider::start(down()).await;
    let (sidecar, _doors) = with(&provider, json!({"fallback_response": "sorry"})).await;
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    let json = answer.json();
    assert_eq!(
        (answer.status.as_u16(), &json["object"], &json["model"]),
        (200, &json!("chat.completion"), &json!("chat"))
    );
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    let completion = sidecar.http().post("/v1/completions", &json!({"model": "chat", "prompt": "x"})).send().await;
    assert_eq!(
        (&completion.json()["object"], &completion.json()["choices"][0]["text"]),
        (&json!("text_completion"), &json!("sorry"))
    );
    let stream = sidecar.http().chat(&hello("chat", true)).send().await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert!(stream.events().last().unwrap().is_done());
    // There is no text that could stand for a vector.
    let embedding = sidecar.http().post("/v1/embeddings", &json!({"model": "chat", "input": "x"})).send().await;
    assert_eq!(embedding.error()["type"], "provider_error");
}

#[tokio::test]
async fn a_grpc_caller_brings_its_own_ways_down() {
    for way in [Way::GrpcWhole, Way::GrpcStream] {
        let provider = Provider::start(down()).await;
        let (_sidecar, doors) = with(&provider, json!({"fallback_response": "the house's"})).await;
        let own = Ask { fallback_response: Some("my own"), ..Ask::default() };
        assert_eq!(ask(&doors, way, &own).await.how(), ("my own", "static", "unavailable"), "{way:?}");
        provider.play(down().then(tokens(1)));
        let shorter = Ask { simplified_prompt: Some("brief: {original_prompt}"), ..Ask::default() };
        assert_eq!(ask(&doors, way, &shorter).await.source, "simplified", "{way:?}");
    }
}

#[tokio::test]
async fn the_cache_is_read_before_a_shorter_prompt_is_asked() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(2).then(down())).await;
        let set = json!({"cache": {"mode": "fallback"},
                         "degradation": {"simplified_prompt": "{original_prompt}", "fallback_response": "sorry"}});
        let (_sidecar, doors) = started(Config::one(&provider).with(set)).await;
        let first = ask(&doors, way, &Ask::default()).await;
        assert_eq!(ask(&doors, way, &Ask::default()).await.how(), (&*first.text, "cache", "cached"), "{way:?}");
        assert_eq!(provider.calls(), 2, "nobody was asked for a shorter answer");
        let other = ask(&doors, way, &Ask { prompt: "another", ..Ask::default() }).await;
        assert_eq!(other.how(), ("sorry", "static", "unavailable"), "{way:?}");
    }
}

#[tokio::test]
async fn a_caller_that_allows_nothing_less_gets_the_error() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(1).then(down())).await;
        let set = json!({"cache": {"mode": "fallback"},
                         "degradation": {"simplified_prompt": "{original_prompt}", "fallback_response": "sorry"}});
        let (_sidecar, doors) = started(Config::one(&provider).with(set)).await;
        ask(&doors, way, &Ask::default()).await;
        let told = ask(&doors, way, &Ask { allow_degraded: Some(false), ..Ask::default() }).await;
        assert_eq!(told.kind, "provider_error", "{way:?} {told:?}");
        assert_eq!(provider.calls(), 2);
    }
}

#[tokio::test]
async fn what_is_the_callers_own_is_told_and_not_got_round() {
    let error = |status: u16, code: &str, message: &str| {
        answer(status, &json!({"error": {"message": message, "type": "invalid_request_error", "code": code}}))
    };
    let refusals = [
        (error(400, "content_filter", "The response was filtered"), "content_filtered"),
        (error(400, "context_length_exceeded", "maximum context length is 10 tokens"), "context_length_exceeded"),
        (error(400, "bad", "temperature is wrong"), "invalid_input"),
    ];
    for (act, kind) in refusals {
        for way in Way::ALL {
            let provider = Provider::start(act.clone()).await;
            let set = json!({"simplified_prompt": "{original_prompt}", "fallback_response": "sorry"});
            let (_sidecar, doors) = with(&provider, set).await;
            let told = ask(&doors, way, &Ask::default()).await;
            assert_eq!((&*told.kind, provider.calls()), (kind, 1), "{way:?} {told:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_among_other_failures_is_not_got_round_either() {
    let filtered = answer(400, &json!({"error": {"message": "filtered", "code": "content_filter"}}));
    let (broken, strict) = (Provider::start(down()).await, Provider::start(filtered).await);
    let config = Config::new().provider("broken", &broken).provider("strict", &strict);
    let (_sidecar, doors) = started(config.with(json!({"degradation": {"fallback_response": "sorry"}}))).await;
    for way in Way::ALL {
        assert_ne!(ask(&doors, way, &Ask::default()).await.kind, "ok", "{way:?}");
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told() {
    let provider = Provider::start(tokens(1)).await;
    let (sidecar, _doors) = with(&provider, json!({"fallback_response": "sorry"})).await;
    let answer = sidecar.http().chat(&hello("caht", false)).send().await;
    assert_eq!(answer.error()["type"], "model_not_found");
}

#[tokio::test]
async fn silent_providers_leave_time_for_a_step_that_asks() {
    for way in Way::ALL {
        let (large, small) = (Provider::start(hang()).await, Provider::start(tokens(1)).await);
        let config = Config::one(&large).apart("b", &small.base_url(), json!({})).model("small", &["b"]);
        let (_sidecar, doors) = started(config.with(json!({"degradation": {"fallback_model": "small"}}))).await;
        let told = ask(&doors, way, &Ask { timeout: Some(ms(2_000)), ..Ask::default() }).await;
        assert_eq!((&*told.kind, &*told.quality), ("ok", "limited"), "{way:?} {told:?}");
        assert!(told.warnings.contains("inference_timeout"), "{told:?}");
    }
}

#[tokio::test]
async fn a_set_text_arrives_before_its_caller_has_left() {
    for way in Way::ALL {
        let provider = Provider::start(hang()).await;
        let (_sidecar, doors) = with(&provider, json!({"fallback_response": "sorry"})).await;
        let told = ask(&doors, way, &Ask { timeout: Some(ms(3_000)), ..Ask::default() }).await;
        assert_eq!(told.how(), ("sorry", "static", "unavailable"), "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_that_has_begun_does_not_descend() {
    for way in Way::STREAMS {
        let provider = Provider::start(tokens(2).cut()).await;
        let (_sidecar, doors) = with(&provider, json!({"fallback_response": "sorry"})).await;
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!((&*told.kind, told.text.contains("sorry")), ("stream_broken", false), "{way:?} {told:?}");
    }
}

#[tokio::test]
async fn no_step_asks_more_often_than_the_caller_allows() {
    for way in [Way::GrpcWhole, Way::GrpcStream] {
        let provider = Provider::start(down()).await;
        let set = json!({"simplified_prompt": "{original_prompt}", "fallback_response": "sorry"});
        let (_sidecar, doors) = with(&provider, set).await;
        let told = ask(&doors, way, &Ask { max_attempts: Some(1), ..Ask::default() }).await;
        assert_eq!((&*told.source, provider.calls()), ("static", 1), "{way:?}");
    }
}

#[tokio::test]
async fn a_call_that_is_shed_gets_the_set_text_and_asks_nobody() {
    let provider = Provider::start(hang()).await;
    let config = Config::one(&provider).with(json!({
        "limits": {"max_in_flight": 1}, "degradation": {"simplified_prompt": "{original_prompt}", "fallback_response": "sorry"},
    }));
    let (sidecar, doors) = started(config).await;
    let mut first = Box::pin(sidecar.http().chat(&hello("chat", false)).open());
    tokio::select! { biased; _ = &mut first => panic!("answered too soon"), _ = provider.saw(1) => {} }
    for way in Way::ALL {
        let told = ask(&doors, way, &Ask::default()).await;
        assert_eq!(told.how(), ("sorry", "static", "unavailable"), "{way:?}");
    }
    assert_eq!(provider.calls(), 1);
}
