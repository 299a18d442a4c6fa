//! A changed configuration is taken up as a whole, or not at all.

use fusebox_tests::{
    client::{Http, grpc::ask, told},
    provider::{
        Provider,
        act::{hang, json, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;

use crate::support::{Doors, Way, hello, ms};

async fn models(http: &Http) -> Vec<String> {
    let list = http.get("/v1/models").send().await.json();
    list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str().map(str::to_owned)).collect()
}

pub(crate) async fn until_models(http: &Http, expected: &[&str]) {
    let waiting = async {
        let mut clock = tokio::time::interval(ms(5));
        while models(http).await != expected {
            clock.tick().await;
        }
    };
    if tokio::time::timeout(ms(10_000), waiting).await.is_err() {
        panic!("the models are {:?}, not {expected:?}", models(http).await);
    }
}

#[tokio::test]
async fn sighup_takes_up_the_new_configuration() {
    let [a, b] = [Provider::start(tokens(1)).await, Provider::start(tokens(1)).await];
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let doors = Doors::of(&sidecar).await;
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.provider, "a");
    sidecar.rewrite(&Config::new().provider("b", &b).model("second", &["b"]));
    sidecar.signal("HUP").await;
    until_models(sidecar.http(), &["chat", "second"]).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.provider, "b");
    }
    assert_eq!(a.calls(), 1);
}

#[tokio::test]
async fn a_changed_file_is_taken_up_by_itself() {
    let a = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&a)).await;
    sidecar.rewrite(&Config::one(&a).model("second", &["a"]));
    until_models(sidecar.http(), &["chat", "second"]).await;
}

#[tokio::test]
async fn a_wrong_configuration_changes_nothing_and_its_faults_are_logged() {
    let a = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let wrong = Config::one(&a)
        .model("second", &["a"])
        .each(&json!({"retry": {"max_retires": 3}, "timeouts": {"total": "soon"}}));
    sidecar.rewrite(&wrong);
    sidecar.signal("HUP").await;
    sidecar.logged("one fault", |line| line.contains("providers[0].retry.max_retires")).await;
    sidecar.logged("the other", |line| line.contains("providers[0].timeouts.total")).await;
    assert_eq!(models(sidecar.http()).await, ["chat"]);
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    sidecar.rewrite_text("providers: [");
    sidecar.signal("HUP").await;
    assert_eq!(sidecar.admin().get("/livez").send().await.status, 200);
    sidecar.rewrite(&Config::one(&a).model("third", &["a"]));
    sidecar.signal("HUP").await;
    until_models(sidecar.http(), &["chat", "third"]).await;
}

#[tokio::test]
async fn a_call_in_flight_ends_as_it_began() {
    let [a, b] = [Provider::start(tokens(10).every(ms(30))).await, Provider::start(tokens(1)).await];
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let doors = Doors::of(&sidecar).await;
    let mut call = Box::pin(doors.call(Way::HttpStream, "chat"));
    tokio::select! { biased; _ = &mut call => panic!("over too soon"), _ = a.saw(1) => {} }
    sidecar.rewrite(&Config::new().provider("b", &b).model("second", &["b"]));
    sidecar.signal("HUP").await;
    let (ended, ()) = tokio::join!(call, until_models(sidecar.http(), &["chat", "second"]));
    assert_eq!(ended.tokens.len(), 10);
    assert_eq!(ended.kind(), "ok");
}

#[tokio::test]
async fn what_was_learnt_of_an_unchanged_provider_is_kept() {
    let a = Provider::start(json(500, &json!({}))).await;
    let breaker = json!({"breaker": {"failure_threshold": 2, "open_for": "60s", "probe": "passive"}});
    let sidecar = Sidecar::start(Config::one(&a).each(&breaker)).await;
    let doors = Doors::of(&sidecar).await;
    for expected in ["provider_error", "provider_error", "circuit_open"] {
        assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), expected);
    }
    sidecar.rewrite(&Config::one(&a).each(&breaker).model("second", &["a"]));
    sidecar.signal("HUP").await;
    until_models(sidecar.http(), &["chat", "second"]).await;
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.kind(), "circuit_open", "a reload is no pardon");
}

#[tokio::test]
async fn the_limit_on_a_body_is_the_new_one() {
    let a = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let (http, mut grpc) = (sidecar.http(), sidecar.grpc().await);
    let long = "x".repeat(2000);
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": long}]});
    assert_eq!(http.chat(&body).send().await.status, 200);
    grpc.generate(ask(&long)).await.unwrap();
    sidecar.rewrite(&Config::one(&a).model("second", &["a"]).with(json!({"limits": {"max_body": "1KiB"}})));
    sidecar.signal("HUP").await;
    until_models(http, &["chat", "second"]).await;
    assert_eq!(http.chat(&body).send().await.status, 413);
    assert_eq!(told(&grpc.generate(ask(&long)).await.unwrap_err()).kind, "invalid_input");
    grpc.generate(ask("short")).await.unwrap();
}

#[tokio::test]
async fn the_grace_of_a_stop_is_the_new_one() {
    let a = Provider::start(hang()).await;
    let mut sidecar = Sidecar::start(Config::one(&a).with(json!({"shutdown": {"grace": "60s"}}))).await;
    let doors = Doors::of(&sidecar).await;
    let new = Config::one(&a).model("second", &["a"]).with(json!({"shutdown": {"grace": "100ms"}}));
    sidecar.rewrite(&new);
    sidecar.signal("HUP").await;
    until_models(sidecar.http(), &["chat", "second"]).await;
    let mut call = Box::pin(doors.call(Way::HttpWhole, "chat"));
    tokio::select! { biased; _ = &mut call => panic!("over too soon"), _ = a.saw(1) => {} }
    sidecar.signal("TERM").await;
    let ended = call.await;
    assert_eq!(ended.failed().http, Some(503), "{ended:#?}");
    assert!(ended.took < ms(3000), "{ended:#?}");
    assert!(sidecar.ended().await.success());
}
