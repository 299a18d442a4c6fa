//! SIGTERM: nothing new is promised, what is in flight finishes, nothing is cut silently.

use fusebox_tests::{
    client::grpc::ask,
    provider::{
        Provider,
        act::{hang, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;
use tonic::Code;

use crate::support::{Doors, Way, hello, ms};

#[tokio::test]
async fn calls_in_flight_finish_and_readiness_fails_at_once() {
    let provider = Provider::start(tokens(12).every(ms(50))).await;
    let mut sidecar = Sidecar::start(Config::one(&provider)).await;
    assert_eq!(sidecar.admin().get("/readyz").send().await.status, 200);
    let doors = Doors::of(&sidecar).await;
    let mut calls: Vec<_> = Way::ALL.into_iter().map(|way| Box::pin(doors.call(way, "chat"))).collect();
    let begun = async {
        provider
            .until("all four to have begun", |seen| seen.len() == 4 && seen.iter().all(|call| !call.sent.is_empty()))
            .await
    };
    let mut all = futures_util::future::join_all(calls.iter_mut());
    tokio::select! { biased; _ = &mut all => panic!("over too soon"), _ = begun => {} }
    sidecar.signal("TERM").await;
    sidecar.logged("a line on draining", |line| line.to_lowercase().contains("drain")).await;
    let ready = sidecar.admin().get("/readyz").send();
    let (ready, ended) = tokio::join!(ready, all);
    assert_eq!(ready.status, 503);
    for ended in ended {
        assert_eq!(ended.kind(), "ok", "{ended:#?}");
        assert!(ended.text.contains(":11 "), "{ended:#?}");
    }
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_told_so() {
    let provider = Provider::start(hang()).await;
    let config = Config::one(&provider).with(json!({"shutdown": {"grace": "300ms"}}));
    let mut sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let mut all = Box::pin(futures_util::future::join_all(Way::ALL.into_iter().map(|way| doors.call(way, "chat"))));
    tokio::select! { biased; _ = &mut all => panic!("over too soon"), _ = provider.saw(4) => {} }
    sidecar.signal("TERM").await;
    for ended in all.await {
        let problem = ended.failed();
        assert_eq!(problem.grpc.unwrap_or(14), Code::Unavailable as i32, "{ended:#?}");
        assert_eq!(problem.http.unwrap_or(503), 503, "{ended:#?}");
        assert!(ended.took >= ms(300) && ended.took < ms(1500), "{ended:#?}");
    }
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn a_stream_cut_by_the_end_of_the_grace_ends_with_an_error() {
    let provider = Provider::start(tokens(2).hang()).await;
    let config = Config::one(&provider).with(json!({"shutdown": {"grace": "300ms"}}));
    let mut sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let mut all = Box::pin(futures_util::future::join_all(Way::STREAMS.into_iter().map(|way| doors.call(way, "chat"))));
    tokio::select! { biased; _ = &mut all => panic!("over too soon"), _ = provider.saw(2) => {} }
    sidecar.signal("TERM").await;
    for ended in all.await {
        assert_eq!(ended.failed().grpc.unwrap_or(14), Code::Unavailable as i32, "{ended:#?}");
    }
    assert!(sidecar.ended().await.success());
}

#[tokio::test]
async fn an_idle_sidecar_stops_at_once() {
    let provider = Provider::start(tokens(1)).await;
    for signal in ["TERM", "INT"] {
        let mut sidecar = Sidecar::start(Config::one(&provider)).await;
        // Idle connections, kept open by both clients, hold nothing up.
        assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
        let mut client = sidecar.grpc().await;
        client.generate(ask("hello")).await.unwrap();
        let began = std::time::Instant::now();
        sidecar.signal(signal).await;
        assert!(sidecar.ended().await.success(), "{signal}: {}", sidecar.log());
        assert!(began.elapsed() < ms(2000), "{signal}");
    }
}
