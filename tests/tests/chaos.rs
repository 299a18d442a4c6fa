//! Ten thousand calls against providers that fail at random in every way: each ends once, in time and honestly.

use std::time::Duration;

use fusebox_tests::{
    provider::{
        Provider, Script,
        act::{Act, json as answer, tokens},
        faults,
    },
    sidecar::{Config, Sidecar},
};
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::support::{Doors, Ended, Way, ms};

const CALLS: usize = 10_000;
const AT_ONCE: usize = 64;
const TOKENS: u32 = 6;
/// What callers allow; far more than any wait configured below, less than all of them together.
const DEADLINE: Duration = ms(1500);
/// What this machine, with both ends on it, may add.
const MARGIN: Duration = ms(500);

/// Every way to fail, and as many good answers. Left out: a refused key, which ends a provider for good,
/// and cool-downs of a second and more.
fn acts() -> Vec<Act> {
    let all = [faults::statuses(), faults::silences(), faults::breaks(0), faults::breaks(1), faults::breaks(TOKENS)];
    let lasting = |fault: &faults::Fault| ["rate_limited", "authentication"].contains(&fault.kinds[0]);
    let mut acts: Vec<Act> = all.concat().into_iter().filter(|fault| !lasting(fault)).map(|fault| fault.act).collect();
    acts.push(answer(429, &json!({})).header("retry-after-ms", "30"));
    let good = [
        tokens(TOKENS),
        tokens(TOKENS).every(ms(1)),
        tokens(TOKENS).crlf().split_at(333),
        tokens(TOKENS).without_done(),
    ];
    let count = acts.len();
    acts.extend(good.into_iter().cycle().take(count));
    acts
}

fn check(way: Way, ended: &Ended) {
    assert!(ended.took < DEADLINE + MARGIN, "late by {way:?}: {ended:#?}");
    let tokens: Vec<&str> = ended.text.split_whitespace().collect();
    let whole = usize::try_from(TOKENS).unwrap();
    match &ended.problem {
        // A document that came whole and says nothing of why it stopped is passed on as it is, finish reason and all.
        None if !way.streams() && ended.finish.is_empty() => {}
        None => {
            assert_eq!(tokens.len(), whole, "a truncated answer is called good, by {way:?}: {ended:#?}");
            assert!(!ended.finish.is_empty(), "{way:?}: {ended:#?}");
        }
        Some(problem) => {
            assert!(tokens.len() <= whole, "{way:?}: {ended:#?}");
            assert!(!problem.kind.is_empty() && problem.kind != "internal_error", "{way:?}: {ended:#?}");
        }
    }
    let from = tokens.first().map(|token| token.split(':').next().unwrap());
    for (place, token) in tokens.iter().enumerate() {
        assert_eq!(*token, format!("{}:{place}", from.unwrap()), "a token out of its place, by {way:?}: {ended:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_calls_end_once_each_in_time_and_honestly() {
    let mut providers = Vec::new();
    let mut config = Config::new();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        let provider = Provider::start(Script::at_random(seed, acts())).await;
        config = config.provider(name, &provider);
        providers.push(provider);
    }
    let quick = json!({
        "timeouts": {"connect": "100ms", "first_token": "120ms", "idle": "120ms", "total": "150ms", "stream_total": "1s"},
        "retry": {"max_retries": 1, "base_delay": "2ms", "max_delay": "20ms", "jitter": true},
        "breaker": {"failure_threshold": 20, "failure_rate": 1.0, "open_for": "20ms", "max_open_for": "40ms",
                    "success_threshold": 1, "ramp": "20ms", "probe": "passive"},
    });
    let sidecar = Sidecar::start(config.each(&quick)).await;
    let doors = Doors::of(&sidecar).await;
    let (mut good, mut ended_so_far, mut resident) = (0, 0, Vec::new());
    let calls = stream::iter(0..CALLS).map(|call| {
        let doors = doors.clone();
        let way = Way::ALL[call % 4];
        async move { (way, doors.call_within(way, "chat", Some(DEADLINE)).await) }
    });
    let mut calls = calls.buffer_unordered(AT_ONCE);
    while let Some((way, ended)) = calls.next().await {
        check(way, &ended);
        good += usize::from(ended.problem.is_none());
        ended_so_far += 1;
        if ended_so_far % 1000 == 0 {
            resident.push(sidecar.resident() >> 20);
        }
    }
    assert_eq!(ended_so_far, CALLS);
    assert!(good > CALLS * 6 / 10, "three providers, each good half of the time, answered only {good}");
    let grown = resident[resident.len() - 1].saturating_sub(resident[2]);
    assert!(grown < 24, "memory grows, in MiB: {resident:?}");
    let idle = |metrics: &fusebox_tests::client::Metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0;
    let metrics = sidecar.metrics_until("no call in flight", idle).await;
    assert_eq!(metrics.sum("fusebox_calls_total", &[]), CALLS as f64, "each is counted once");
}
