//! Everything has a limit: what a provider may send, how many calls there may be, how slow a caller may be.

use fusebox_tests::{
    client::Http,
    provider::{
        Provider,
        act::{hang, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;

use crate::support::{Doors, Way, hello, ms};

#[tokio::test]
async fn an_answer_larger_than_the_limit_is_no_good_and_another_provider_answers() {
    let long = "x".repeat(100_000);
    let large = Provider::start(text(&[&long])).await;
    let headers = Provider::start(tokens(1).header("x-large", &long.repeat(10))).await;
    let healthy = Provider::start(tokens(1)).await;
    let config = Config::new()
        .apart("large", &large.base_url(), json!({}))
        .apart("headers", &headers.base_url(), json!({}))
        .provider("healthy", &healthy)
        .model("large", &["large"])
        .model("headers", &["headers"])
        .model("all", &["large", "headers", "healthy"])
        .with(json!({"limits": {"max_answer": "64KiB"}}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        let ended = doors.call(way, "large").await;
        assert!(["invalid_response", "stream_broken"].contains(&ended.kind()), "{way:?}: {}", ended.kind());
        let ended = doors.call(way, "headers").await;
        assert!(["invalid_response", "network_error"].contains(&ended.kind()), "{way:?}: {}", ended.kind());
        assert_eq!(doors.call(way, "all").await.provider, "healthy", "{way:?}");
    }
}

#[tokio::test]
async fn one_call_more_than_may_be_in_flight_is_shed() {
    let provider = Provider::start(hang()).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"max_in_flight": 2}}))).await;
    let doors = Doors::of(&sidecar).await;
    let two = futures_util::future::join(doors.call(Way::HttpWhole, "chat"), doors.call(Way::GrpcWhole, "chat"));
    let more = async {
        provider.saw(2).await;
        for way in Way::ALL {
            let ended = doors.call(way, "chat").await;
            let problem = ended.failed();
            assert_eq!(problem.kind, "shed", "{way:?}");
            assert_eq!(problem.http.unwrap_or(503), 503, "{way:?}");
            assert_eq!(problem.grpc.unwrap_or(8), 8, "{way:?}");
            assert!(problem.retryable, "{way:?}");
        }
    };
    tokio::select! { biased; _ = two => panic!("over too soon"), () = more => {} }
    assert_eq!(provider.calls(), 2);
    assert_eq!(sidecar.metrics().await.sum("fusebox_shed_total", &[]), 4.0);
    // Those two have hung up: there is room again.
    sidecar.metrics_until("no call in flight", |metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0).await;
    provider.play(tokens(1));
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "ok");
}

#[tokio::test]
async fn a_caller_that_does_not_come_to_the_point_is_hung_up_on() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"header_timeout": "200ms"}}))).await;
    let began = std::time::Instant::now();
    sidecar.http().wire(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-ty").await;
    assert!(began.elapsed() >= ms(190) && began.elapsed() < ms(2000), "{:?}", began.elapsed());
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_keep_its_place() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"header_timeout": "200ms"}}))).await;
    let grpc = Http::new(sidecar.grpc_address());
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for door in [sidecar.http(), &grpc] {
        for said in [&b""[..], b"PRI * H", preface] {
            let began = std::time::Instant::now();
            door.wire(said).await;
            assert!(began.elapsed() >= ms(190) && began.elapsed() < ms(2000), "{said:?}: {:?}", began.elapsed());
        }
    }
    sidecar.metrics_until("no connection", |metrics| metrics.sum("fusebox_connections", &[]) == 0.0).await;
}

#[tokio::test]
async fn a_connection_that_has_asked_may_rest_between_two_calls() {
    let provider = Provider::start(tokens(1).after(ms(500))).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"header_timeout": "100ms"}}))).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.kind(), "ok", "{way:?}: cut off while it waited for its answer");
    }
}

#[tokio::test]
async fn a_caller_that_reads_slowly_holds_the_provider_back_and_costs_no_memory() {
    let filler = format!("\"filler\": \"{}\"", "x".repeat(4000));
    let provider = Provider::start(tokens(20_000).extra(&filler)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    sidecar.http().chat(&hello("chat", false)).send().await;
    let before = sidecar.resident();
    let mut open = sidecar.http().chat(&hello("chat", true)).open().await;
    open.event().await.expect("a first event");
    // Eighty megabytes are more than all sockets on the way hold together, so the provider comes to a halt.
    let sent = || provider.seen()[1].sent.len();
    let mut last = 0;
    let mut clock = tokio::time::interval(ms(150));
    while sent() != last {
        last = sent();
        clock.tick().await;
    }
    assert!(provider.seen()[1].finished.is_none(), "all {last} bytes were taken off the provider's hands");
    let grown = sidecar.resident().saturating_sub(before) >> 20;
    assert!(grown < 32, "a caller that does not read costs {grown} MiB");
    let events = open.rest().await;
    assert!(events.last().unwrap().is_done());
    assert_eq!(events.len(), 20_000 + 2, "each token, the finish and the end");
}
