//! The operator's command: what it asks of a control plane, what it shows, and how it ends. The program is the real one;
//! the control plane says what it is told to say, over real sockets.

use std::collections::HashMap;

use fusebox_proto::v1::{
    AcknowledgeAlertRequest, Alert, AlertKind, AuditEvent, Breaker, BreakerMode, BreakerState, ChangeOptions,
    ChangeResult, DegradationLevel, EndSilenceRequest, Fleet, HealthStatus, Model, Provider, SetBreakerRequest,
    SetDegradationRequest, SetProviderRequest, SetSilenceRequest, Severity, Sidecar,
};
use fusebox_tests::{
    operator::{Asked, ControlPlane, Door, Fusebox},
    tls::Authority,
};
use prost_types::{Duration, Timestamp};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Enters the alternate screen, and leaves it with the cursor shown again.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
}

fn fleet() -> Fleet {
    let provider = |name: &str, priority| Provider {
        name: name.into(),
        enabled: true,
        priority,
        breaker: Some(Breaker { state: BreakerState::Closed.into(), ..Breaker::default() }),
        shared: true,
        sidecars_applied: 2,
        sidecars_total: 2,
        ..Provider::default()
    };
    let sidecar = |id: &str| Sidecar {
        id: id.into(),
        health: HealthStatus::Healthy.into(),
        degradation_level: DegradationLevel::Full.into(),
        ..Sidecar::default()
    };
    Fleet {
        name: "north".into(),
        at: at(0),
        health: HealthStatus::Healthy.into(),
        degradation_level: DegradationLevel::Full.into(),
        providers: vec![provider("vllm", 0), provider("azure", 10)],
        sidecars: vec![sidecar("pod-1"), sidecar("pod-2")],
        models: vec![Model { name: "chat".into(), providers: vec!["vllm".into(), "azure".into()], enabled: 2 }],
        settings_version: 12,
        ..Fleet::default()
    }
}

/// A change that `applied` of three sidecars have applied.
fn applied(applied: u32) -> ChangeResult {
    ChangeResult {
        settings_version: 13,
        sidecars_applied: applied,
        sidecars_total: 3,
        effects: vec!["chat is left with azure".into()],
        waiting_for: if applied < 3 { vec!["pod-3".into()] } else { Vec::new() },
    }
}

fn alert(id: &str) -> Alert {
    Alert {
        id: id.into(),
        kind: AlertKind::BreakerOpened.into(),
        severity: Severity::Critical.into(),
        provider: "azure".into(),
        message: format!("the story of {id}"),
        raised_at: at(-60),
        ..Alert::default()
    }
}

/// A wait of whole seconds, as a change takes it.
fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

#[tokio::test]
async fn the_status_is_a_page_or_a_document() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let page = fusebox.run("status").await;
    let page = page.good();
    assert!(page.starts_with("north: ✓ healthy; level ✓ full\n"), "{page}");
    for right in ["vllm      ✓ on       0  ✓ closed", "chat   ✓ 2 of 2", "2 sidecars: 2 healthy", "settings version 12"]
    {
        assert!(page.contains(right), "{right} in\n{page}");
    }
    assert!(!page.contains('\x1b'), "no colour off a terminal");
    assert!(fusebox.run("status --color always").await.good().contains("\x1b[32m✓ healthy\x1b[0m"));

    let document = fusebox.run("status --json").await.json();
    assert_eq!(document["name"], "north");
    assert_eq!(document["settingsVersion"], "12");
    assert_eq!(document["health"], "HEALTH_STATUS_HEALTHY");
    assert_eq!(document["stale"], false, "what scripts look for is there though it is empty");
}

#[tokio::test]
async fn the_exit_status_says_the_health_if_it_is_asked_to() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    for (health, stale, right) in [
        (HealthStatus::Healthy, false, 0),
        (HealthStatus::Degraded, false, 10),
        (HealthStatus::Critical, false, 11),
        (HealthStatus::Healthy, true, 12),
    ] {
        control.show(Fleet { health: health.into(), stale, ..fleet() });
        assert_eq!(fusebox.run("status --exit-code").await.status, right, "{health:?}");
        assert_eq!(fusebox.run("status").await.status, 0);
    }
}

#[tokio::test]
async fn stale_and_made_up_pictures_are_called_that_wherever_they_are_shown() {
    let control = ControlPlane::start(Fleet { stale: true, demonstration: true, ..fleet() }).await;
    let fusebox = Fusebox::at(control.address());
    for line in ["status", "provider list", "sidecars"] {
        let page = fusebox.run(line).await;
        let page = page.good();
        assert!(page.starts_with("! STALE") && page.contains("\n! DEMONSTRATION"), "{line}: {page}");
    }
}

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

#[tokio::test]
async fn where_nobody_answers_it_says_so_in_time() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = free.local_addr().unwrap();
    let fusebox = Fusebox::at(silent);
    // It listens, and never says a word.
    fusebox.run("status --timeout 200ms").await.failed(4, "it said nothing within 200ms");
    drop(free);
    let refused = fusebox.run("status").await;
    refused.failed(4, &format!("no control plane answers at http://{silent}: "));
    refused.failed(4, "Connection refused");
    fusebox.run("watch").await.failed(4, "Connection refused");
    Fusebox::at("nowhere").run("status").await.failed(2, "the address nowhere (environment) names no port");
}

#[tokio::test]
async fn a_token_is_read_from_a_file_a_variable_or_a_context() {
    let door = Door { token: Some("s3cret".into()), ..Door::default() };
    let control = ControlPlane::behind(door, fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let none = fusebox.run("status").await;
    none.failed(3, "a bearer token is needed");
    none.failed(3, "--token-file FILE");
    let file = fusebox.file("token", "s3cret\n", 0o600);
    let line = format!("status --token-file {}", file.display());
    fusebox.run(&line).await.good();
    let fusebox = fusebox.with("FUSEBOX_TOKEN", "wrong");
    fusebox.run("status").await.failed(3, "a bearer token is needed");
    fusebox.run(&line).await.good();
    Fusebox::at(control.address()).with("FUSEBOX_TOKEN", "s3cret").run("status").await.good();
    let wrong = Fusebox::at(control.address()).with("FUSEBOX_TOKEN", "s3cret and more").run("status").await;
    wrong.failed(2, "the variable FUSEBOX_TOKEN holds a space");
    assert!(!wrong.err.contains("s3cret"));
}

#[tokio::test]
async fn tls_is_checked_on_both_sides() {
    let (authority, callers) = (Authority::new(), Authority::new());
    let door =
        Door { identity: Some(authority.issue("control-plane")), callers: Some(callers.file()), ..Door::default() };
    let control = ControlPlane::behind(door, fleet()).await;
    let known = callers.issue("operator");
    let fusebox = Fusebox::at(format!("https://{}", control.address()));
    let mine = format!("--cert {} --key {}", known.cert_file, known.key_file);
    fusebox.run(&format!("status --ca {} {mine}", authority.file())).await.good();
    let stranger = fusebox.run(&format!("status --ca {} {mine}", callers.file())).await;
    stranger.failed(4, "give the authority with --ca FILE");
    assert_eq!(fusebox.run(&format!("status --ca {}", authority.file())).await.status, 4, "it shows no certificate");
    fusebox.run(&format!("status --cert {}", known.cert_file)).await.failed(2, "go together");
    let plain = Fusebox::at(control.address()).run("status").await;
    plain.failed(4, "If it speaks TLS, write https://");
}

#[tokio::test]
async fn contexts_lead_to_several_fleets_and_to_no_other() {
    let north = ControlPlane::behind(Door { token: Some("n".into()), ..Door::default() }, fleet()).await;
    let south = ControlPlane::start(Fleet { name: "south".into(), ..fleet() }).await;
    let text = format!(
        "current: north\ncontexts:\n  north: {{ address: '{}', token_file: north.token, fleet: north }}\n  south: {{ address: '{}' }}\n  \
         wrong: {{ address: '{}', fleet: north }}\n",
        north.address(),
        south.address(),
        south.address()
    );
    let fusebox = Fusebox::new();
    let file = fusebox.file(".config/fusebox/contexts.yaml", &text, 0o644);
    fusebox.file(".config/fusebox/north.token", "n\n", 0o600);
    assert!(fusebox.run("status").await.good().starts_with("north: "));
    assert!(fusebox.run("status --context south").await.good().starts_with("south: "));
    fusebox.run("status --context wrong").await.failed(3, "is south, not north");
    fusebox.run("status --context east").await.failed(2, "there is no context east; there are north, south, wrong");
    // The token of the current context does not go to another address.
    fusebox.run(&format!("status --address {}", north.address())).await.failed(3, "a bearer token is needed");

    assert!(fusebox.run("context list").await.good().contains("*  north    127.0.0.1:"));
    fusebox.run("context use south").await.good();
    assert!(fusebox.run("status").await.good().starts_with("south: "));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text.replace("current: north", "current: \"south\""));
    let shown = fusebox.run("context show north --json").await.json();
    assert_eq!(shown["address"]["value"], north.address().to_string());
    assert_eq!(shown["token"]["value"], format!("in {}", fusebox.home().join(".config/fusebox/north.token").display()));
    let fusebox = fusebox.with("FUSEBOX_CONTEXT", "north");
    assert!(fusebox.run("status").await.good().starts_with("north: "));
}

#[tokio::test]
async fn alerts_are_listed_page_by_page_and_acknowledged() {
    let control = ControlPlane::start(fleet()).await;
    let over = Alert { resolved_at: at(-10), ..alert("a-over") };
    control.alerts((1..=700).map(|number| alert(&format!("a-{number}"))).chain([over]).collect());
    let fusebox = Fusebox::at(control.address());
    let some = fusebox.run("alerts").await;
    assert_eq!(some.good().lines().count(), 101, "a hundred and a title");
    assert!(some.err.contains("there are more than these 100"), "{some:?}");
    let all = fusebox.run("alerts --limit 5000 --json").await.json();
    assert_eq!(all.as_array().unwrap().len(), 700);
    assert!(fusebox.run("alerts --limit 5000").await.good().contains("the story of a-700"));
    let past = fusebox.run("alerts --all --limit 5000 --json").await.json();
    assert_eq!(past[700]["id"], "a-over");

    let acknowledged = fusebox.run("alerts ack a-1 nonsense a-2").await;
    acknowledged.failed(1, "there is no alert nonsense");
    assert_eq!(acknowledged.out.lines().count(), 2, "the others are acknowledged all the same");
    let ids = ["a-1", "nonsense", "a-2"].map(|id| Asked::Acknowledge(AcknowledgeAlertRequest { id: id.into() }));
    assert_eq!(control.asked(), ids);
}

#[tokio::test]
async fn silences_are_set_listed_and_ended() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let set = fusebox.run("silence --kind error-spike --provider azure --for 2h --reason migration").await;
    assert_eq!(set.good(), "✓ silence s-1 set\n");
    assert!(fusebox.run("silences").await.good().contains("migration  s-1"));
    assert_eq!(fusebox.run("silence end s-1").await.good(), "✓ silence s-1 ended\n");
    assert_eq!(fusebox.run("silences").await.good(), "no silences\n");
    fusebox.run("silence end s-1").await.failed(1, "there is no silence s-1");
    fusebox.run("silence --for 2h --reason x").await.failed(2, "this would silence every alert");
    fusebox.run("silence --all --for 800h --reason x").await.failed(2, "thirty days at most");
    let right = SetSilenceRequest {
        kind: AlertKind::ErrorSpike.into(),
        provider: "azure".into(),
        reason: "migration".into(),
        expires_after: seconds(7200),
        ..SetSilenceRequest::default()
    };
    let end = || Asked::EndSilence(EndSilenceRequest { id: "s-1".into() });
    assert_eq!(control.asked(), [Asked::Silence(right), end(), end()]);
}

#[tokio::test]
async fn sidecars_are_listed_and_shown_in_full() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    assert!(fusebox.run("sidecars").await.good().contains("\npod-2    ✓ healthy"));
    assert_eq!(fusebox.run("sidecars --json").await.json()[1]["id"], "pod-2");
    assert!(fusebox.run("sidecar pod-1").await.good().starts_with("pod-1: ✓ healthy; level ✓ full\n"));
    assert_eq!(fusebox.run("sidecar pod-1 --json").await.json()["id"], "pod-1");
    fusebox.run("sidecar pod-9").await.failed(1, "there is no sidecar pod-9");
}

#[tokio::test]
async fn the_audit_log_is_listed_and_exported_whole() {
    let control = ControlPlane::start(fleet()).await;
    let event = |number: u32| AuditEvent {
        at: at(0),
        actor: "ana".into(),
        action: "SetProvider".into(),
        outcome: "done".into(),
        id: format!("e-{number}"),
        ..AuditEvent::default()
    };
    control.audit((0..1_200).map(event).collect());
    let fusebox = Fusebox::at(control.address());
    let listed = fusebox.run("audit --limit 3").await;
    assert_eq!(listed.good().lines().count(), 4);
    assert!(listed.out.contains("2023-11-14 22:13:20Z  ana  SetProvider  ✓ done"), "{listed:?}");
    let exported = fusebox.run("audit --export").await;
    let ids: Vec<Value> =
        exported.good().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone()).collect();
    assert_eq!(ids, (0..1_200).map(|number| Value::from(format!("e-{number}"))).collect::<Vec<_>>());
}

#[tokio::test]
async fn whoever_reads_no_further_is_not_told_off() {
    let control = ControlPlane::start(fleet()).await;
    let mut watch = Fusebox::at(control.address()).start("watch --json");
    watch.next().await;
    let mut child = watch.close();
    // The next line finds nobody who reads it.
    control.show(Fleet { settings_version: 13, ..fleet() });
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), child.wait()).await.expect("it ends");
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[tokio::test]
async fn off_a_terminal_each_change_is_a_line_and_a_lost_connection_is_told_and_mended() {
    let mut control = ControlPlane::start(fleet()).await;
    let mut watch = Fusebox::at(control.address()).start("watch");
    assert_eq!(watch.next().await, "2023-11-14 22:13:20Z north: ✓ healthy; level ✓ full");
    let mut changed = fleet();
    changed.providers[0].enabled = false;
    changed.at = at(5);
    control.show(changed.clone());
    assert_eq!(watch.next().await, "2023-11-14 22:13:25Z provider vllm: - off");

    control.close().await;
    let lost = watch.next_error().await;
    assert!(lost.starts_with("fusebox: connection lost: ") && lost.contains("trying again in "), "{lost}");
    changed.settings_version = 13;
    control.show(changed);
    control.open().await;
    assert_eq!(watch.next().await, "2023-11-14 22:13:25Z settings: version 13");
    assert_eq!(watch.signal("TERM").await, 0);
}

#[tokio::test]
async fn a_watch_that_is_refused_is_not_tried_again() {
    let control = ControlPlane::start(fleet()).await;
    control.refuse("WatchFleet", Status::unauthenticated("no"));
    Fusebox::at(control.address()).run("watch").await.failed(3, "fusebox: no");
}

#[tokio::test]
async fn alerts_are_watched_and_none_is_told_twice() {
    let mut control = ControlPlane::start(fleet()).await;
    control.alerts(vec![alert("a-1")]);
    let mut watch = Fusebox::at(control.address()).start("alerts watch");
    assert!(watch.next().await.contains("✗ critical firing breaker-opened azure: the story of a-1 [a-1]"));
    control.tell(Alert { acknowledged_at: at(-5), acknowledged_by: "ana".into(), ..alert("a-1") });
    assert!(watch.next().await.contains("acknowledged by ana breaker-opened azure"));
    control
        .alerts(vec![Alert { acknowledged_at: at(-5), acknowledged_by: "ana".into(), ..alert("a-1") }, alert("a-2")]);
    control.close().await;
    assert!(watch.next_error().await.contains("connection lost"));
    control.open().await;
    assert!(watch.next().await.contains("the story of a-2 [a-2]"), "the first is known already");
    assert_eq!(watch.signal("INT").await, 0);
}

#[tokio::test]
async fn on_a_terminal_what_is_grave_is_shown_first_and_asked() {
    let control = ControlPlane::start(fleet()).await;
    control.result(applied(3));
    let fusebox = Fusebox::at(control.address());
    let mut terminal = fusebox.on_terminal("provider disable vllm", 100, 30);
    let shown = terminal.until("the question", |written| written.contains("Go ahead? [y/N] ")).await;
    assert!(shown.contains("vllm would be off:") && shown.contains("- chat is left with azure"), "{shown}");
    terminal.type_in("y\n");
    terminal.until("the other question", |written| written.contains("Reason, for the audit log: ")).await;
    terminal.type_in("incident 12\n");
    assert_eq!(terminal.ended().await, 0, "{}", terminal.written());
    let asked = control.asked();
    let [Asked::Provider(dry), Asked::Provider(made)] = &asked[..] else { panic!("{asked:?}") };
    assert!(dry.change.unwrap().dry_run);
    assert_eq!((made.reason.as_str(), made.enabled), ("incident 12", Some(false)));
    // What was agreed to is what is done: if the settings have moved on since, it is refused.
    let right = ChangeOptions { expected_version: 13, wait: seconds(10), ..ChangeOptions::default() };
    assert_eq!(made.change, Some(right));

    let mut terminal = fusebox.on_terminal("breaker open vllm --reason x", 100, 30);
    terminal.until("the question", |written| written.contains("Go ahead? [y/N] ")).await;
    terminal.type_in("\n");
    assert_eq!(terminal.ended().await, 1);
    assert!(terminal.written().contains("nothing was changed"), "{}", terminal.written());
    assert!(matches!(&control.asked()[..], [_, _, Asked::Breaker(dry)] if dry.change.unwrap().dry_run));

    let mut terminal = fusebox.on_terminal("breaker open vllm --reason x --yes", 100, 30);
    assert_eq!(terminal.ended().await, 0, "{}", terminal.written());
    assert!(terminal.written().contains("\x1b[32m✓ the breaker of vllm is forced open"), "{}", terminal.written());
    let mut terminal = fusebox.on_terminal("provider enable vllm --reason x", 100, 30);
    assert_eq!(terminal.ended().await, 0, "what is harmless is not asked: {}", terminal.written());
}

#[tokio::test]
async fn on_a_terminal_tables_fit_and_colours_can_be_refused() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address()).with("NO_COLOR", "1");
    for columns in [40, 80] {
        let mut terminal = fusebox.on_terminal("status", columns, 30);
        assert_eq!(terminal.ended().await, 0);
        let written = terminal.written();
        assert!(!written.contains('\x1b'), "{written:?}");
        let widest = written.lines().map(|line| line.trim_end_matches('\r').chars().count()).max();
        assert!(widest <= Some(usize::from(columns)), "{written}");
    }
}

#[tokio::test]
async fn the_screen_is_redrawn_in_place_and_given_back_whatever_ends_it() {
    let mut control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    let mut watch = fusebox.on_terminal("watch", 80, 30);
    let first = watch.until("the first picture", |written| written.contains("2 sidecars: 2 healthy")).await;
    assert!(first.starts_with(ENTER), "{first:?}");
    control.show(Fleet { health: HealthStatus::Critical.into(), ..fleet() });
    watch.until("the next picture", |written| written.contains("✗ critical")).await;
    let before = watch.written().len();
    watch.resize(40, 10).await;
    let resized = watch.until("a smaller picture", |written| written[before..].contains("more lines")).await;
    assert!(!resized.contains(LEAVE));
    control.close().await;
    watch.until("the loss", |written| written.contains("! CONNECTION LOST")).await;
    let before = watch.written().len();
    control.show(fleet());
    control.open().await;
    watch.until("that it goes on", |written| written[before..].contains("live, http://")).await;
    watch.signal("INT").await;
    assert_eq!(watch.ended().await, 0);
    assert!(watch.written().ends_with(LEAVE), "{:?}", watch.written());

    for signal in ["TERM", "HUP"] {
        let mut watch = fusebox.on_terminal("watch", 80, 30);
        watch.until("a picture", |written| written.contains("2 sidecars")).await;
        watch.signal(signal).await;
        assert_eq!(watch.ended().await, 0);
        assert!(watch.written().ends_with(LEAVE), "{signal}");
    }
    let mut watch = fusebox.on_terminal("watch", 80, 30);
    watch.until("a picture", |written| written.contains("2 sidecars")).await;
    control.refuse("WatchFleet", Status::permission_denied("not any more"));
    control.close().await;
    control.open().await;
    assert_eq!(watch.ended().await, 3, "{:?}", watch.written());
    let (_, after) = watch.written().split_once(LEAVE).map(|(a, b)| (a.to_owned(), b.to_owned())).expect("left");
    assert!(after.contains("fusebox: not any more"), "what is wrong is said after the screen is given back: {after:?}");
}

#[tokio::test]
async fn completions_are_printed_for_every_shell() {
    let fusebox = Fusebox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = fusebox.run(&format!("completions {shell}")).await;
        assert!(script.good().contains("degradation"), "{shell}");
    }
    fusebox.run("completions csh").await.failed(2, "possible values");
}

#[tokio::test]
async fn wrong_usage_is_told_before_anybody_is_called() {
    let fusebox = Fusebox::new();
    for (line, said) in [
        ("provider disable", "<NAME>"),
        ("provider disable vllm --for soon", "write it as 30s"),
        ("stats", "similar subcommand"),
        ("degradation half", "possible values"),
    ] {
        fusebox.run(line).await.failed(2, said);
    }
    let help = fusebox.run("--help").await;
    assert!(help.good().contains("Exit status:") && help.out.contains("Off a terminal nothing asks"), "{help:?}");
}
