//! Errors in sum: what `/status` and `/metrics` tell of what went wrong, whichever door it came through.

use fusebox_tests::{
    client::Metrics,
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Way, hello};

const MARK: &str = "inside-words";

async fn errors(sidecar: &Sidecar) -> Value {
    sidecar.admin().get("/status").send().await.json()["errors"].clone()
}

fn of<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[key] == value);
    found.unwrap_or_else(|| panic!("no {key} {value} in {list:#}"))
}

#[tokio::test]
async fn the_status_sums_up_what_went_wrong_and_gives_no_providers_words_away() {
    let provider = Provider::start(answer(500, &json!({"error": {"message": MARK}}))).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        assert_eq!(doors.call(way, "chat").await.kind(), "provider_error");
    }
    let bad = sidecar.http().chat(&json!({"messages": []})).header("x-correlation-id", "the-bad-one").send().await;
    assert_eq!(bad.status, 422);

    let errors = errors(&sidecar).await;
    let failed = of(&errors["calls"], "pattern", "provider_error:chat");
    assert_eq!((&failed["count"], &failed["last_minute"]), (&json!(4), &json!(4)));
    assert_eq!(errors["calls"][0], *failed, "the commonest comes first");
    assert_eq!(of(&errors["calls"], "pattern", "invalid_input:chat")["count"], 1);
    assert_eq!(of(&errors["attempts"], "pattern", "provider_error:chat")["count"], 4);
    let rate = of(&errors["rates"], "kind", "provider_error");
    assert!(rate["calls_last_minute"].as_f64().unwrap() >= 4.0, "{rate}");
    assert!(rate["attempts_last_hour"].as_f64().unwrap() > 0.0, "{rate}");
    let latest = &errors["recent"][0];
    assert_eq!((&latest["kind"], &latest["correlation_id"]), (&json!("invalid_input"), &json!("the-bad-one")));
    assert_eq!(latest["critical"], Value::Null);
    assert!(!errors.to_string().contains(MARK), "{errors:#}");
}

#[tokio::test]
async fn critical_errors_are_marked_counted_and_logged_through_both_doors() {
    for (status, attempt, reason) in
        [(401, "authentication", "key_refused"), (500, "provider_error", "every_provider_failed")]
    {
        for way in Way::ALL {
            let provider = Provider::start(answer(status, &json!({"error": {"message": MARK}}))).await;
            let sidecar = Sidecar::start(Config::one(&provider)).await;
            assert_eq!(Doors::of(&sidecar).await.call(way, "chat").await.kind(), attempt);
            let critical = errors(&sidecar).await["critical"].clone();
            assert_eq!(of(&critical["reasons"], "reason", reason)["total"], 1, "{way:?}");
            assert_eq!(of(&critical["recent"], "critical", reason)["provider"], "a", "{way:?}");
            let counted = sidecar.metrics().await.sum("fusebox_critical_errors_total", &[("reason", reason)]);
            assert_eq!(counted, 1.0, "{way:?}");
            let line = |line: &str| line.contains("ERROR") && line.contains("critical error") && line.contains(reason);
            sidecar.logged("a line at error", line).await;
            assert!(!sidecar.log().contains(MARK), "{}", sidecar.log());
        }
    }
}

#[tokio::test]
async fn what_another_provider_makes_good_is_not_critical() {
    let bad = Provider::start(answer(500, &json!({}))).await;
    let good = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&bad).provider("b", &good)).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        doors.call(way, "chat").await.good();
    }
    sidecar.http().chat(&hello("unheard-of", false)).send().await;
    let errors = errors(&sidecar).await;
    assert_eq!(of(&errors["attempts"], "pattern", "provider_error:chat")["count"], 4);
    assert_eq!(errors["critical"]["total"], 0, "{errors:#}");
}

#[tokio::test]
async fn a_check_without_which_the_sidecar_is_no_use_is_critical_as_it_fails() {
    let provider = Provider::start(tokens(1)).await;
    let folder = tempfile::tempdir().unwrap();
    // No disk in use is all free.
    let health = json!({"interval": "100ms", "disk_path": folder.path(), "min_disk_free": 1.0, "critical": ["disk"]});
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"health": health}))).await;
    let counted = |metrics: &Metrics| metrics.sum("fusebox_critical_errors_total", &[("reason", "unhealthy")]);
    sidecar.metrics_until("the failing check is counted", |metrics| counted(metrics) > 0.0).await;
    sidecar.logged("a line at error", |line| line.contains("critical error") && line.contains("disk")).await;
    assert_eq!(of(&errors(&sidecar).await["critical"]["reasons"], "reason", "unhealthy")["total"], 1);
}
