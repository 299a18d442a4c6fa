//! Embeddings of more inputs than a provider takes at once, through both doors.

use fusebox_proto::v1::{EmbedRequest, EmbedResponse, Source};
use fusebox_tests::{
    client::{Answer, told},
    provider::{
        Provider,
        act::{Act, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tonic::Code;

/// Texts by whose length, the second number of each vector, it can be told which is whose.
const TEXTS: [&str; 5] = ["a", "bb", "ccc", "dddd", "eeeee"];

fn broken() -> Act {
    answer(500, &json!({}))
}

fn batches_of(limit: u32) -> Value {
    json!({"max_batch": limit, "retry": {"max_retries": 2, "base_delay": "1ms"}})
}

async fn post(sidecar: &Sidecar, input: Value) -> Answer {
    sidecar.http().post("/v1/embeddings", &json!({"model": "chat", "input": input, "user": "u"})).send().await
}

async fn embed(sidecar: &Sidecar) -> EmbedResponse {
    sidecar.grpc().await.embed(texts()).await.unwrap().into_inner()
}

fn texts() -> EmbedRequest {
    EmbedRequest { inputs: TEXTS.map(str::to_owned).to_vec(), ..EmbedRequest::default() }
}

/// What each call to `provider` after the first `skipped` asked for.
fn asked(provider: &Provider, skipped: usize) -> Vec<Value> {
    provider.seen().into_iter().skip(skipped).map(|seen| seen.body["input"].clone()).collect()
}

fn parts(parts: &[std::ops::Range<usize>]) -> Vec<Value> {
    parts.iter().map(|part| json!(TEXTS[part.clone()])).collect()
}

/// The lengths that the vectors tell of, in their order.
fn lengths(response: &EmbedResponse) -> Vec<f32> {
    response.embeddings.iter().map(|embedding| embedding.values[1]).collect()
}

const IN_ORDER: [f32; 5] = [1.0, 2.0, 3.0, 4.0, 5.0];

#[tokio::test]
async fn a_batch_is_asked_for_in_parts_and_answered_as_one_in_order() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&batches_of(2))).await;
    let answer = post(&sidecar, json!(TEXTS)).await;
    let document = answer.json();
    let item = |(index, item): (usize, &Value)| (item["index"] == index, item["embedding"][1].clone());
    let items: Vec<(bool, Value)> = document["data"].as_array().unwrap().iter().enumerate().map(item).collect();
    assert_eq!(items, IN_ORDER.map(|length| (true, json!(length))));
    assert_eq!(document["usage"], json!({"prompt_tokens": 9, "total_tokens": 9}));
    assert_eq!((&document["object"], &document["model"]), (&json!("list"), &json!("served-a")));
    assert_eq!((answer.header("x-fusebox-attempts"), answer.header("x-fusebox-source")), (Some("3"), Some("primary")));
    assert_eq!(asked(&provider, 0), parts(&[0..2, 2..4, 4..5]));
    assert!(provider.seen().iter().all(|seen| seen.body["model"] == "served-a" && seen.body["user"] == "u"));

    let response = embed(&sidecar).await;
    assert_eq!(lengths(&response), IN_ORDER);
    assert_eq!(response.usage.unwrap().input_tokens, 9);
    assert_eq!(response.outcome.unwrap().attempts.len(), 3);
    assert_eq!(asked(&provider, 3), parts(&[0..2, 2..4, 4..5]));

    let tokens = json!([[1, 2], [3], [4, 5, 6]]);
    assert_eq!(post(&sidecar, tokens).await.json()["data"].as_array().unwrap().len(), 3);
    assert_eq!(asked(&provider, 6), [json!([[1, 2], [3]]), json!([[4, 5, 6]])]);
}

#[tokio::test]
async fn a_batch_within_the_limit_is_one_request() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&batches_of(5))).await;
    assert_eq!(lengths(&embed(&sidecar).await), IN_ORDER);
    assert_eq!(post(&sidecar, json!(TEXTS)).await.json()["data"].as_array().unwrap().len(), 5);
    assert_eq!(
        post(&sidecar, json!([7, 7, 7])).await.json()["data"].as_array().unwrap().len(),
        1,
        "tokens are one input"
    );
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn only_the_part_that_failed_is_asked_for_again() {
    let script = || tokens(1).then(broken()).then(broken()).then(tokens(1));
    let provider = Provider::start(script()).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&batches_of(2))).await;
    let response = embed(&sidecar).await;
    assert_eq!(lengths(&response), IN_ORDER);
    let outcome = response.outcome.unwrap();
    let kinds: Vec<&str> = outcome.attempts.iter().map(|attempt| attempt.error_kind.as_str()).collect();
    assert_eq!(kinds, ["", "provider_error", "provider_error", "", ""]);
    assert_eq!(asked(&provider, 0), parts(&[0..2, 2..4, 2..4, 2..4, 4..5]));

    provider.play(script());
    let answer = post(&sidecar, json!(TEXTS)).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-fusebox-attempts")), (200, Some("5")));
    assert_eq!(asked(&provider, 5), parts(&[0..2, 2..4, 2..4, 2..4, 4..5]));
}

#[tokio::test]
async fn only_the_part_that_failed_goes_to_another_provider() {
    let script = || tokens(1).then(broken()).then(tokens(1));
    let (a, b) = (Provider::start(script()).await, Provider::start(tokens(1)).await);
    let sidecar = Sidecar::start(Config::one(&a).provider("b", &b).each(&json!({"max_batch": 2}))).await;
    let response = embed(&sidecar).await;
    assert_eq!(lengths(&response), IN_ORDER);
    let outcome = response.outcome.unwrap();
    assert_eq!((outcome.source(), outcome.provider.as_str()), (Source::Fallback, "b"));
    assert_eq!(outcome.warnings, ["b embedded inputs 2 to 3"]);
    assert_eq!((asked(&a, 0), asked(&b, 0)), (parts(&[0..2, 2..4, 4..5]), parts(std::slice::from_ref(&(2..4)))));

    a.play(script());
    let answer = post(&sidecar, json!(TEXTS)).await;
    assert_eq!((answer.header("x-fusebox-provider"), answer.header("x-fusebox-attempts")), (Some("b"), Some("4")));
    assert_eq!((asked(&a, 3), asked(&b, 1)), (parts(&[0..2, 2..4, 4..5]), parts(std::slice::from_ref(&(2..4)))));
}

#[tokio::test]
async fn a_part_that_nobody_can_answer_fails_the_batch_and_says_what_it_held() {
    let script = || tokens(1).then(broken());
    let provider = Provider::start(script()).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&json!({"max_batch": 2}))).await;
    let answer = post(&sidecar, json!(TEXTS)).await;
    let error = answer.error();
    assert_eq!((answer.status.as_u16(), &error["type"]), (503, &json!("provider_error")));
    assert_eq!(error["details"]["inputs"], "2-3");
    assert!(error["message"].as_str().unwrap().starts_with("inputs 2 to 3 were not embedded: "), "{error}");
    assert_eq!(provider.calls(), 2, "what is left of a failed batch is not asked for");

    provider.play(script());
    let status = sidecar.grpc().await.embed(texts()).await.unwrap_err();
    let told = told(&status);
    assert_eq!((status.code(), told.kind.as_str()), (Code::Unavailable, "provider_error"));
    assert_eq!(told.outcome.unwrap().attempts.len(), 2);
    assert!(status.message().contains("inputs 2 to 3"), "{status}");
}

#[tokio::test]
async fn a_part_on_which_memory_runs_out_is_asked_for_in_halves() {
    let no_memory = || answer(500, &json!({"error": {"message": "CUDA out of memory"}})).then(tokens(1));
    let provider = Provider::start(no_memory()).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&batches_of(100))).await;
    assert_eq!(lengths(&embed(&sidecar).await), IN_ORDER);
    assert_eq!(asked(&provider, 0), parts(&[0..5, 0..3, 3..5]));

    provider.play(answer(500, &json!({"error": {"message": "CUDA out of memory"}})));
    let answer = post(&sidecar, json!(TEXTS)).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["type"]), (507, &json!("out_of_memory")));
    assert_eq!(asked(&provider, 3), parts(&[0..5, 0..3]), "halved once");
}

#[tokio::test]
async fn a_provider_that_takes_less_at_once_is_given_less() {
    let (a, b) = (Provider::start(broken()).await, Provider::start(tokens(1)).await);
    let config = Config::new().provider_with("a", &a.base_url(), json!({"max_batch": 100})).provider_with(
        "b",
        &b.base_url(),
        json!({"max_batch": 3}),
    );
    let sidecar = Sidecar::start(config).await;
    let response = embed(&sidecar).await;
    assert_eq!(lengths(&response), IN_ORDER);
    assert_eq!(response.outcome.unwrap().provider, "b");
    assert_eq!((asked(&a, 0), asked(&b, 0)), (parts(&[0..5, 0..3, 3..5]), parts(&[0..3, 3..5])));
    assert_eq!(post(&sidecar, json!(TEXTS)).await.status.as_u16(), 200);
    assert_eq!(asked(&b, 2), parts(&[0..3, 3..5]));
}

#[tokio::test]
async fn fewer_embeddings_than_inputs_are_no_answer() {
    let one = json!({"object": "list", "data": [{"index": 0, "embedding": [1.0]}]});
    let (a, b) = (Provider::start(answer(200, &one)).await, Provider::start(tokens(1)).await);
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let answer = post(&sidecar, json!(TEXTS)).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["type"]), (502, &json!("invalid_response")));
    let sidecar = Sidecar::start(Config::one(&a).provider("b", &b)).await;
    let response = embed(&sidecar).await;
    assert_eq!((lengths(&response), response.outcome.unwrap().provider.as_str()), (IN_ORDER.to_vec(), "b"));
}
