//! Several sidecars and one Redis: what one of them learns of a provider, all of them know.

mod alerts;
mod common;
mod faults;
mod nodes;
mod orders;
mod shares;
mod traffic;

use std::time::{Duration, Instant};

use fusebox_tests::{
    provider::{
        Provider,
        act::{Act, json as answer, tokens},
    },
    redis::Server,
    sidecar::{Config, Sidecar},
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Doors, Ended, Way, ms};

pub(super) fn broken() -> Act {
    answer(500, &json!({}))
}

/// A sidecar of the fleet, and its doors.
pub(super) struct One {
    pub(super) sidecar: Sidecar,
    pub(super) doors: Doors,
}

/// A shared breaker that opens after four failures in a row, for long.
pub(super) fn shared(changes: &Value) -> Value {
    let mut provider = json!({"scope": "fleet", "breaker": {
        "failure_threshold": 4, "open_for": "60s", "max_open_for": "60s", "success_threshold": 2,
        "half_open_max_calls": 1, "ramp": "0s", "probe": "active",
    }});
    for (name, value) in changes.as_object().unwrap() {
        provider["breaker"][name] = value.clone();
    }
    provider
}

pub(super) fn config(url: &str, provider: &Provider, changes: &Value) -> Config {
    Config::one(provider).each(&shared(changes)).with(json!({"fleet": {"redis": url}}))
}

impl One {
    pub(super) async fn start(config: Config) -> Self {
        let sidecar = Sidecar::start(config).await;
        let doors = Doors::of(&sidecar).await;
        Self { sidecar, doors }
    }

    pub(super) async fn call(&self) -> Ended {
        self.doors.call(Way::HttpWhole, "chat").await
    }

    /// What `/status` shows, once it is as wanted.
    pub(super) async fn status_until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let status = self.sidecar.admin().get("/status").send().await.json();
            if wanted(&status) {
                return status;
            }
            let log = self.sidecar.log();
            assert!(began.elapsed() < Duration::from_secs(20), "not {what}: {status:#}\n{log}");
            tokio::time::sleep(ms(5)).await;
        }
    }

    pub(super) async fn until_breaker(&self, state: &str) {
        self.status_until(state, |status| status["providers"][0]["breaker"] == state).await;
    }

    pub(super) async fn until_live(&self, count: u64) {
        self.status_until("so many live", |status| status["fleet"]["live"] == count).await;
    }
}

/// `count` sidecars that know of each other.
pub(super) async fn fleet(count: usize, config: impl Fn(usize) -> Config) -> Vec<One> {
    let all: Vec<One> = join_all((0..count).map(|number| One::start(config(number)))).await;
    join_all(all.iter().map(|one| one.until_live(count as u64))).await;
    all
}

#[tokio::test]
async fn what_two_sidecars_see_of_a_provider_keeps_a_third_from_it() {
    let (redis, provider) = (Server::start().await, Provider::start(broken()).await);
    let all = fleet(3, |_| config(&redis.url(), &provider, &json!({}))).await;
    // Neither of the two has seen enough to open a breaker of its own.
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.call().await.kind(), "provider_error");
    }
    join_all(all.iter().map(|one| one.until_breaker("open"))).await;
    for way in Way::ALL {
        let ended = all[2].doors.call(way, "chat").await;
        assert_eq!(ended.failed().kind, "circuit_open", "{way:?}");
        assert!(ended.failed().wait.is_some_and(|wait| wait > Duration::from_secs(50)), "{ended:#?}");
    }
    assert_eq!(provider.seen().len(), 4);
    let metrics = all[2].sidecar.metrics().await;
    assert_eq!(metrics.sum("fusebox_fleet_connected", &[]), 1.0);
    assert!(metrics.sum("fusebox_fleet_sync_seconds_count", &[]) > 0.0);
}

#[tokio::test]
async fn a_sick_pod_opens_its_own_breaker_and_nobody_elses() {
    let (redis, good, bad) = (Server::start().await, Provider::start(tokens(1)).await, Provider::start(broken()).await);
    let all = fleet(3, |number| config(&redis.url(), if number == 0 { &bad } else { &good }, &json!({}))).await;
    for _ in 0..4 {
        assert_eq!(all[0].call().await.kind(), "provider_error");
    }
    assert_eq!(all[0].call().await.kind(), "circuit_open");
    for _ in 0..20 {
        for one in &all[1..] {
            one.call().await.good();
        }
    }
    let record: Vec<String> = redis.query(&["KEYS", "*:breaker"]).await;
    assert_eq!(record, [""; 0], "the shared breaker has moved");
}

#[tokio::test]
async fn one_probe_at_a_time_in_the_whole_fleet_finds_out_and_all_come_back() {
    let (redis, provider) = (Server::start().await, Provider::start(broken().times(5, tokens(1))).await);
    let changes = json!({"open_for": "300ms", "success_threshold": 2});
    let all = fleet(4, |_| config(&redis.url(), &provider, &changes)).await;
    for one in &all {
        assert_eq!(one.call().await.kind(), "provider_error");
    }
    join_all(all.iter().map(|one| one.until_breaker("open"))).await;
    join_all(all.iter().map(|one| one.until_breaker("closed"))).await;
    for one in &all {
        one.call().await.good();
    }
    // Four calls, one probe that failed, two that succeeded, and four calls again; a probe more may have been under way.
    let seen = provider.seen().len();
    assert!((11..=14).contains(&seen), "{seen} requests");
}

#[tokio::test]
async fn a_cool_down_that_one_is_asked_for_is_kept_by_all() {
    let act = answer(429, &json!({})).header("retry-after", "30");
    let (redis, provider) = (Server::start().await, Provider::start(act).await);
    let all = fleet(2, |_| config(&redis.url(), &provider, &json!({}))).await;
    assert_eq!(all[0].call().await.kind(), "rate_limited");
    all[1].status_until("cooling", |status| status["providers"][0]["cool_down_seconds"].as_f64() > Some(20.0)).await;
    let ended = all[1].call().await;
    assert_eq!(ended.kind(), "rate_limited");
    assert!(ended.failed().wait.is_some_and(|wait| wait > Duration::from_secs(20)), "{ended:#?}");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn who_drains_is_counted_no_longer() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let mut all = fleet(2, |_| config(&redis.url(), &provider, &json!({}))).await;
    let mut gone = all.pop().unwrap();
    gone.sidecar.signal("TERM").await;
    assert!(gone.sidecar.ended().await.success());
    all[0].until_live(1).await;
}
