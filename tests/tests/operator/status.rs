//! What the fleet looks like: pages, documents, and the exit status.

use fusebox_proto::v1::{Fleet, HealthStatus};
use fusebox_tests::operator::{ControlPlane, Fusebox};

use super::fleet;

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
async fn sidecars_are_listed_and_shown_in_full() {
    let control = ControlPlane::start(fleet()).await;
    let fusebox = Fusebox::at(control.address());
    assert!(fusebox.run("sidecars").await.good().contains("\npod-2    ✓ healthy"));
    assert_eq!(fusebox.run("sidecars --json").await.json()[1]["id"], "pod-2");
    assert!(fusebox.run("sidecar pod-1").await.good().starts_with("pod-1: ✓ healthy; level ✓ full\n"));
    assert_eq!(fusebox.run("sidecar pod-1 --json").await.json()["id"], "pod-1");
    fusebox.run("sidecar pod-9").await.failed(1, "there is no sidecar pod-9");
}
