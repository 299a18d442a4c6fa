//! What operators set for the fleet, done by every sidecar.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_rules::{
    breaker::Mode,
    degradation::Level,
    fleet::{
        Stamp,
        settings::{Change, Settings, Word},
    },
    moment::Moment,
};
use fusebox_store::{
    Store,
    presence::Live,
    redis::Address,
    settings::{Condition, GetSettings, PutSettings},
};
use fusebox_tests::{
    provider::{Provider, act::tokens},
    redis::Server,
};
use futures_util::future::join_all;
use serde_json::json;

use super::{One, config, fleet};
use crate::support::ms;

/// An operator at the store, as the control plane will be.
pub(super) struct Operator(Store);

impl Operator {
    pub(super) async fn at(redis: &Server) -> Self {
        let began = std::time::Instant::now();
        let clock = move || Moment::ZERO + began.elapsed();
        let store = Store::redis(Address::parse(&redis.url()).unwrap(), "default", Arc::new(clock)).unwrap();
        let operator = Self(store);
        while operator.get().await.is_none() {
            assert!(began.elapsed() < Duration::from_secs(10), "the store cannot be reached");
            tokio::time::sleep(ms(5)).await;
        }
        operator
    }

    async fn get(&self) -> Option<(Stamp, Settings)> {
        self.0.ask(&GetSettings, Duration::from_secs(2)).await.ok()
    }

    pub(super) async fn set(&self, change: Change, expires_after: Option<Duration>) -> u64 {
        let (now, settings) = self.get().await.unwrap();
        let expires = expires_after.map(|after| now + after);
        let word = Word { by: "ann".into(), reason: "a test".into(), at: now, expires };
        let next = settings.changed(change, word, now).unwrap();
        let put = PutSettings { settings: &next, condition: Condition::Replaces(settings.version) };
        let (_, placed) = self.0.ask(&put, Duration::from_secs(2)).await.unwrap();
        assert!(placed.won);
        next.version
    }

    /// Waits until so many sidecars have said to the store that they hold to settings of `version`.
    async fn until_acknowledged(&self, count: usize, version: u64) {
        let began = std::time::Instant::now();
        let live = Live { after: "", most: 500, lately: Duration::ZERO };
        loop {
            let (_, page) = self.0.ask(&live, Duration::from_secs(2)).await.unwrap();
            if page.sidecars.iter().filter(|one| one.heartbeat.settings_version == version).count() == count {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{version} is not acknowledged: {page:#?}");
            tokio::time::sleep(ms(5)).await;
        }
    }
}

pub(super) async fn applied(one: &One, version: u64) {
    one.status_until("applied", |status| status["fleet"]["settings_version"] == version).await;
}

#[tokio::test]
async fn a_provider_is_switched_off_and_on_again_everywhere() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let all = fleet(2, |_| config(&redis.url(), &provider, &json!({}))).await;
    let operator = Operator::at(&redis).await;
    for one in &all {
        one.call().await.good();
    }
    let version = operator.set(Change::Enabled("a".into(), Some(false)), None).await;
    for one in &all {
        applied(one, version).await;
        assert_eq!(one.call().await.failed().kind, "circuit_open");
    }
    assert_eq!(provider.seen().len(), 2, "a call reached a provider that is switched off");
    // The operator's word outlives the store's memory.
    redis.flush().await;
    let late = One::start(config(&redis.url(), &provider, &json!({}))).await;
    applied(&late, version).await;
    late.call().await.failed();
    let version = operator.set(Change::Enabled("a".into(), None), None).await;
    for one in all.iter().chain([&late]) {
        applied(one, version).await;
        one.call().await.good();
    }
}

#[tokio::test]
async fn ranks_breakers_and_levels_follow_until_they_expire() {
    let (redis, first, second) =
        (Server::start().await, Provider::start(tokens(1)).await, Provider::start(tokens(1)).await);
    let two = |_| config(&redis.url(), &first, &json!({})).provider("b", &second);
    let all = fleet(2, two).await;
    let operator = Operator::at(&redis).await;
    let version = operator.set(Change::Priority("b".into(), Some(0)), None).await;
    let version = version.max(operator.set(Change::Priority("a".into(), Some(5)), None).await);
    for one in &all {
        applied(one, version).await;
        assert_eq!(one.call().await.provider, "b");
    }
    let version = operator.set(Change::Breaker("b".into(), Some(Mode::ForcedOpen)), None).await;
    let version = version.max(operator.set(Change::Level(Some(Level::Minimal)), Some(ms(1_500))).await);
    for one in &all {
        applied(one, version).await;
        one.status_until("forced", |status| status["providers"][1]["breaker"] == "open").await;
        assert_eq!(one.call().await.provider, "a");
        one.status_until("full again", |status| status["degradation_level"] == "full").await;
    }
    let version = operator.set(Change::Breaker("b".into(), None), None).await;
    for one in &all {
        applied(one, version).await;
        one.status_until("let go", |status| status["providers"][1]["breaker"] != "open").await;
    }
}

#[tokio::test]
async fn what_is_set_is_acknowledged_as_it_is_done_and_not_with_the_next_heartbeat() {
    const ROUNDS: u32 = 8;
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let all = fleet(3, |_| config(&redis.url(), &provider, &json!({}))).await;
    let operator = Operator::at(&redis).await;
    let began = std::time::Instant::now();
    for round in 0..ROUNDS {
        let on = Some(round % 2 == 1);
        let version = operator.set(Change::Enabled("a".into(), on), None).await;
        operator.until_acknowledged(all.len(), version).await;
    }
    // The last to acknowledge has just beaten, and by itself beats again after 0.8 s at the soonest.
    assert!(began.elapsed() < ms(800) * (ROUNDS - 1), "{:?}", began.elapsed());
}

#[tokio::test]
async fn ten_sidecars_under_load_ask_a_provider_no_more_once_they_say_that_it_is_off() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let all = fleet(10, |_| config(&redis.url(), &provider, &json!({}))).await;
    let (operator, set) = (Operator::at(&redis).await, AtomicBool::new(false));
    let calling = async |one: &One| {
        one.call().await.good();
        while !set.load(Relaxed) {
            let ended = one.call().await;
            assert!(["ok", "circuit_open"].contains(&ended.kind()), "neither asked nor refused: {ended:#?}");
        }
    };
    let switching = async {
        provider.saw(100).await;
        let version = operator.set(Change::Enabled("a".into(), Some(false)), None).await;
        operator.until_acknowledged(all.len(), version).await;
        set.store(true, Relaxed);
    };
    tokio::join!(join_all(all.iter().map(calling)), switching);
    // What was under way when it was switched off has ended.
    let asked = provider.calls();
    for one in all.iter().chain(&all) {
        assert_eq!(one.call().await.failed().kind, "circuit_open");
    }
    assert_eq!(provider.calls(), asked, "a call reached a provider that all had said is off");
}
