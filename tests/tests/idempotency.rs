//! Two calls with one key are one call.

use fusebox_proto::v1::{CallOptions, GenerateRequest};
use fusebox_tests::{
    client::{
        Metrics,
        grpc::{ask, text_of},
    },
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::json;

use crate::{
    options::{self, Ask},
    support::{Doors, Way, hello, ms},
};

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

#[tokio::test]
async fn a_call_sent_again_gets_the_same_answer_and_reaches_nobody() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(3)).await;
        let sidecar = Sidecar::start(Config::one(&provider)).await;
        let doors = Doors::of(&sidecar).await;
        let how = Ask { key: Some("order-1"), ..Ask::default() };
        let first = options::ask(&doors, way, &how).await;
        assert_eq!(first.how(), ("0:0 0:1 0:2 ", "primary", "full"));
        let again = options::ask(&doors, way, &how).await;
        assert_eq!(again.how(), (&*first.text, "cache", "full"), "{way:?}");
        assert_eq!((&again.id, &again.finish, &again.tools), (&first.id, &first.finish, &first.tools));
        assert_eq!(again.output_tokens, first.output_tokens);
        assert!(again.warnings.contains("idempotency key"), "{again:?}");
        assert_eq!(provider.calls(), 1);
        let other = options::ask(&doors, way, &Ask { prompt: "something else", ..how.clone() }).await;
        assert_eq!((&*other.kind, provider.calls()), ("invalid_input", 1), "{way:?}");
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum("fusebox_calls_total", &[("source", "cache"), ("kind", "ok")]), 1.0, "{way:?}");
        assert_eq!(metrics.sum("fusebox_in_flight", &[]), 0.0);
    }
}

#[tokio::test]
async fn a_key_is_its_callers_own() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(1)).await;
        let sidecar = Sidecar::start(Config::one(&provider)).await;
        let doors = Doors::of(&sidecar).await;
        for (token, source) in [("a", "primary"), ("b", "primary"), ("a", "cache")] {
            let how = Ask { key: Some("order-1"), token: Some(token), ..Ask::default() };
            assert_eq!(options::ask(&doors, way, &how).await.source, source, "{way:?} {token}");
        }
    }
}

#[tokio::test]
async fn a_text_that_only_stood_for_an_answer_is_not_given_again() {
    let provider = Provider::start(answer(500, &json!({})).then(tokens(1))).await;
    let config = Config::one(&provider).with(json!({"degradation": {"fallback_response": "sorry"}}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let how = Ask { key: Some("order-1"), ..Ask::default() };
    assert_eq!(options::ask(&doors, Way::HttpWhole, &how).await.source, "static");
    assert_eq!(options::ask(&doors, Way::HttpWhole, &how).await.source, "primary");
}

#[tokio::test]
async fn everyone_who_shares_a_call_is_counted() {
    for way in Way::ALL {
        let provider = Provider::start(tokens(2).after(ms(150))).await;
        let sidecar = Sidecar::start(Config::one(&provider)).await;
        let doors = Doors::of(&sidecar).await;
        let how = Ask { key: Some("order-1"), ..Ask::default() };
        let told = join_all((0..4).map(|_| options::ask(&doors, way, &how))).await;
        assert!(told.iter().all(|one| one.how() == ("0:0 0:1 ", "primary", "full")), "{way:?} {told:?}");
        let counted = |metrics: &Metrics| metrics.sum("fusebox_calls_total", &[("kind", "ok")]) == 4.0;
        sidecar.metrics_until("four outcomes", counted).await;
        assert_eq!(provider.calls(), 1);
    }
}

#[tokio::test]
async fn those_who_would_share_a_call_take_a_place_of_their_own() {
    let provider = Provider::start(tokens(2).after(ms(300))).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"max_in_flight": 1}}))).await;
    let call = || sidecar.http().chat(&hello("chat", false)).header("idempotency-key", "order-1");
    let mut first = Box::pin(call().send());
    tokio::select! { biased; _ = &mut first => panic!("answered too soon"), _ = provider.saw(1) => {} }
    assert_eq!(call().send().await.error()["type"], "shed");
    assert_eq!(first.await.status, 200);
}
