//! A second provider is asked beside one that is late, and the first to answer is heard.

use fusebox_tests::{
    client::Metrics,
    provider::{
        Provider,
        act::{hang, json as answer, text},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Way, ms};

const SAMPLES: usize = 5;

fn hedging(enabled: bool) -> Value {
    json!({"hedging": {"enabled": enabled, "quantile": 0.95, "minimum_samples": SAMPLES}})
}

/// Lets `a` show how fast it usually is.
async fn warm(doors: &Doors, way: Way) {
    for _ in 0..SAMPLES {
        assert_eq!(doors.call(way, "chat").await.good(), "usual");
    }
}

async fn start(a: &Provider, b: &Provider, changes: Value) -> (Sidecar, Doors) {
    let sidecar = Sidecar::start(Config::one(a).provider("b", b).with(changes)).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

#[tokio::test]
async fn the_second_is_heard_where_the_first_is_late_and_the_first_is_given_up() {
    for way in Way::ALL {
        let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(text(&["other"])).await);
        let (sidecar, doors) = start(&a, &b, hedging(true)).await;
        warm(&doors, way).await;
        assert_eq!(b.calls(), 0, "nobody was late");
        a.play(hang());
        let ended = doors.call(way, "chat").await;
        assert_eq!(
            (ended.good(), ended.provider.as_str(), ended.source.as_str()),
            ("other", "b", "fallback"),
            "{way:?}"
        );
        assert_eq!((ended.attempts, ended.finish.as_str()), (2, "stop"), "{way:?}: {ended:#?}");
        assert!(ended.took < ms(2000), "{way:?}: {ended:#?}");
        a.gone(SAMPLES).await;
        let metrics = sidecar.metrics().await;
        assert_eq!(metrics.sum("fusebox_attempts_total", &[("provider", "a"), ("kind", "cancelled")]), 1.0, "{way:?}");
        assert_eq!(metrics.sum("fusebox_breaker_state", &[]), 0.0);
        if way == Way::GrpcStream {
            // What it was asked has cost it the prompt, though it never said so.
            let spent = metrics.sum("fusebox_tokens_total", &[("provider", "a"), ("direction", "input")]);
            assert_eq!(spent, 7.0 * (SAMPLES + 1) as f64);
        }
    }
}

#[tokio::test]
async fn the_first_is_heard_where_it_answers_before_the_second() {
    for way in Way::ALL {
        let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(text(&["other"])).await);
        let (_sidecar, doors) = start(&a, &b, hedging(true)).await;
        warm(&doors, way).await;
        a.play(text(&["late"]).after(ms(1_000)));
        b.play(hang());
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.good(), ended.provider.as_str(), ended.source.as_str()), ("late", "a", "primary"), "{way:?}");
        assert_eq!(ended.attempts, 2, "{way:?}: {ended:#?}");
        b.gone(0).await;
    }
}

#[tokio::test]
async fn of_two_the_one_that_does_not_fail_is_heard() {
    for way in Way::ALL {
        let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(text(&["other"])).await);
        let (sidecar, doors) = start(&a, &b, hedging(true)).await;
        warm(&doors, way).await;
        a.play(text(&["late"]).after(ms(1_000)));
        b.play(answer(500, &json!({})));
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.good(), ended.provider.as_str()), ("late", "a"), "{way:?}: {ended:#?}");
        let failed: &[(&str, &str)] = &[("provider", "b"), ("kind", "provider_error")];
        assert_eq!(
            sidecar.metrics().await.sum("fusebox_attempts_total", failed),
            1.0,
            "{way:?}: it is judged all the same"
        );
    }
}

#[tokio::test]
async fn nobody_is_asked_twice_unless_it_is_on_known_to_be_late_and_paid_for() {
    for (what, changes, samples) in [
        ("off", hedging(false), SAMPLES),
        ("not known", hedging(true), SAMPLES - 1),
        (
            "not paid for",
            json!({"hedging": {"enabled": true, "minimum_samples": SAMPLES},
                   "retry_budget": {"ratio": 0.0, "minimum_per_second": 0.0}}),
            SAMPLES,
        ),
    ] {
        let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(text(&["other"])).await);
        let (_sidecar, doors) = start(&a, &b, changes).await;
        for _ in 0..samples {
            doors.call(Way::HttpStream, "chat").await;
        }
        a.play(text(&["late"]).after(ms(300)));
        let ended = doors.call(Way::HttpStream, "chat").await;
        assert_eq!((ended.good(), ended.attempts, b.calls()), ("late", 1, 0), "{what}: {ended:#?}");
    }
}

#[tokio::test]
async fn a_caller_that_hangs_up_stops_both() {
    let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(hang()).await);
    let (sidecar, doors) = start(&a, &b, hedging(true)).await;
    warm(&doors, Way::HttpStream).await;
    a.play(hang());
    let ended = doors.call_within(Way::HttpStream, "chat", Some(ms(500))).await;
    assert_eq!(ended.kind(), "inference_timeout", "{ended:#?}");
    a.gone(SAMPLES).await;
    b.gone(0).await;
    let idle = |metrics: &Metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0;
    sidecar.metrics_until("no call in flight", idle).await;
}
