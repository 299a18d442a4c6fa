//! How the sidecar says that it is: its checks, and `grpc.health.v1` for each model.

use std::fs;

use fusebox_tests::{
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::support::{Doors, Way, ms};

/// `/health`, once `done` holds of it.
async fn until(sidecar: &Sidecar, what: &str, done: impl Fn(&Value) -> bool) -> (u16, Value) {
    let mut last = Value::Null;
    let waiting = async {
        let mut clock = tokio::time::interval(ms(20));
        loop {
            let answer = sidecar.admin().get("/health").send().await;
            last = answer.json();
            if done(&last) {
                return (answer.status.as_u16(), last.clone());
            }
            clock.tick().await;
        }
    };
    match tokio::time::timeout(ms(10_000), waiting).await {
        Ok(found) => found,
        Err(_) => panic!("waited for {what}; health is {last}"),
    }
}

/// What the check of that name found, if it is shown.
fn check<'a>(health: &'a Value, name: &str) -> Option<&'a Value> {
    health["checks"].as_array().unwrap().iter().find(|check| check["name"] == name)
}

fn is(health: &Value, name: &str, healthy: bool) -> bool {
    check(health, name).is_some_and(|check| check["healthy"] == healthy)
}

#[tokio::test]
async fn a_disk_without_room_is_critical_or_not_as_configured() {
    let provider = Provider::start(tokens(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let watching = |path: &str, free: f64, critical: Value| {
        let health = json!({"interval": "100ms", "disk_path": path, "min_disk_free": free, "critical": critical});
        Config::one(&provider).with(json!({"health": health}))
    };
    let path = folder.path().to_str().unwrap();
    let sidecar = Sidecar::start(watching(path, 0.0, json!(["disk"]))).await;
    let (code, health) = until(&sidecar, "room", |health| is(health, "disk", true)).await;
    assert_eq!((code, &health["status"]), (200, &json!("healthy")));
    let disk = check(&health, "disk").unwrap();
    assert!(disk["critical"] == true && disk["message"].as_str().unwrap().contains("% is free"), "{disk}");
    assert!(disk["took_seconds"].is_number() && disk["seconds_ago"].is_number(), "{disk}");
    for (critical, expected) in [(json!(["disk"]), (503, "critical")), (json!([]), (200, "degraded"))] {
        // No disk in use is all free.
        sidecar.rewrite(&watching(path, 1.0, critical.clone()));
        let (code, health) = until(&sidecar, expected.1, |health| health["status"] == expected.1).await;
        assert_eq!((code, is(&health, "disk", false)), (expected.0, true), "{health}");
        let status = sidecar.admin().get("/status").send().await.json();
        assert_eq!((&status["status"], is(&status, "disk", false)), (&json!(expected.1), true), "{status}");
        // It answers calls all the same.
        assert_eq!(Doors::of(&sidecar).await.call(Way::HttpWhole, "chat").await.kind(), "ok");
    }
    let nowhere = folder.path().join("nowhere");
    sidecar.rewrite(&watching(nowhere.to_str().unwrap(), 0.0, json!(["disk"])));
    let gone =
        |health: &Value| check(health, "disk").is_some_and(|disk| disk["message"].to_string().contains("No such"));
    assert_eq!(until(&sidecar, "no disk", gone).await.0, 503);
}

#[tokio::test]
async fn a_model_is_asked_for_a_token_on_a_timer_and_missed_once_nobody_answers() {
    let [a, b] = [Provider::start(tokens(1)).await, Provider::start(tokens(1)).await];
    let health = json!({"health": {"model": "auto", "model_interval": "1s"}});
    let config = Config::new().provider("a", &a).provider("b", &b).with(health);
    let sidecar = Sidecar::start(config).await;
    let well = |health: &Value| is(health, "model:a", true) && is(health, "model:b", true) && is(health, "model", true);
    assert_eq!(until(&sidecar, "both", well).await.1["status"], "healthy");
    let asked = a.saw(1).await[0].body.clone();
    assert_eq!((&asked["max_tokens"], &asked["model"]), (&json!(1), &json!("served-a")), "{asked}");
    a.play(answer(500, &json!({})));
    let (code, health) = until(&sidecar, "one", |health| is(health, "model:a", false)).await;
    assert_eq!((code, &health["status"], is(&health, "model", true)), (200, &json!("degraded"), true), "{health}");
    b.play(answer(500, &json!({})));
    let (code, health) = until(&sidecar, "neither", |health| is(health, "model", false)).await;
    assert_eq!((code, &health["status"]), (503, &json!("critical")), "{health}");
    a.play(tokens(1));
    until(&sidecar, "one again", |health| is(health, "model", true)).await;
}

#[tokio::test]
async fn a_refused_key_makes_its_provider_unhealthy_until_the_file_changes() {
    let [locked, open] = [Provider::start(answer(401, &json!({}))).await, Provider::start(tokens(1)).await];
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "old").unwrap();
    let config = Config::new()
        .provider_with("locked", &locked.base_url(), json!({"api_key_file": key.path()}))
        .provider("open", &open);
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let (_, health) = until(&sidecar, "no call yet", |health| is(health, "keys", true)).await;
    assert_eq!(health["status"], "healthy");
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.provider, "open", "{way:?}");
    }
    assert_eq!(locked.calls(), 1, "with a key that was refused nobody asks again");
    let (code, health) = until(&sidecar, "the refusal", |health| is(health, "keys", false)).await;
    assert_eq!((code, &health["status"]), (200, &json!("degraded")));
    assert!(check(&health, "keys").unwrap()["message"].to_string().contains("locked"), "{health}");
    let status = sidecar.admin().get("/status").send().await.json();
    assert_eq!(status["providers"][0]["fault"], "it refused its key");
    locked.play(tokens(1));
    fs::write(key.path(), "new").unwrap();
    let (_, health) = until(&sidecar, "the new key", |health| is(health, "keys", true)).await;
    assert_eq!(health["status"], "healthy");
    assert_eq!(doors.call(Way::HttpWhole, "chat").await.provider, "locked");
    assert_eq!(locked.seen()[1].header("authorization"), Some("Bearer new"));
}

async fn status(client: &HealthClient<Channel>, model: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: model.into() };
    let answer = client.clone().check(request).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.code())
}

async fn until_status(client: &HealthClient<Channel>, model: &str, expected: Result<ServingStatus, Code>) {
    let waiting = async {
        let mut clock = tokio::time::interval(ms(20));
        while status(client, model).await != expected {
            clock.tick().await;
        }
    };
    if tokio::time::timeout(ms(10_000), waiting).await.is_err() {
        panic!("{model} is {:?}, not {expected:?}", status(client, model).await);
    }
}

#[tokio::test]
async fn each_model_is_serving_while_a_provider_of_its_own_can_take_a_call() {
    let [sick, well] = [Provider::start(answer(500, &json!({}))).await, Provider::start(tokens(1)).await];
    let breaker = json!({"breaker": {"failure_threshold": 2, "open_for": "60s", "probe": "passive"}});
    let config = || {
        Config::new()
            .apart("sick", &sick.base_url(), breaker.clone())
            .apart("well", &well.base_url(), json!({}))
            .model("alone", &["sick"])
            .model("both", &["sick", "well"])
    };
    let sidecar = Sidecar::start(config()).await;
    let client = HealthClient::new(sidecar.channel().await);
    for name in ["", "fusebox.v1.InferenceService", "alone", "both"] {
        until_status(&client, name, Ok(ServingStatus::Serving)).await;
    }
    assert_eq!(status(&client, "another").await, Err(Code::NotFound));
    let request = HealthCheckRequest { service: "alone".into() };
    let mut watch = client.clone().watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let doors = Doors::of(&sidecar).await;
    for way in [Way::HttpWhole, Way::GrpcStream] {
        assert_eq!(doors.call(way, "alone").await.kind(), "provider_error");
    }
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    for name in ["", "fusebox.v1.InferenceService", "both"] {
        assert_eq!(status(&client, name).await, Ok(ServingStatus::Serving), "{name:?}");
    }
    // Gone from the configuration, gone from here.
    sidecar.rewrite(&Config::new().apart("well", &well.base_url(), json!({})).model("both", &["well"]));
    until_status(&client, "alone", Err(Code::NotFound)).await;
    assert_eq!(status(&client, "both").await, Ok(ServingStatus::Serving));
}
