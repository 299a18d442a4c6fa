//! REST: the same operations as over gRPC, described by a document that is true, in spite of whatever is sent.

use std::collections::BTreeSet;

use fusebox_tests::client::Http;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Scene;

/// What answers to a request of the method, as the document describes it, for the schema's reader.
fn schema(document: &Value, path: &str, method: &str, status: &str) -> Value {
    let answers = &document["paths"][path][method]["responses"];
    let answer = if answers[status].is_null() { &answers["default"] } else { &answers[status] };
    let schema = &answer["content"]["application/json"]["schema"];
    assert!(schema.is_object(), "{method} {path} {status} is not described: {answers:#}");
    json!({"$ref": "#/inner", "inner": schema, "components": document["components"]})
}

fn must_fit(document: &Value, path: &str, method: &str, answer: &fusebox_tests::client::Answer) {
    let status = answer.status.as_u16().to_string();
    let schema = schema(document, path, method, &status);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let body = answer.json();
    let faults: Vec<String> = validator.iter_errors(&body).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{method} {path} {status}: {faults:#?} in {body:#}");
}

#[tokio::test]
async fn every_path_answers_as_the_document_says_whether_it_does_what_is_asked_or_not() {
    let scene = Scene::start(1).await;
    let http = scene.control.http();
    let document = http.get("/api/v1/openapi.json").send().await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let fleet = http.get("/api/v1/fleet").send().await.json();
    let id = fleet["sidecars"][0]["id"].as_str().unwrap().to_owned();
    let off = json!({"enabled": false, "reason": "a drill", "change": {"wait": "5s"}});
    let forced = json!({"mode": "BREAKER_MODE_FORCED_OPEN", "reason": "a drill"});
    let level = json!({"level": "DEGRADATION_LEVEL_REDUCED", "reason": "a drill", "sidecar": id});
    let silence = json!({"kind": "ALERT_KIND_DEGRADED", "reason": "a drill", "expiresAfter": "60s"});
    let nothing = || json!(null);
    let mut tried = BTreeSet::new();
    for (method, path, asked, body, status) in [
        ("get", "/api/v1/fleet", "/api/v1/fleet".to_owned(), nothing(), 200),
        ("get", "/api/v1/sidecars/{id}", format!("/api/v1/sidecars/{id}"), nothing(), 200),
        ("get", "/api/v1/sidecars/{id}", "/api/v1/sidecars/nobody".into(), nothing(), 404),
        ("patch", "/api/v1/providers/{name}", "/api/v1/providers/first".into(), off.clone(), 200),
        ("patch", "/api/v1/providers/{name}", "/api/v1/providers/second".into(), off.clone(), 412),
        ("patch", "/api/v1/providers/{name}", "/api/v1/providers/nobody".into(), off, 404),
        ("patch", "/api/v1/providers/{name}", "/api/v1/providers/first".into(), json!({"enable": true}), 400),
        ("put", "/api/v1/providers/{name}/breaker", "/api/v1/providers/first/breaker".into(), forced, 200),
        ("put", "/api/v1/degradation", "/api/v1/degradation".into(), level, 200),
        ("get", "/api/v1/alerts", "/api/v1/alerts?includeResolved=true&pageSize=5".into(), nothing(), 200),
        ("get", "/api/v1/alerts", "/api/v1/alerts?pageToken=x".into(), nothing(), 400),
        ("post", "/api/v1/alerts/{id}/acknowledge", "/api/v1/alerts/7/acknowledge".into(), nothing(), 404),
        ("post", "/api/v1/silences", "/api/v1/silences".into(), silence, 200),
        ("get", "/api/v1/silences", "/api/v1/silences".into(), nothing(), 200),
        ("delete", "/api/v1/silences/{id}", "/api/v1/silences/7".into(), nothing(), 404),
        ("get", "/api/v1/audit", "/api/v1/audit?pageSize=2".into(), nothing(), 200),
        ("get", "/api/v1/session", "/api/v1/session".into(), nothing(), 200),
        ("post", "/api/v1/session", "/api/v1/session".into(), json!({"token": "x"}), 403),
        ("get", "/api/v1/openapi.json", "/api/v1/openapi.json".into(), nothing(), 200),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = http.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &asked, body);
        let answer = request.header("content-type", "application/json").send().await;
        assert_eq!(answer.status, StatusCode::from_u16(status).unwrap(), "{method} {asked}: {}", answer.text());
        must_fit(&document, path, method, &answer);
        tried.insert(format!("{method} {path}"));
    }
    let described = document["paths"].as_object().unwrap().iter();
    let described: BTreeSet<String> = described
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}")))
        .collect();
    let elsewhere =
        ["get /api/v1/fleet/events", "get /api/v1/alerts/events", "get /api/v1/audit/export", "delete /api/v1/session"];
    let left: Vec<_> = described.difference(&tried).filter(|one| !elsewhere.contains(&one.as_str())).collect();
    assert!(left.is_empty(), "described, and not tried: {left:?}");
}

#[tokio::test]
async fn the_fleet_comes_as_events_and_the_audit_log_as_lines() {
    let scene = Scene::start(1).await;
    let http = scene.control.http();
    let mut events = http.get("/api/v1/fleet/events").open().await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let before = fleet(&mut events).await;
    assert_eq!(before["providers"][0]["enabled"], true);
    let off = json!({"enabled": false, "reason": "a drill"});
    let done = http.request(Method::PATCH, "/api/v1/providers/first", off.to_string());
    assert_eq!(done.header("content-type", "application/json").send().await.status, 200);
    while fleet(&mut events).await["providers"][0]["enabled"] == true {}
    let lines = http.get("/api/v1/audit/export").send().await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = lines.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["action"], &lines[0]["outcome"], &lines[0]["reason"]),
        (&json!("SetProvider"), &json!("done"), &json!("a drill"))
    );
}

async fn fleet(events: &mut fusebox_tests::client::Open) -> Value {
    let event = events.event().await.expect("events go on");
    assert_eq!(event.name.as_deref(), Some("fleet"));
    serde_json::from_str(&event.data).unwrap()
}

#[tokio::test]
async fn whatever_is_sent_is_answered_in_the_same_shape_and_nothing_falls_over() {
    let scene = Scene::start(1).await;
    let http = scene.control.http();
    for (method, path, kind, body, status) in [
        ("PATCH", "/api/v1/providers/first", "application/json", "{".to_owned(), 400),
        ("PATCH", "/api/v1/providers/first", "application/json", "[]".to_owned(), 400),
        ("PATCH", "/api/v1/providers/first", "application/json", "null".to_owned(), 400),
        ("PATCH", "/api/v1/providers/first", "text/plain", "{\"enabled\":false}".to_owned(), 400),
        ("PATCH", "/api/v1/providers/first", "application/json", "{\"name\":\"other\"}".to_owned(), 400),
        (
            "PATCH",
            "/api/v1/providers/first",
            "application/json",
            format!("{}1{}", "[".repeat(9_000), "]".repeat(9_000)),
            400,
        ),
        ("PATCH", "/api/v1/providers/first", "application/json", " ".repeat(2 << 20), 413),
        ("PUT", "/api/v1/degradation", "application/json", "{\"level\":\"WORSE\"}".to_owned(), 400),
        ("POST", "/api/v1/silences", "application/json", "{\"expiresAfter\":\"1y\"}".to_owned(), 400),
        ("DELETE", "/api/v1/fleet", "application/json", String::new(), 405),
        ("GET", "/api/v2/fleet", "application/json", String::new(), 404),
        ("GET", "/api/v1/alerts?pageSize=-1", "application/json", String::new(), 400),
    ] {
        // What is too long is not read to its end, and its connection is of no more use.
        let http = Http::new(http.address());
        let request = http.request(Method::from_bytes(method.as_bytes()).unwrap(), path, body.clone());
        let answer = request.header("content-type", kind).send().await;
        let start: String = body.chars().take(40).collect();
        assert_eq!(answer.status, StatusCode::from_u16(status).unwrap(), "{method} {path} {start}: {}", answer.text());
        let error = &answer.json()["error"];
        assert!(error["code"].is_string() && !error["message"].as_str().unwrap().is_empty(), "{}", answer.text());
    }
    // A small fuzz, always the same: bytes of a good body replaced at random.
    let good = json!({"enabled": true, "priority": 3, "reason": "a drill", "expiresAfter": "60s",
                      "change": {"dryRun": true, "wait": "1s", "expectedVersion": "0"}})
    .to_string();
    let mut dice = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let mut body = good.clone().into_bytes();
        for _ in 0..dice.usize(1..6) {
            let at = dice.usize(..body.len());
            body[at] = dice.u8(..);
        }
        let request = http.request(Method::PATCH, "/api/v1/providers/first", body.clone());
        let answer = request.header("content-type", "application/json").send().await;
        assert!(
            [200, 400, 404, 409].contains(&answer.status.as_u16()),
            "{}: {}",
            String::from_utf8_lossy(&body),
            answer.text()
        );
    }
}
