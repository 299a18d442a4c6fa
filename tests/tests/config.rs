//! A wrong configuration is refused at the start, with every fault at once.

use std::process::Output;

use fusebox_tests::{
    provider::{Provider, act::tokens},
    sidecar::{Config, Sidecar},
};
use serde_json::json;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn wrong() -> Config {
    Config::new()
        .apart("a", "http://127.0.0.1:1/v1", json!({"kind": "openia", "timeouts": {"total": "soon"}, "priorty": 3}))
        .apart("a", "no url", json!({"retry": {"max_retries": -1}}))
        .model("chat", &["nobody"])
        .with(json!({"listne": {}, "retry_budget": {"ratio": 7}}))
}

#[tokio::test]
async fn every_fault_is_named_with_its_place_and_the_exit_status_is_2() {
    for arguments in [&["run"][..], &["check"], &[]] {
        let output = Sidecar::run(arguments, &wrong()).await;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        for place in [
            "providers[0].kind",
            "providers[0].timeouts.total",
            "providers[0].priorty",
            "providers[1].name",
            "providers[1].base_url",
            "providers[1].retry.max_retries",
            "listne",
            "retry_budget.ratio",
            "nobody",
        ] {
            assert!(said.contains(place), "{arguments:?} does not name {place}:\n{said}");
        }
        assert!(
            said.contains("priority") && said.contains("listen") && said.contains("openai"),
            "close keys are suggested:\n{said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test]
async fn check_passes_what_is_right_and_says_what_is_unwise() {
    let config = Config::new().provider_with("only", "http://127.0.0.1:1/v1", json!({}));
    let output = Sidecar::run(&["check"], &config).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("only"), "one provider and no other is unwise: {}", said(&output));
}

#[tokio::test]
async fn keys_come_from_the_environment_too_and_win_over_the_file() {
    let provider = Provider::start(tokens(1)).await;
    let output = Sidecar::run(&["check"], &Config::one(&provider).env("FUSEBOX_RETRY_BUDGET__RATIO", "7")).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("FUSEBOX_RETRY_BUDGET__RATIO"), "{}", said(&output));
    let config = Config::one(&provider).env("FUSEBOX_LIMITS__MAX_BODY", "1KiB");
    let sidecar = Sidecar::start(config).await;
    let body = json!({"messages": [{"role": "user", "content": "x".repeat(2000)}]});
    assert_eq!(sidecar.http().chat(&body).send().await.status, 413);
}

#[tokio::test]
async fn secrets_are_never_printed() {
    let key = json!({"api_key_env": "SCRIPTED_KEY"});
    let provider = Provider::start(tokens(1)).await;
    let config = Config::new().provider_with("a", &provider.base_url(), key).env("SCRIPTED_KEY", "sk-most-secret");
    let output = Sidecar::run(&["check"], &config.clone().with(json!({"listne": {}}))).await;
    assert!(!said(&output).contains("sk-most-secret"));
    let sidecar = Sidecar::start(config.with(json!({"telemetry": {"log": "trace"}}))).await;
    let chat = json!({"messages": [{"role": "user", "content": "hi"}]});
    assert_eq!(sidecar.http().chat(&chat).send().await.status, 200);
    assert_eq!(provider.seen()[0].header("authorization"), Some("Bearer sk-most-secret"));
    for path in ["/status", "/health", "/metrics"] {
        assert!(!sidecar.admin().get(path).send().await.text().contains("sk-most-secret"), "{path}");
    }
    assert!(!sidecar.log().contains("sk-most-secret"));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let provider = Provider::start(tokens(1)).await;
    let taken = json!({"listen": {"admin": provider.address().to_string()}});
    let output = Sidecar::run(&["run"], &Config::one(&provider).with(taken)).await;
    assert!(!output.status.success());
    assert!(said(&output).contains(&provider.address().to_string()), "{}", said(&output));
}

#[tokio::test]
async fn with_no_provider_configured_it_answers_by_itself() {
    let sidecar = Sidecar::start(Config::new().with(json!({"providers": null}))).await;
    let chat = json!({"messages": [{"role": "user", "content": "echo this"}]});
    let answer = sidecar.http().chat(&chat).send().await;
    assert!(answer.json()["choices"][0]["message"]["content"].as_str().unwrap().contains("echo this"));
}
