//! What becomes of calls, and of spans, where their collector is absent, refuses, is slow or hangs. One that dies and comes
//! back is among the tests with a collector that is not ours.

use std::time::{Duration, Instant};

use fusebox_tests::{
    client::Metrics,
    collector::{Collector, Manner},
    provider::{Provider, Refusing, act::tokens},
    sidecar::{Config, Sidecar},
};

use super::traced;
use crate::support::{hello, ms};

/// A queue that is full at once, and an exporter that soon loses its patience.
fn impatient(config: Config) -> Config {
    config
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "500")
}

fn spans(metrics: &Metrics, result: &str) -> f64 {
    metrics.sum("fusebox_spans_total", &[("result", result)])
}

async fn call(sidecar: &Sidecar, times: usize) {
    for _ in 0..times {
        let answer = sidecar.http().chat(&hello("chat", false)).send().await;
        assert_eq!(answer.status, 200);
        assert!(answer.took < ms(400), "{:?}", answer.took);
    }
}

#[tokio::test]
async fn a_collector_in_trouble_delays_no_call_and_no_end_and_every_span_is_accounted_for() {
    let (nobody, hanging) = (Refusing::new(), Collector::hanging().await);
    let refusing = Collector::with(Manner::Refuses).await;
    let slow = Collector::with(Manner::Slow(Duration::from_millis(200))).await;
    let absent = nobody.base_url().replace("/v1", "");
    for endpoint in [absent, hanging.endpoint(), refusing.endpoint(), slow.endpoint()] {
        let provider = Provider::start(tokens(1)).await;
        let mut sidecar = Sidecar::start(impatient(traced(Config::one(&provider), &endpoint))).await;
        let began = Instant::now();
        call(&sidecar, 50).await;
        assert!(began.elapsed() < ms(3000), "{:?} with {endpoint}", began.elapsed());
        let became = |metrics: &Metrics| ["exported", "failed", "dropped"].map(|result| spans(metrics, result));
        let waiting = |metrics: &Metrics| metrics.sum("fusebox_spans_waiting", &[]);
        let accounted = |metrics: &Metrics| {
            let all = became(metrics).iter().sum::<f64>() + waiting(metrics);
            spans(metrics, "ended") == 100.0 && all == 100.0 && waiting(metrics) <= 8.0
        };
        let became = became(&sidecar.metrics_until("every span to be accounted for", accounted).await);
        if [&hanging, &slow].iter().any(|one| one.endpoint() == endpoint) {
            assert!(became[2] > 0.0, "what has no room is dropped: {became:?} with {endpoint}");
        }
        sidecar.signal("TERM").await;
        let began = Instant::now();
        assert!(sidecar.ended().await.success());
        assert!(began.elapsed() < ms(3500), "{:?} with {endpoint}", began.elapsed());
    }
    assert!(hanging.exports() > 0, "it was sent spans and kept them waiting");
    assert!(refusing.exports() > 0 && refusing.spans().is_empty());
}

#[tokio::test]
async fn what_cannot_be_spoken_is_refused_at_the_start_with_what_can() {
    let provider = Provider::start(tokens(1)).await;
    let config = traced(Config::one(&provider), "http://127.0.0.1:1").env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let ended = Sidecar::run(&["run"], &config).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("use grpc or http/protobuf"), "{said}");
}
