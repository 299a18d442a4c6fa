//! What is followed where nobody sees a screen.

use fusebox_proto::v1::Alert;
use fusebox_tests::operator::{ControlPlane, Fusebox};
use tonic::Status;

use super::{alert, at, fleet};

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
