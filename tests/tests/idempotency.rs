//! Two calls with one key are one call.

use fusebox_proto::v1::{CallOptions, GenerateRequest};
use fusebox_tests::{
    client::grpc::{ask, text_of},
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{hello, ms};

#[tokio::test]
async fn equal_calls_at_once_reach_the_provider_once() {
    let provider = Provider::start(tokens(2).after(ms(100))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let call = || sidecar.http().chat(&hello("chat", false)).header("idempotency-key", "order-1").send();
    let answers = join_all((0..5).map(|_| call())).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.body, answers[0].body);
    }
    assert_eq!(provider.calls(), 1);
    let other = sidecar.http().chat(&hello("chat", false)).header("idempotency-key", "order-2").send().await;
    assert_ne!(other.body, answers[0].body);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn grpc_callers_share_their_calls_too() {
    let provider = Provider::start(tokens(2).after(ms(100))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let client = sidecar.grpc().await;
    let options = CallOptions { idempotency_key: "order-1".into(), ..CallOptions::default() };
    let request = GenerateRequest { options: Some(options), ..ask("hello") };
    let calls = (0..5).map(|_| {
        let (mut client, request) = (client.clone(), request.clone());
        async move { text_of(&client.generate(request).await.unwrap().into_inner().message.unwrap()) }
    });
    assert_eq!(join_all(calls).await, vec!["0:0 0:1 "; 5]);
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn a_call_that_failed_is_made_anew() {
    let provider = Provider::start(answer(500, &json!({})).then(tokens(1))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let call = || sidecar.http().chat(&hello("chat", false)).header("idempotency-key", "order-1").send();
    assert_eq!(call().await.status, 503);
    assert_eq!(call().await.status, 200);
    assert_eq!(provider.calls(), 2);
}

#[tokio::test]
async fn the_first_caller_to_leave_does_not_take_the_answer_with_it() {
    let provider = Provider::start(tokens(2).after(ms(300))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let call = || sidecar.http().chat(&hello("chat", false)).header("idempotency-key", "order-1");
    let mut first = Box::pin(call().open());
    tokio::select! { biased; _ = &mut first => panic!("answered too soon"), _ = provider.saw(1) => {} }
    let mut second = Box::pin(call().send());
    // The second joins while the first still waits.
    tokio::select! { biased; _ = &mut second => panic!("answered too soon"), () = tokio::time::sleep(ms(100)) => {} }
    drop(first);
    assert_eq!(second.await.status, 200);
    assert!(provider.calls() <= 2);
}
