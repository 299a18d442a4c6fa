//! The admin port: is it alive, is it ready, how is it.

use fusebox_tests::{
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use http::Method;
use serde_json::json;

use crate::support::hello;

#[tokio::test]
async fn a_running_sidecar_is_alive_ready_and_says_how_it_is() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    for path in ["/livez", "/readyz", "/health", "/status", "/metrics"] {
        assert_eq!(sidecar.admin().get(path).send().await.status, 200, "{path}");
    }
    let status = sidecar.admin().get("/status").send().await;
    assert!(status.json().is_object());
    assert!(status.text().contains("\"a\""), "the provider is in {}", status.text());
    assert!(status.text().contains(env!("CARGO_PKG_VERSION")), "{}", status.text());
    assert!(sidecar.admin().get("/health").send().await.json().is_object());
    let metrics = sidecar.admin().get("/metrics").send().await;
    assert!(metrics.header("content-type").unwrap().contains("text"), "{metrics:?}");
    assert_eq!(sidecar.admin().get("/nothing").send().await.status, 404);
    assert_eq!(sidecar.admin().request(Method::POST, "/readyz", "").send().await.status, 405);
}

#[tokio::test]
async fn an_open_breaker_shows_and_leaves_the_sidecar_alive_and_ready() {
    let provider = Provider::start(answer(500, &json!({}))).await;
    let breaker = json!({"breaker": {"failure_threshold": 2, "open_for": "60s", "probe": "passive"}});
    let sidecar = Sidecar::start(Config::one(&provider).each(&breaker)).await;
    for _ in 0..3 {
        sidecar.http().chat(&hello("chat", false)).send().await;
    }
    assert!(sidecar.admin().get("/status").send().await.text().contains("open"));
    assert_eq!(sidecar.admin().get("/livez").send().await.status, 200, "a restart would mend nothing");
    assert_eq!(sidecar.admin().get("/readyz").send().await.status, 200, "it still answers, with errors or from others");
}

#[tokio::test]
async fn metrics_are_the_contracts() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    sidecar.http().chat(&hello("chat", true)).send().await;
    let named = |metrics: &fusebox_tests::client::Metrics, name: &str| {
        metrics.names().iter().any(|found| found.starts_with(name))
    };
    let all = [
        "fusebox_calls_total",
        "fusebox_call_duration_seconds",
        "fusebox_first_token_seconds",
        "fusebox_attempts_total",
        "fusebox_attempt_duration_seconds",
        "fusebox_breaker_state",
        "fusebox_overhead_seconds",
        "fusebox_in_flight",
        "fusebox_tokens_total",
    ];
    sidecar
        .metrics_until("every metric of the contract's", |metrics| all.iter().all(|name| named(metrics, name)))
        .await;
}
