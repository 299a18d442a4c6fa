//! The sidecar's end and what stands beside its life: its doors while it drains, a second one at its address, and
//! the commands that ask a running one.

use std::{net::SocketAddr, process::Output};

use fusebox_tests::{
    client::{grpc::ask, told},
    provider::{
        Provider,
        act::{hang, json as answer, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tonic::Code;

use crate::support::{Doors, Way, hello, idle, ms};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn while_a_stream_finishes_idle_connections_close_and_no_new_ones_open() {
    let provider = Provider::start(tokens(16).every(ms(50))).await;
    let mut sidecar = Sidecar::start(Config::one(&provider)).await;
    let mut idle = idle(&sidecar).await;
    let doors = Doors::of(&sidecar).await;
    let mut streams = Box::pin(futures_util::future::join_all(Way::STREAMS.map(|way| doors.call(way, "chat"))));
    let begun = provider.until("two streams", |seen| seen.len() == 2 && seen.iter().all(|call| !call.sent.is_empty()));
    tokio::select! { biased; _ = &mut streams => panic!("over too soon"), _ = begun => {} }
    sidecar.signal("TERM").await;
    let closed = async {
        assert_eq!(idle.read(&mut [0]).await.unwrap(), 0, "nothing more is said on it");
        for address in [sidecar.http().address(), sidecar.grpc_address()] {
            // The doors hear of the end each for itself: one may close a moment after the other's connections.
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! { biased; _ = &mut streams => panic!("doors close only after the streams"), () = closed => {} }
    for ended in streams.await {
        assert!(ended.good().contains(":15 "), "{ended:#?}");
    }
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn a_stream_that_outlasts_the_grace_ends_with_an_error_of_the_contracts_shape() {
    let provider = Provider::start(tokens(2).hang()).await;
    let config = Config::one(&provider).with(json!({"shutdown": {"grace": "200ms"}}));
    let mut sidecar = Sidecar::start(config).await;
    let mut http = sidecar.http().chat(&hello("chat", true)).header("x-correlation-id", "the-call").open().await;
    let mut grpc = sidecar.grpc().await.stream_generate(ask("hello")).await.unwrap().into_inner();
    assert!(grpc.message().await.unwrap().is_some());
    provider
        .until("both tokens of both", |seen| seen.len() == 2 && seen.iter().all(|call| !call.sent.is_empty()))
        .await;
    sidecar.signal("TERM").await;
    let events = http.rest().await;
    let error = &events.last().expect("an event").json()["error"];
    assert_eq!(error["type"], "shutting_down", "{events:?}");
    assert_eq!((error["retryable"].as_bool(), error["correlation_id"].as_str()), (Some(true), Some("the-call")));
    assert!(!http.broken && !events.iter().any(fusebox_tests::client::SseEvent::is_done), "{events:?}");
    let status = loop {
        match grpc.message().await {
            Ok(message) => assert!(message.is_some(), "the stream ended as if all were well"),
            Err(status) => break status,
        }
    };
    let told = told(&status);
    assert_eq!((told.code, told.kind.as_str()), (Code::Unavailable, "shutting_down"), "{told:?}");
    assert_eq!(told.retryable.as_deref(), Some("true"));
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn told_to_stop_twice_it_waits_no_longer() {
    let provider = Provider::start(hang()).await;
    let mut sidecar = Sidecar::start(Config::one(&provider).with(json!({"shutdown": {"grace": "1m"}}))).await;
    let doors = Doors::of(&sidecar).await;
    let mut all = Box::pin(futures_util::future::join_all(Way::ALL.map(|way| doors.call(way, "chat"))));
    tokio::select! { biased; _ = &mut all => panic!("over too soon"), _ = provider.saw(4) => {} }
    sidecar.signal("TERM").await;
    let draining = sidecar.logged("a line on draining", |line| line.contains("draining"));
    tokio::select! { biased; _ = &mut all => panic!("a minute's grace was not given"), () = draining => {} }
    sidecar.signal("TERM").await;
    for ended in all.await {
        assert_eq!(ended.kind(), "shutting_down", "{ended:#?}");
    }
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn a_second_sidecar_at_one_address_does_not_start_and_says_which() {
    let provider = Provider::start(tokens(1)).await;
    // With several workers too, whose own listeners share a port.
    let first = Sidecar::start(Config::one(&provider).with(json!({"listen": {"workers": 2}}))).await;
    let addresses =
        [("grpc", first.grpc_address()), ("http", first.http().address()), ("admin", first.admin().address())];
    for (door, address) in addresses {
        let config = Config::one(&provider).with(json!({"listen": {door: address.to_string(), "workers": 2}}));
        let output = Sidecar::run(&["run"], &config).await;
        assert_eq!(output.status.code(), Some(1), "{}", err(&output));
        assert!(err(&output).contains(&format!("listen.{door}: {address}")), "{}", err(&output));
    }
    let doors = Doors::of(&first).await;
    for way in Way::ALL {
        doors.call(way, "chat").await.good();
    }
}

/// Runs a command against the sidecar at `address`.
async fn asked(arguments: &[&str], flag: &str, address: SocketAddr) -> Output {
    let address = address.to_string();
    Sidecar::run(&[arguments, &[flag, &address]].concat(), &Config::new().with(json!({"providers": null}))).await
}

#[tokio::test]
async fn call_prints_the_answer_and_how_it_came_about() {
    let provider = Provider::start(text(&["Hello", ", ", "world"])).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    for more in [&[][..], &["--no-stream"]] {
        let arguments = [&["call", "say hello", "--system", "be brief", "--max-tokens", "9"], more].concat();
        let output = asked(&arguments, "--http", sidecar.http().address()).await;
        assert!(output.status.success(), "{}", err(&output));
        assert_eq!(out(&output), "Hello, world\n");
        assert!(err(&output).contains("primary by a, attempts: 1, correlation id: "), "{}", err(&output));
    }
    for (seen, stream) in provider.seen().iter().zip([json!(true), Value::Null]) {
        let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": "say hello"}]);
        assert_eq!(seen.body["messages"], messages);
        assert_eq!(seen.body["max_tokens"], 9);
        assert!(seen.body["stream"] == stream || stream.is_null() && seen.body["stream"] != true, "{}", seen.body);
    }
}

#[tokio::test]
async fn a_call_that_fails_says_why_and_exits_with_1() {
    let provider = Provider::start(answer(500, &json!({})).then(tokens(2).cut())).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let address = sidecar.http().address();
    let output = asked(&["call", "hello"], "--http", address).await;
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), ""), "{}", err(&output));
    assert!(err(&output).contains("provider_error: "), "{}", err(&output));
    let output = asked(&["call", "hello"], "--http", address).await;
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(1), "1:0 1:1 "), "{}", err(&output));
    assert!(err(&output).contains("stream_broken: "), "{}", err(&output));
    let output = asked(&["call", "hello", "--model", "nobody"], "--http", address).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("model_not_found: "), "{}", err(&output));
    drop(sidecar);
    let output = asked(&["call", "hello"], "--http", address).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(&format!("no sidecar answers at {address}")), "{}", err(&output));
}

#[tokio::test]
async fn call_waits_no_longer_than_it_is_told_and_shows_a_token() {
    let tokens_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens_file.path(), "known\n").unwrap();
    let provider = Provider::start(hang().then(tokens(1))).await;
    let auth = json!({"auth": {"tokens_file": tokens_file.path()}});
    let sidecar = Sidecar::start(Config::one(&provider).with(auth)).await;
    let address = sidecar.http().address();
    let output = asked(&["call", "hello"], "--http", address).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("authentication: "), "{}", err(&output));
    let token = ["--token-file", tokens_file.path().to_str().unwrap()];
    let output = asked(&[&["call", "hello", "--timeout", "100ms"][..], &token].concat(), "--http", address).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("inference_timeout: "), "{}", err(&output));
    let output = asked(&[&["call", "hello"][..], &token].concat(), "--http", address).await;
    assert!(output.status.success(), "{}", err(&output));
}

#[tokio::test]
async fn status_shows_the_providers_and_exits_with_1_where_it_is_not_ready() {
    let provider = Provider::start(tokens(2).hang()).await;
    let mut sidecar =
        Sidecar::start(Config::one(&provider).provider("spare", &provider).each(&json!({"enabled": true}))).await;
    let address = sidecar.admin().address();
    let output = asked(&["status"], "--admin", address).await;
    assert!(output.status.success(), "{}", err(&output));
    let shown = out(&output);
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).map(str::to_owned);
    for name in ["a ", "spare "] {
        assert!(row(name).is_some_and(|row| row.contains("yes") && row.contains("closed")), "{shown}");
    }
    let output = asked(&["status", "--json"], "--admin", address).await;
    assert!(output.status.success(), "{}", err(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["ready"], true);
    assert_eq!(document["providers"][1]["name"], "spare");

    let mut stream = sidecar.http().chat(&hello("chat", true)).open().await;
    stream.event().await.expect("an answer that has begun");
    sidecar.signal("TERM").await;
    sidecar.logged("a line on draining", |line| line.contains("draining")).await;
    let output = asked(&["status"], "--admin", address).await;
    assert_eq!(output.status.code(), Some(1), "{}", out(&output));
    assert!(out(&output).contains("1 calls in flight"), "{}", out(&output));
    drop(stream);
    assert!(sidecar.ended().await.success());
    let output = asked(&["status"], "--admin", address).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(&format!("no sidecar answers at {address}")), "{}", err(&output));
}
