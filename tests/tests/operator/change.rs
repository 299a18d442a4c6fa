//! What is changed: what is asked for exactly, what is told of it, and what a refusal ends with.

use std::collections::HashMap;

use fusebox_proto::v1::{
    BreakerMode, ChangeOptions, DegradationLevel, SetBreakerRequest, SetDegradationRequest, SetProviderRequest,
};
use fusebox_tests::operator::{Asked, ControlPlane, Fusebox};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{applied, fleet, seconds};

#[tokio::test]
async fn a_provider_is_switched_off_and_on_and_ranked() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(3));
    let fusebox = Fusebox::at(control.address());
    let reason = ["--reason", "incident 12"];
    let line = ["provider", "disable", "vllm", "--for", "2h", "--expect", "12"];
    let off = fusebox.run_args(&[&line, &reason[..]].concat()).await;
    assert_eq!(
        off.good(),
        "✓ vllm is off; applied by 3 of 3 live sidecars (settings version 13)\n  - chat is left with azure\n"
    );
    let on = fusebox.run_args(&[&["provider", "enable", "vllm", "--no-wait"], &reason[..]].concat()).await;
    assert!(on.good().starts_with("✓ vllm is on; "), "{on:?}");
    let back = fusebox.run_args(&[&["provider", "reset", "vllm", "--no-wait"], &reason[..]].concat()).await;
    assert!(back.good().starts_with("✓ vllm is as each configuration says; "), "{back:?}");
    let line = ["provider", "priority", "vllm", "7", "--wait", "1m", "--force"];
    let ranked = fusebox.run_args(&[&line, &reason[..]].concat()).await;
    assert!(ranked.good().starts_with("✓ vllm is of rank 7; "), "{ranked:?}");

    let request = |change| SetProviderRequest {
        name: "vllm".into(),
        reason: "incident 12".into(),
        change: Some(change),
        ..SetProviderRequest::default()
    };
    let off = ChangeOptions { expected_version: 12, wait: seconds(10), ..ChangeOptions::default() };
    let off = SetProviderRequest { enabled: Some(false), expires_after: seconds(7200), ..request(off) };
    let on = SetProviderRequest { enabled: Some(true), ..request(ChangeOptions::default()) };
    let ranked = ChangeOptions { wait: seconds(60), force: true, ..ChangeOptions::default() };
    let ranked = SetProviderRequest { priority: Some(7), ..request(ranked) };
    let back = SetProviderRequest { reset: true, ..request(ChangeOptions::default()) };
    assert_eq!(control.asked(), [off, on, back, ranked].map(Asked::Provider));
}

#[tokio::test]
async fn breakers_and_levels_are_forced_and_handed_back() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(3));
    let fusebox = Fusebox::at(control.address());
    for (line, said) in [
        ("breaker open azure", "the breaker of azure is forced open; "),
        ("breaker close azure", "the breaker of azure is forced closed; "),
        ("breaker auto azure", "the breaker of azure is its own judge again; "),
        ("degradation minimal", "the level of the fleet is minimal; "),
        ("degradation auto --sidecar pod-1", "the level of pod-1 is by each sidecar's own load again; "),
    ] {
        let done = fusebox.run(&format!("{line} --reason x")).await;
        assert!(done.good().contains(said), "{line}: {done:?}");
    }
    let change = Some(ChangeOptions { wait: seconds(10), ..ChangeOptions::default() });
    let breaker = |mode: BreakerMode| {
        let request = SetBreakerRequest { provider: "azure".into(), mode: mode.into(), ..SetBreakerRequest::default() };
        Asked::Breaker(SetBreakerRequest { reason: "x".into(), change, ..request })
    };
    let level = |level: DegradationLevel, sidecar: &str| {
        let request = SetDegradationRequest { level: level.into(), sidecar: sidecar.into(), ..Default::default() };
        Asked::Degradation(SetDegradationRequest { reason: "x".into(), change, ..request })
    };
    assert_eq!(
        control.asked(),
        [
            breaker(BreakerMode::ForcedOpen),
            breaker(BreakerMode::ForcedClosed),
            breaker(BreakerMode::Auto),
            level(DegradationLevel::Minimal, ""),
            level(DegradationLevel::Unspecified, "pod-1"),
        ]
    );
}

#[tokio::test]
async fn a_dry_run_needs_no_reason_and_changes_nothing() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(0));
    let dry = Fusebox::at(control.address()).run("provider disable vllm --dry-run").await;
    assert!(
        dry.good().starts_with("dry run, nothing was changed. vllm would be off:\n  - chat is left with azure\n"),
        "{dry:?}"
    );
    let asked = control.asked();
    let [Asked::Provider(asked)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.change, Some(ChangeOptions { dry_run: true, ..ChangeOptions::default() }));
}

#[tokio::test]
async fn a_change_that_not_all_applied_in_time_is_told_by_its_exit_status() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(2));
    let fusebox = Fusebox::at(control.address());
    let late = fusebox.run("provider disable vllm --reason x").await;
    assert_eq!(late.status, 5, "{late:?}");
    assert!(late.out.contains("applied by 2 of 3 live sidecars") && late.out.contains("still waiting for pod-3"));
    let document = fusebox.run("provider disable vllm --reason x --json").await;
    assert_eq!((document.status, &document.json()["result"]["waitingFor"][0]), (5, &Value::from("pod-3")));
    assert_eq!(fusebox.run("provider disable vllm --reason x --no-wait").await.status, 0, "nobody wanted to wait");
}

#[tokio::test]
async fn off_a_terminal_a_reason_must_be_given_and_nothing_is_asked() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    for line in ["provider disable vllm", "provider disable vllm --reason=", "silence --all --for 1h"] {
        fusebox.run(line).await.failed(2, "give it with --reason TEXT");
    }
    assert_eq!(control.asked(), []);
}

#[tokio::test]
async fn refusals_say_what_to_do_and_end_so_that_scripts_know() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let info = |reason: &str, key: &str, value: &str| {
        ErrorDetails::with_error_info(reason, "fusebox", HashMap::from([(key.to_owned(), value.to_owned())]))
    };
    let moved = info("ABORTED", "settingsVersion", "14");
    let last = info("FAILED_PRECONDITION", "models", "chat");
    let mut fields = ErrorDetails::new();
    fields.add_bad_request_violation("expires_after", "must be 365 days at most");
    fields.add_bad_request_violation("reason", "must be 500 letters at most");
    for (code, details, status, said) in [
        (Code::Aborted, moved, 3, "--expect 14"),
        (Code::FailedPrecondition, last, 3, "(chat); `--force` does it all the same"),
        (Code::PermissionDenied, ErrorDetails::new(), 3, "this needs the role operator"),
        (Code::InvalidArgument, fields, 2, "\n  expires_after: must be 365 days at most\n  reason: must be 500"),
        (Code::NotFound, ErrorDetails::new(), 1, "`fusebox status` names what there is"),
        (Code::Unavailable, ErrorDetails::new(), 4, "it may have been made all the same"),
    ] {
        control.refuse("SetProvider", Status::with_error_details(code, "because", details));
        let refused = fusebox.run("provider disable vllm --reason x").await;
        refused.failed(status, "because");
        refused.failed(status, said);
        assert_eq!(refused.out, "");
        let refused = fusebox.run("provider disable vllm --reason x --json").await;
        let document: Value = serde_json::from_str(&refused.err).expect("errors are documents too");
        assert!(document["error"]["message"].as_str().unwrap().contains("because"), "{document}");
    }
}
