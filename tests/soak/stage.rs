//! The providers of a soak, and the sidecar's configuration over them.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use fusebox_tests::{
    provider::{
        Provider, Script,
        act::{Act, json as answer, text},
        faults,
    },
    sidecar::Config,
};
use serde_json::{Value, json};

use super::{
    judge::Verdict,
    load::{INVALID, JSON_ANSWER, WORDS},
};

/// Three providers that fail at random, and one that is switched off.
pub(crate) struct Stage {
    on: Vec<Provider>,
    off: Provider,
    asked: AtomicUsize,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Every way to fail and, three times as often, to do well. A refused key ends a provider for five minutes and has its own tests, as
/// have waits of a second and more.
fn acts() -> Vec<Act> {
    let lasting = |fault: &faults::Fault| ["rate_limited", "authentication"].contains(&fault.kinds[0]);
    let told: Vec<faults::Fault> = [faults::statuses(), faults::silences()].concat();
    let mut acts: Vec<Act> = told.into_iter().filter(|fault| !lasting(fault)).map(|fault| fault.act).collect();
    for after in 0..4 {
        let words = || text(WORDS);
        acts.extend([
            words().stops_after(after).cut(),
            words().stops_after(after).reset(),
            words().stops_after(after).hang(),
            words().stops_after(after).malformed(),
            words().stops_after(after).error_event("overloaded_error", "Overloaded"),
            words().stops_after(after).end(),
        ]);
    }
    acts.push(answer(429, &json!({})).header("retry-after-ms", "30"));
    let good = [
        text(WORDS).continues(),
        text(WORDS).continues().every(ms(2)),
        text(WORDS).crlf().split_at(333),
        text(JSON_ANSWER),
        text(WORDS).first_token_after(ms(30)).without_done(),
        text(WORDS).tool("look_up", &["{\"place\":", "\"here\"}"]),
    ];
    let count = acts.len() * 3;
    acts.extend(good.into_iter().cycle().take(count));
    acts
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let mut on = Vec::new();
        for seed in 1..=3 {
            on.push(Provider::start(Script::at_random(seed, acts())).await);
        }
        Self { on, off: Provider::start(text(WORDS)).await, asked: AtomicUsize::new(0) }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        for (name, provider) in ["a", "b", "c"].into_iter().zip(&self.on) {
            config = config.provider(name, provider);
        }
        config = config.provider_with("off", &self.off.base_url(), json!({"enabled": false}));
        let quick = json!({
            "timeouts": {"connect": "100ms", "first_token": "150ms", "idle": "150ms", "total": "200ms", "stream_total": "2s"},
            "retry": {"max_retries": 1, "base_delay": "2ms", "max_delay": "20ms", "jitter": true},
            "breaker": {"failure_threshold": 12, "failure_rate": 0.9, "open_for": "50ms", "max_open_for": "200ms",
                        "success_threshold": 1, "ramp": "20ms", "probe": "passive"},
            "max_batch": 8,
        });
        config.each(&quick).with(extra())
    }

    /// What the providers were asked since the last time.
    pub(crate) fn inspect(&self, verdict: &Verdict) {
        for provider in &self.on {
            for seen in provider.take_seen() {
                self.asked.fetch_add(1, Relaxed);
                verdict.saw_invalid(holds(&seen.raw, INVALID.as_bytes()));
            }
        }
        verdict.saw_switched_off(self.off.calls());
    }

    /// Requests that reached a provider.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Every feature on that a mixed load can meet.
fn extra() -> Value {
    json!({
        "telemetry": {"log": "off"},
        "cache": {"mode": "fallback", "capacity": "8MiB", "ttl": "2s"},
        "idempotency": {"ttl": "5s", "capacity": "2MiB"},
        "hedging": {"enabled": true},
        "degradation": {"fallback_response": super::load::SORRY},
        "run_budgets": {"max_calls": 10},
        "overload": {"max_queue": 64, "max_queue_wait": "100ms"},
    })
}
