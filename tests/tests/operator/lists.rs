//! What is long: alerts, silences and the audit log, page by page.

use fusebox_proto::v1::{
    AcknowledgeAlertRequest, Alert, AlertKind, AuditEvent, EndSilenceRequest, Fleet, SetSilenceRequest,
};
use fusebox_tests::operator::{Asked, ControlPlane, Fusebox};
use serde_json::Value;

use super::{alert, at, fleet, seconds};

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
