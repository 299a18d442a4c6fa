//! The bounds that `limits` sets, at their edges: what is one byte, one call or one connection too many, and what is not.

use fusebox_tests::{
    client::{Http, grpc::ask, told},
    provider::{
        Provider,
        act::{Act, document, hang, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Request;

use crate::support::{Doors, Way, hello, idle, ms};

const MIB: usize = 1 << 20;

async fn limited(provider: &Provider, limits: Value) -> Sidecar {
    Sidecar::start(Config::one(provider).with(json!({"limits": limits}))).await
}

/// The status and the error of an answer as it came on the wire.
fn refusal(answer: &str) -> (&str, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    (head.split(' ').nth(1).unwrap_or_default(), body["error"].clone())
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = limited(&provider, json!({"max_body": "64KiB"})).await;
    // Not a byte of the body is sent: whoever waited for it would wait for ever.
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 65537\r\n\r\n";
    let answer = sidecar.http().wire(head.as_bytes()).await;
    let (status, error) = refusal(&answer);
    assert_eq!((status, error["type"].as_str()), ("413", Some("invalid_input")), "{answer}");
    assert_eq!(error["retryable"], false);
    assert!(error["message"].as_str().unwrap().contains("limits.max_body"), "{error}");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_body_that_grows_too_large_is_refused_before_its_end() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = limited(&provider, json!({"max_body": "64KiB"})).await;
    let mut request =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec();
    for _ in 0..17 {
        request.extend_from_slice(b"1000\r\n");
        request.extend_from_slice(&[b' '; 0x1000]);
        request.extend_from_slice(b"\r\n");
    }
    // The chunk that ends a body is never sent.
    let answer = sidecar.http().wire(&request).await;
    let (status, error) = refusal(&answer);
    assert_eq!((status, error["type"].as_str()), ("413", Some("invalid_input")), "{answer}");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_as_invalid_input() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = limited(&provider, json!({"max_body": "64KiB"})).await;
    let mut client = sidecar.grpc().await;
    for size in [65 * 1024, 8 * MIB] {
        let status = client.generate(ask(&"x".repeat(size))).await.expect_err("too large");
        let told = told(&status);
        assert_eq!((told.kind.as_str(), told.domain.as_str()), ("invalid_input", "fusebox"), "{status:?}");
        assert_eq!(told.retryable.as_deref(), Some("false"));
    }
    assert_eq!(provider.calls(), 0);
    client.generate(ask(&"x".repeat(60 * 1024))).await.expect("what is allowed, on the same connection");
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused_at_both_doors() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = limited(&provider, json!({"max_headers": "8KiB"})).await;
    let long = "x".repeat(20_000);
    let answer = sidecar
        .http()
        .wire(format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n").as_bytes())
        .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = sidecar.h2c().chat(&hello("chat", false)).header("x-long", &long).try_open().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    let mut request = Request::new(ask("hello"));
    request.metadata_mut().insert("x-long", long.parse().unwrap());
    assert!(sidecar.grpc().await.generate(request).await.is_err());
    assert_eq!(provider.calls(), 0);
    let answer = sidecar.http().chat(&hello("chat", false)).header("x-long", &"x".repeat(6000)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_the_others_are_not() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = limited(&provider, json!({"max_connections": 2})).await;
    let (one, mut other) = (idle(&sidecar).await, idle(&sidecar).await);
    // Over both doors together.
    for address in [sidecar.http().address(), sidecar.grpc_address()] {
        assert_eq!(Http::new(address).wire(b"").await, "", "closed without a word");
    }
    other.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(other.read(&mut [0; 64]).await.unwrap(), 0, "who is there is served");
    assert_eq!(sidecar.admin().get("/readyz").send().await.status, 200, "whoever looks after it gets in");
    drop(one);
    sidecar.metrics_until("a free place", |metrics| metrics.sum("fusebox_connections", &[]) == 1.0).await;
    idle(&sidecar).await;
}

#[tokio::test]
async fn a_call_that_is_shed_is_told_when_to_come_back() {
    let provider = Provider::start(hang()).await;
    let sidecar = limited(&provider, json!({"max_in_flight": 1})).await;
    let doors = Doors::of(&sidecar).await;
    let mut first = Box::pin(doors.call(Way::HttpStream, "chat"));
    tokio::select! { biased; _ = &mut first => panic!("over too soon"), _ = provider.saw(1) => {} }
    for way in Way::ALL {
        let ended = doors.call(way, "chat").await;
        let problem = ended.failed();
        assert_eq!(problem.kind, "shed", "{ended:#?}");
        // Each is told its own, so that those who were shed together do not come back together.
        assert!(problem.wait.is_some_and(|wait| (ms(1000)..=ms(2000)).contains(&wait)), "{ended:#?}");
    }
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    let (seconds, millis) = (answer.header("retry-after").unwrap(), answer.header("retry-after-ms").unwrap());
    let millis: u64 = millis.parse().unwrap();
    assert!((1000..=2000).contains(&millis));
    assert_eq!(seconds.parse::<u64>().unwrap(), millis.div_ceil(1000));
    assert_eq!(provider.calls(), 1);
}

/// How much the sidecar's memory grows over calls each way to a provider that does `act`, each of which fails as `kind`.
async fn growth(act: Act, kinds: [&str; 4]) -> u64 {
    let provider = Provider::start(tokens(1).times(4, act)).await;
    let sidecar = limited(&provider, json!({"max_answer": "64KiB"})).await;
    let doors = Doors::of(&sidecar).await;
    // What the first calls of a process take for good, whatever they are answered, is taken.
    for way in Way::ALL {
        doors.call(way, "chat").await.good();
    }
    let before = sidecar.resident();
    for (way, kind) in Way::ALL.into_iter().zip(kinds) {
        let ended = doors.call(way, "chat").await;
        assert_eq!(ended.kind(), kind, "{way:?}: {:?}", ended.problem);
    }
    sidecar.resident().saturating_sub(before)
}

#[tokio::test]
async fn a_providers_huge_answer_is_no_answer_and_takes_no_memory() {
    let huge = "x".repeat(32 * MIB);
    let grown =
        growth(text(&[&huge]), ["invalid_response", "stream_broken", "invalid_response", "stream_broken"]).await;
    assert!(grown < 16 * MIB as u64, "{grown} bytes");
}

#[tokio::test]
async fn a_providers_huge_error_is_cut_short() {
    let page = document(500, "text/html", vec![b'x'; 32 * MIB]);
    let grown = growth(page, ["provider_error"; 4]).await;
    assert!(grown < 16 * MIB as u64, "{grown} bytes");
}

#[tokio::test]
async fn an_answer_within_the_limit_passes_whole() {
    let long = "x".repeat(40 * 1024);
    let provider = Provider::start(text(&[&long, &long])).await;
    let sidecar = limited(&provider, json!({"max_answer": "96KiB"})).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.good().len(), 80 * 1024, "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_may_be_longer_than_any_of_its_events() {
    let piece = "x".repeat(4 * 1024);
    let provider = Provider::start(text(&vec![piece.as_str(); 64])).await;
    let sidecar = limited(&provider, json!({"max_answer": "64KiB"})).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::STREAMS {
        assert_eq!(doors.call(way, "chat").await.good().len(), 256 * 1024, "{way:?}");
    }
}

#[tokio::test]
async fn one_http2_connection_has_no_more_streams_than_allowed() {
    let provider = Provider::start(tokens(1).after(ms(50))).await;
    let sidecar = limited(&provider, json!({"max_streams": 2})).await;
    let client = sidecar.grpc().await;
    // The first call hears of the limit, for those after it.
    client.clone().generate(ask("hello")).await.unwrap();
    let calls = (0..6).map(|_| {
        let mut client = client.clone();
        async move { client.generate(ask("hello")).await }
    });
    for answer in futures_util::future::join_all(calls).await {
        answer.expect("those that wait their turn are answered too");
    }
    let seen = provider.seen();
    assert_eq!(seen.len(), 7);
    for (index, call) in seen.iter().enumerate() {
        let at_once = seen[..index].iter().filter(|before| before.finished.is_none_or(|over| over > call.at)).count();
        assert!(at_once < 2, "{at_once} others were there as call {index} came");
    }
}
