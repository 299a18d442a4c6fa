//! Refusals of the content: the answer by default, asked for anew or elsewhere only where the configuration says so.

use fusebox_tests::{
    client::grpc::ask,
    provider::{
        Provider,
        act::{Act, json as answer, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Way};

const INSTRUCTION: &str = "Answer as for a school.";

/// Every way in which a provider refuses before it has said anything.
fn refusals() -> Vec<(&'static str, Act)> {
    let error = json!({"error": {"message": "The response was filtered", "type": null, "code": "content_filter"}});
    vec![
        ("an error", answer(400, &error)),
        ("a finish without a word", text(&[]).finish("content_filter")),
        ("an event in place of the first token", text(&[]).error_event("content_filter", "filtered")),
    ]
}

/// Two providers, of which the first refuses once, or always, and the second would answer.
async fn two(first: impl Into<fusebox_tests::provider::script::Script>) -> (Provider, Provider) {
    (Provider::start(first).await, Provider::start(tokens(2)).await)
}

async fn start(a: &Provider, b: &Provider, filter: Value) -> (Sidecar, Doors) {
    let retry = json!({"retry": {"max_retries": 3, "base_delay": "1ms"}});
    let config = Config::one(a).provider("b", b).each(&retry).with(json!({"content_filter": filter}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

fn rewrite(instruction: &str) -> Value {
    json!({"rewrite": instruction})
}

#[tokio::test]
async fn a_refusal_is_the_answer_unless_something_else_is_configured() {
    for (name, refusal) in refusals() {
        for way in Way::ALL {
            let (a, b) = two(refusal.clone()).await;
            let (_sidecar, doors) = start(&a, &b, json!("error")).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.kind(), "content_filtered", "{name} by {way:?}: {ended:#?}");
            assert!(ended.failed().http.is_none_or(|status| status == 422) && !ended.failed().retryable);
            assert!(ended.failed().grpc.is_none_or(|code| code == 9));
            assert_eq!((a.calls(), b.calls()), (1, 0), "{name} by {way:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_goes_to_the_next_provider_where_that_is_configured() {
    for (name, refusal) in refusals() {
        for way in Way::ALL {
            let (a, b) = two(refusal.clone()).await;
            let (_sidecar, doors) = start(&a, &b, json!("failover")).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!((ended.good(), ended.source.as_str()), ("0:0 0:1 ", "fallback"), "{name} by {way:?}");
            assert_eq!((a.calls(), b.calls()), (1, 1), "{name} by {way:?}");
        }
    }
}

#[tokio::test]
async fn refused_content_is_asked_for_once_more_under_the_instruction() {
    for (name, refusal) in refusals() {
        for way in Way::ALL {
            let (a, b) = two(refusal.clone().then(text(&["gladly"]))).await;
            let (_sidecar, doors) = start(&a, &b, rewrite(INSTRUCTION)).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!((ended.good(), ended.source.as_str()), ("gladly", "primary"), "{name} by {way:?}");
            assert_eq!((a.calls(), b.calls(), ended.attempts), (2, 0, 2), "{name} by {way:?}");
            let seen = a.seen();
            assert_eq!(seen[0].body["messages"], json!([{"role": "user", "content": "hello"}]));
            let expected = json!([{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": "hello"}]);
            assert_eq!(seen[1].body["messages"], expected, "{name} by {way:?}");
            assert_eq!(seen[1].body["stream"].as_bool().unwrap_or(false), way.streams());
            assert!(ended.everything.to_lowercase().contains("limited"), "the quality says so: {ended:#?}");
            assert!(ended.everything.contains("asked once more under the configured instruction"), "{ended:#?}");
        }
    }
}

#[tokio::test]
async fn the_rewriting_is_told_of() {
    let (a, b) = two(text(&[]).finish("content_filter").then(text(&["gladly"]))).await;
    let (_sidecar, doors) = start(&a, &b, rewrite(INSTRUCTION)).await;
    let outcome = doors.grpc.clone().generate(ask("hello")).await.unwrap().into_inner().outcome.unwrap();
    assert_eq!(outcome.warnings, ["a refused the content and was asked once more under the configured instruction"]);
    assert_eq!(outcome.quality().as_str_name(), "QUALITY_LIMITED");
    let kinds: Vec<&str> = outcome.attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["content_filtered", ""]);
}

#[tokio::test]
async fn the_instruction_may_frame_the_prompt() {
    for way in Way::ALL {
        let (a, b) = two(text(&[]).finish("content_filter").then(tokens(1))).await;
        let (_sidecar, doors) = start(&a, &b, rewrite("Harmlessly: {original_prompt}?")).await;
        doors.call(way, "chat").await.good();
        let expected = json!([{"role": "user", "content": "Harmlessly: hello?"}]);
        assert_eq!(a.seen()[1].body["messages"], expected, "{way:?}");
    }
}

#[tokio::test]
async fn a_second_refusal_is_the_answer_and_goes_nowhere_else() {
    for (name, refusal) in refusals() {
        for way in Way::ALL {
            let (a, b) = two(refusal.clone()).await;
            let (_sidecar, doors) = start(&a, &b, rewrite(INSTRUCTION)).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.kind(), "content_filtered", "{name} by {way:?}");
            assert_eq!((a.calls(), b.calls()), (2, 0), "{name} by {way:?}");
        }
    }
}

#[tokio::test]
async fn no_other_failure_leads_a_refusal_on() {
    for way in Way::ALL {
        let (a, b) = two(answer(500, &json!({})).then(text(&[]).finish("content_filter"))).await;
        let (_sidecar, doors) = start(&a, &b, json!("error")).await;
        assert_eq!(doors.call(way, "chat").await.kind(), "content_filtered", "{way:?}");
        assert_eq!((a.calls(), b.calls()), (2, 0), "{way:?}");
    }
}

#[tokio::test]
async fn a_whole_answer_that_the_filter_cut_off_is_a_refusal() {
    for way in [Way::HttpWhole, Way::GrpcWhole] {
        let (a, b) = two(text(&["Well, "]).finish("content_filter").then(text(&["gladly"]))).await;
        let (_sidecar, doors) = start(&a, &b, json!("error")).await;
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.kind(), a.calls(), b.calls()), ("content_filtered", 1, 0), "{way:?}");
        assert!(!ended.everything.contains("Well"), "{ended:#?}");
        a.play(text(&["Well, "]).finish("content_filter").then(text(&["gladly"])));
        let (_sidecar, doors) = start(&a, &b, rewrite(INSTRUCTION)).await;
        assert_eq!(doors.call(way, "chat").await.good(), "gladly", "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_that_the_filter_cuts_off_says_so_as_its_finish() {
    for filter in [json!("error"), json!("failover"), rewrite(INSTRUCTION)] {
        for way in Way::STREAMS {
            let (a, b) = two(text(&["Well, ", "that "]).finish("content_filter")).await;
            let (_sidecar, doors) = start(&a, &b, filter.clone()).await;
            let ended = doors.call(way, "chat").await;
            assert_eq!((ended.good(), ended.finish.as_str()), ("Well, that ", "content_filter"), "{way:?}");
            assert_eq!((a.calls(), b.calls()), (1, 0), "what was said cannot be unsaid: {way:?}");
        }
    }
}
