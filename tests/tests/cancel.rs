//! A caller that hangs up stops the work upstream at once.

use std::time::{Duration, Instant};

use fusebox_proto::v1::GenerateRequest;
use fusebox_tests::{
    client::grpc::ask,
    provider::{
        Provider,
        act::{Act, hang, headers, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;

use crate::support::{Doors, Way, hello, ms};

/// How long a hang-up may take to reach the provider.
const AT_ONCE: Duration = ms(50);

/// Begins a call, waits until the provider has it and has said what it will, and hangs up. Returns how
/// long the provider then took to notice.
async fn hang_up(doors: &Doors, provider: &Provider, way: Way, call: usize, after_token: bool) -> Duration {
    let begun = async {
        provider.saw(call + 1).await;
    };
    let dropped = match way {
        Way::HttpWhole | Way::HttpStream => {
            let request = doors.http.chat(&hello("chat", way.streams())).open();
            if after_token {
                let mut open = request.await;
                loop {
                    match open.event().await {
                        Some(event) if event.text().is_empty() => {}
                        Some(_) => break,
                        None => panic!("no token: {open:?}"),
                    }
                }
                drop(open);
                Instant::now()
            } else {
                tokio::select! { biased; answer = request => panic!("{answer:?}"), () = begun => Instant::now() }
            }
        }
        Way::GrpcWhole => {
            let mut client = doors.grpc.clone();
            tokio::select! { biased; answer = client.generate(ask("hello")) => panic!("{answer:?}"), () = begun => Instant::now() }
        }
        Way::GrpcStream => {
            let mut client = doors.grpc.clone();
            let request: GenerateRequest = ask("hello");
            if after_token {
                let mut stream = client.stream_generate(request).await.expect("a stream").into_inner();
                while stream.message().await.expect("a token").expect("a token").text_delta.is_empty() {}
                drop(stream);
                Instant::now()
            } else {
                let first = async { client.stream_generate(request).await?.into_inner().message().await };
                tokio::select! { biased; answer = first => panic!("{answer:?}"), () = begun => Instant::now() }
            }
        }
    };
    provider.gone(call).await.saturating_duration_since(dropped)
}

/// The median of several, since a busy machine may hold up any one of them.
async fn check(act: Act, ways: &[Way], after_token: bool) {
    let provider = Provider::start(act.clone()).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let doors = Doors::of(&sidecar).await;
    let mut call = 0;
    for way in ways {
        let mut took = Vec::new();
        for _ in 0..5 {
            took.push(hang_up(&doors, &provider, *way, call, after_token).await);
            call += 1;
        }
        took.sort();
        assert!(took[2] < AT_ONCE, "{way:?}, {act:?}: {took:?}");
    }
    sidecar.metrics_until("no call in flight", |metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0).await;
    let cancelled = sidecar.metrics().await.sum("fusebox_calls_total", &[("kind", "cancelled")]);
    assert_eq!(cancelled, call as f64, "each is counted as what it was");
}

#[tokio::test]
async fn a_hang_up_before_the_answers_head_reaches_the_provider() {
    check(hang(), &Way::ALL, false).await;
}

#[tokio::test]
async fn a_hang_up_before_the_first_token_reaches_the_provider() {
    check(headers().hang(), &Way::ALL, false).await;
}

#[tokio::test]
async fn a_hang_up_in_the_middle_of_a_stream_reaches_the_provider() {
    check(tokens(1).hang(), &Way::STREAMS, true).await;
}

#[tokio::test]
async fn a_hang_up_in_the_middle_of_a_quick_stream_reaches_the_provider() {
    check(tokens(5_000).every(ms(2)), &Way::STREAMS, true).await;
}

#[tokio::test]
async fn a_hang_up_during_a_wait_for_a_retry_ends_the_call() {
    let provider = Provider::start(answer(500, &json!({}))).await;
    let slow = json!({"retry": {"max_retries": 5, "base_delay": "5s", "max_delay": "5s"}});
    let sidecar = Sidecar::start(Config::one(&provider).each(&slow)).await;
    let doors = Doors::of(&sidecar).await;
    for (round, way) in Way::ALL.into_iter().enumerate() {
        // The first retry comes at once; the second waits five seconds.
        let calls = 2 * (round + 1);
        tokio::select! {
            biased;
            ended = doors.call(way, "chat") => panic!("{ended:?}"),
            _ = provider.saw(calls) => {}
        }
        let dropped = Instant::now();
        sidecar.metrics_until("no call in flight", |metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0).await;
        assert!(dropped.elapsed() < ms(1000), "{way:?}");
        assert_eq!(provider.calls(), calls, "{way:?}");
    }
}

#[tokio::test]
async fn a_hang_up_is_not_held_against_the_provider() {
    let provider = Provider::start(hang()).await;
    let breaker = json!({"breaker": {"failure_threshold": 2}});
    let sidecar = Sidecar::start(Config::one(&provider).each(&breaker)).await;
    let doors = Doors::of(&sidecar).await;
    for call in 0..5 {
        hang_up(&doors, &provider, Way::HttpWhole, call, false).await;
    }
    provider.play(tokens(1));
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "ok");
}
