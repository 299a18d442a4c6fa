//! Every row of the error table that a provider can cause, in several vendors' words, through both doors.

use std::time::Duration;

use fusebox_tests::{
    provider::{
        Provider, Refusing,
        act::tokens,
        faults::{self, Fault, MARK},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    contract::row,
    support::{Doors, Ended, Way, hello, ms},
};

/// A fault with a provider that commits it, and the name that goes with both.
struct Case {
    fault: Fault,
    provider: Provider,
}

async fn cases(faults: Vec<Fault>) -> Vec<Case> {
    join_all(faults.into_iter().map(async |fault| {
        let provider = Provider::start(fault.act.clone()).await;
        Case { fault, provider }
    }))
    .await
}

fn name(case: usize, way: Way) -> String {
    format!("case{case}-{way:?}").to_lowercase()
}

/// Each case and way gets a provider entry and a model of its own, so that one's cool-down is not another's.
fn apart(cases: &[Case], kind: &str, after: &[&str]) -> Config {
    let mut config = Config::new();
    for (index, case) in cases.iter().enumerate() {
        let base_url = match kind {
            "anthropic" => format!("http://{}", case.provider.address()),
            _ => case.provider.base_url(),
        };
        for way in Way::ALL {
            let name = name(index, way);
            let changes =
                json!({"kind": kind, "timeouts": {"first_token": "500ms", "idle": "500ms", "total": "500ms"}});
            config = config.apart(&name, &base_url, changes);
            config = config.model(&name, &[&[name.as_str()], after].concat());
        }
    }
    config
}

async fn call_all(doors: &Doors, cases: &[Case]) -> Vec<(usize, Way, Ended)> {
    let each = (0..cases.len()).flat_map(|case| Way::ALL.map(|way| (case, way)));
    join_all(each.map(async |(case, way)| (case, way, doors.call(way, &name(case, way)).await))).await
}

fn check_alone(case: &Case, way: Way, ended: &Ended) {
    let what = format!("{} by {way:?}", case.fault.name);
    let problem = ended.failed();
    assert!(case.fault.kinds.contains(&problem.kind.as_str()), "{what}: {ended:#?}");
    let row = row(&problem.kind);
    assert_eq!(problem.http.unwrap_or(row.http), row.http, "{what}");
    assert_eq!(problem.grpc.unwrap_or(row.grpc), row.grpc, "{what}");
    assert_eq!(problem.retryable, row.retryable, "{what}");
    assert_eq!(ended.attempts, 1, "{what}: {ended:#?}");
    assert!(ended.text.is_empty(), "{what}");
    assert!(!problem.message.is_empty(), "{what}");
    assert!(!ended.everything.contains(MARK), "{what} leaks the provider's words: {}", ended.everything);
    let host = case.provider.address().to_string();
    assert!(!ended.everything.contains(&host), "{what} leaks the provider's address: {}", ended.everything);
    if let Some(wait) = case.fault.wait {
        let told = problem.wait.unwrap_or_else(|| panic!("{what} tells no wait: {ended:#?}"));
        assert!(told <= wait && wait - told < Duration::from_secs(2), "{what}: told to wait {told:?}, not {wait:?}");
    }
}

#[tokio::test]
async fn each_failure_is_told_as_its_row_says() {
    for (kind, faults) in [
        ("openai", [faults::statuses(), faults::silences()].concat()),
        ("anthropic", [faults::anthropic_statuses(), faults::silences()].concat()),
    ] {
        let cases = cases(faults).await;
        let sidecar = Sidecar::start(apart(&cases, kind, &[])).await;
        for (case, way, ended) in call_all(&Doors::of(&sidecar).await, &cases).await {
            check_alone(&cases[case], way, &ended);
        }
        for case in &cases {
            assert_eq!(case.provider.calls(), Way::ALL.len(), "{}: one attempt a call", case.fault.name);
        }
    }
}

#[tokio::test]
async fn a_healthy_second_provider_answers_where_the_table_says_so() {
    let healthy = Provider::start(tokens(3)).await;
    let cases = cases([faults::statuses(), faults::silences()].concat()).await;
    let config = Config::new().apart("healthy", &healthy.base_url(), json!({"priority": 9000}));
    let config = config.and(apart(&cases, "openai", &["healthy"]));
    let sidecar = Sidecar::start(config).await;
    for (case, way, ended) in call_all(&Doors::of(&sidecar).await, &cases).await {
        let what = format!("{} by {way:?}: {ended:#?}", cases[case].fault.name);
        if cases[case].fault.kinds.iter().all(|kind| row(kind).fails_over) {
            assert_eq!(ended.kind(), "ok", "{what}");
            assert!(ended.text.contains(":2 ") && ended.finish == "stop", "{what}");
            assert_eq!(
                (ended.provider.as_str(), ended.source.as_str(), ended.attempts),
                ("healthy", "fallback", 2),
                "{what}"
            );
        } else if cases[case].fault.kinds != ["context_length_exceeded"] {
            assert_eq!(ended.attempts, 1, "{what}");
            assert!(ended.problem.is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_a_larger_window_and_to_no_other() {
    let provider = Provider::start(fault("400 context length")).await;
    let healthy = Provider::start(tokens(3)).await;
    for (windows, expected) in [([4096, 8192], "ok"), ([4096, 4096], "context_length_exceeded")] {
        let served: Vec<Value> = ["a", "b"]
            .iter()
            .zip(windows)
            .map(|(name, window)| json!({"provider": name, "context_window": window}))
            .collect();
        let models = json!({"models": [{"name": "chat", "providers": served}]});
        let config = Config::new()
            .apart("a", &provider.base_url(), json!({}))
            .apart("b", &healthy.base_url(), json!({}))
            .with(models);
        let sidecar = Sidecar::start(config).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            assert_eq!(doors.call(way, "chat").await.kind(), expected, "{windows:?} by {way:?}");
        }
    }
}

#[tokio::test]
async fn two_providers_failing_in_any_two_ways_leave_it_to_the_third() {
    let healthy = Provider::start(tokens(3)).await;
    let faults: Vec<Fault> = [faults::statuses(), faults::silences()].concat();
    let faults: Vec<Fault> =
        faults.into_iter().filter(|fault| fault.kinds.iter().all(|kind| row(kind).fails_over)).collect();
    let count = faults.len();
    let cases = cases(faults).await;
    let mut config = Config::new().apart("healthy", &healthy.base_url(), json!({"priority": 9000}));
    let timeouts = json!({"timeouts": {"first_token": "400ms", "idle": "400ms", "total": "400ms"}});
    for (index, case) in cases.iter().enumerate() {
        let second = &cases[(index * 7 + 3) % count];
        let (a, b) = (format!("a{index}"), format!("b{index}"));
        config = config.apart(&a, &case.provider.base_url(), timeouts.clone());
        config = config.apart(&b, &second.provider.base_url(), timeouts.clone());
        config = config.model(&format!("m{index}"), &[&a, &b, "healthy"]);
    }
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let deadline = ms(5000);
    for way in Way::ALL {
        let calls = (0..count).map(|index| (index, doors.clone()));
        let each = calls
            .map(async |(index, doors)| (index, doors.call_within(way, &format!("m{index}"), Some(deadline)).await));
        for (index, ended) in join_all(each).await {
            let second = &cases[(index * 7 + 3) % count].fault;
            let what = format!("{} and {} by {way:?}: {ended:#?}", cases[index].fault.name, second.name);
            assert_eq!(ended.kind(), "ok", "{what}");
            assert_eq!(ended.provider, "healthy", "{what}");
            assert!(ended.took < deadline, "{what}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_refuses_connections_is_a_network_error_and_another_answers() {
    let nobody = Refusing::new();
    let healthy = Provider::start(tokens(2)).await;
    let config = Config::new()
        .apart("nobody", &nobody.base_url(), json!({}))
        .provider("healthy", &healthy)
        .model("alone", &["nobody"])
        .model("both", &["nobody", "healthy"]);
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "alone").await.kind(), "network_error", "{way:?}");
        assert_eq!(doors.call(way, "both").await.provider, "healthy", "{way:?}");
    }
}

#[tokio::test]
async fn when_all_fail_the_last_retryable_kind_is_told_and_each_provider_named() {
    let [a, b, c] = [
        Provider::start(fault("429 without a wait")).await,
        Provider::start(fault("500")).await,
        Provider::start(fault("401")).await,
    ];
    let sidecar = Sidecar::start(Config::new().provider("a", &a).provider("b", &b).provider("c", &c)).await;
    let doors = Doors::of(&sidecar).await;
    let ended = doors.call(Way::GrpcWhole, "chat").await;
    let tried: Vec<(&str, &str)> = ended.failed().tried.iter().map(|(who, how)| (who.as_str(), how.as_str())).collect();
    assert_eq!(tried, [("a", "rate_limited"), ("b", "provider_error"), ("c", "authentication")]);
    assert_eq!(ended.kind(), "provider_error");

    let sidecar = Sidecar::start(Config::new().provider("a", &a).provider("b", &b).provider("c", &c)).await;
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    let error = answer.error();
    assert_eq!(error["type"], "provider_error");
    assert_eq!(answer.header("x-fusebox-attempts"), Some("3"));
    for (name, kind) in tried {
        let told = error["details"].to_string();
        assert!(
            told.contains(&format!("\"{name}")) || told.contains(&format!("{name}:")),
            "{name} is not named in {told}"
        );
        assert!(told.contains(kind), "{kind} is not named in {told}");
    }
}

#[tokio::test]
async fn an_errors_body_has_every_member_and_its_headers_agree() {
    let provider = Provider::start(fault("429 with retry-after-ms")).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let request = sidecar.http().chat(&hello("chat", true)).header("x-correlation-id", "mine-42");
    let answer = request.send().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = answer.error();
    let mut members: Vec<&String> = error.as_object().unwrap().keys().collect();
    members.sort();
    let expected =
        ["code", "correlation_id", "details", "field_errors", "message", "param", "retry_after", "retryable", "type"];
    assert_eq!(members, expected);
    assert_eq!(error["correlation_id"], "mine-42");
    assert_eq!(answer.header("x-correlation-id"), Some("mine-42"));
    assert_eq!(error["param"], json!(null));
    let millis: u64 = answer.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((7000..=7250).contains(&millis), "{millis}");
    assert_eq!(answer.header("retry-after"), Some("8"), "7.25 s in whole seconds, rounded up");
    let seconds = error["retry_after"].as_f64().unwrap();
    assert!((7.0..=8.0).contains(&seconds), "{seconds}");
    for name in ["x-fusebox-attempts", "x-fusebox-degradation-level"] {
        assert!(answer.header(name).is_some(), "{name} is missing");
    }
}

#[tokio::test]
async fn out_of_memory_is_tried_once_more_with_half_the_tokens() {
    let provider = Provider::start(fault("500 out of memory, in vllm's words").then(tokens(2))).await;
    let sidecar = Sidecar::start(Config::one(&provider).each(&json!({"retry": {"max_retries": 3}}))).await;
    let mut body = hello("chat", false);
    body["max_tokens"] = json!(100);
    let answer = sidecar.http().chat(&body).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-fusebox-attempts"), Some("2"));
    let asked: Vec<_> = provider.seen().iter().map(|call| call.body["max_tokens"].clone()).collect();
    assert_eq!(asked, [json!(100), json!(50)]);

    provider.play(fault("500 out of memory, in vllm's words"));
    let answer = sidecar.http().chat(&body).send().await;
    assert_eq!(answer.error()["type"], "out_of_memory");
    assert_eq!(provider.calls(), 4, "once more, and not thrice");
}

fn fault(name: &str) -> fusebox_tests::provider::act::Act {
    let all = [faults::statuses(), faults::silences()].concat();
    all.into_iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("no fault is called {name}")).act
}
