//! What goes wrong anywhere is counted for all, and told once.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    fleet::{Alert, AlertKind, Stamp, settings::Change},
    moment::Moment,
};
use fusebox_store::{
    Operation, Store,
    alerts::Firing,
    errors::Counts,
    presence::{Live, Page},
    redis::Address,
};
use fusebox_tests::{
    provider::{Provider, act::tokens},
    redis::Server,
};
use futures_util::future::join_all;
use serde_json::json;

use super::{broken, config, fleet, orders::Operator};
use crate::support::{Way, ms};

/// What the store says, once it is as wanted.
async fn until<O: Operation>(redis: &Server, operation: O, wanted: impl Fn(&O::Reply) -> bool) -> (Stamp, O::Reply) {
    let began = std::time::Instant::now();
    let clock = move || Moment::ZERO + began.elapsed();
    let store = Store::redis(Address::parse(&redis.url()).unwrap(), "default", Arc::new(clock)).unwrap();
    loop {
        let answer = store.ask(&operation, Duration::from_secs(2)).await;
        if let Ok(good) = answer
            && wanted(&good.1)
        {
            return good;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "the store never says so: {operation:?}");
        tokio::time::sleep(ms(10)).await;
    }
}

#[tokio::test]
async fn errors_are_counted_over_the_fleet_and_an_open_breaker_is_one_alert_until_it_closes() {
    let (redis, provider) = (Server::start().await, Provider::start(broken()).await);
    let all = fleet(3, |_| config(&redis.url(), &provider, &json!({}))).await;
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.call().await.kind(), "provider_error");
    }
    join_all(all.iter().map(|one| one.until_breaker("open"))).await;
    let (_, tally) = until(&redis, Counts { provider: "a" }, |tally| tally.minute.failed() == 4).await;
    assert_eq!(tally.minute.errors.get("provider_error"), Some(&4));
    assert_eq!(tally.patterns, [("provider_error:chat".to_owned(), 4)]);
    let (_, firing) =
        until(&redis, Firing, |firing| firing.iter().any(|alert| alert.condition.key.kind == AlertKind::BreakerOpened))
            .await;
    let opened = firing.iter().filter(|alert| alert.condition.key.kind == AlertKind::BreakerOpened).count();
    assert_eq!(opened, 1, "{firing:#?}");
    let lines: usize = all.iter().map(|one| one.sidecar.log().matches("the fleet's breaker has opened").count()).sum();
    assert_eq!(lines, 1, "told by more than one sidecar, or more than once");
}

#[tokio::test]
async fn a_provider_that_most_sidecars_leave_alone_by_themselves_is_one_alert_until_they_take_it_back() {
    let (redis, provider) = (Server::start().await, Provider::start(broken()).await);
    let alone = json!({"scope": "pod", "breaker": {"open_for": "1s", "max_open_for": "1s"}});
    let all = fleet(3, |_| config(&redis.url(), &provider, &json!({})).each(&alone)).await;
    for one in &all[..2] {
        for _ in 0..5 {
            one.call().await.failed();
        }
    }
    let is_told = |alert: &Alert| alert.condition.key.kind == AlertKind::BreakerOpened;
    let (_, firing) = until(&redis, Firing, |firing| firing.iter().any(is_told)).await;
    let told: Vec<_> = firing.iter().filter(|alert| is_told(alert)).map(|alert| &*alert.condition.message).collect();
    assert_eq!(told, ["a: 2 of 3 sidecars leave it alone, each by a breaker of its own"]);
    provider.play(tokens(3));
    until(&redis, Firing, Vec::is_empty).await;
}

#[tokio::test]
async fn heartbeats_say_what_is_served_by_rank_and_what_calls_came_to() {
    let (redis, good, bad) = (Server::start().await, Provider::start(tokens(3)).await, Provider::start(broken()).await);
    let config = config(&redis.url(), &bad, &json!({})).provider("b", &good).model("other", &["b"]);
    let all = fleet(1, |_| config.clone()).await;
    all[0].call().await.good();
    all[0].doors.call(Way::HttpWhole, "other").await.good();
    all[0].doors.call(Way::HttpWhole, "nobody").await.failed();
    let told = |page: &Page| page.sidecars.first().and_then(|one| one.heartbeat.totals.clone()).unwrap_or_default();
    let live = || Live { after: "", most: 10, lately: Duration::ZERO };
    let (_, page) = until(&redis, live(), |page| told(page).calls == 3).await;
    let served = |page: &Page| {
        let models = page.sidecars[0].heartbeat.models.clone().into_iter();
        models.map(|model| (model.name, model.providers.concat())).collect::<Vec<_>>()
    };
    assert_eq!(served(&page), [("chat".to_owned(), "ab".to_owned()), ("other".into(), "b".into())]);
    let told = told(&page);
    // Seven tokens of each prompt and three of each answer.
    assert_eq!((told.errors, told.input_tokens, told.output_tokens), (1, 14, 6));
    assert_eq!(told.answers, [("fallback".to_owned(), 1), ("primary".into(), 1)].into());

    let operator = Operator::at(&redis).await;
    operator.set(Change::Priority("b".into(), Some(0)), None).await;
    let version = operator.set(Change::Enabled("a".into(), Some(false)), None).await;
    operator.set(Change::Priority("a".into(), Some(5)), None).await;
    let (_, page) = until(&redis, live(), |page| page.sidecars[0].heartbeat.settings_version > version).await;
    assert_eq!(served(&page)[0].1, "ba", "also one that is switched off");
}

#[tokio::test]
async fn heartbeats_say_who_is_there_and_how_they_are() {
    let (redis, provider) = (Server::start().await, Provider::start(broken()).await);
    let named = |number| {
        let place = json!({"pod": format!("pod-{number}"), "node": "n1", "zone": "z1"});
        config(&redis.url(), &provider, &json!({})).with(json!({ "fleet": place }))
    };
    let all = fleet(2, named).await;
    let (_, page) =
        until(&redis, Live { after: "", most: 10, lately: Duration::ZERO }, |page| page.sidecars.len() == 2).await;
    for (number, alive) in page.sidecars.iter().enumerate() {
        let told = &alive.heartbeat;
        assert_eq!((&*told.pod, &*told.node, &*told.zone), (&*format!("pod-{number}"), "n1", "z1"));
        assert!(told.id.starts_with(&told.pod), "{}", told.id);
        assert_eq!(told.version, env!("CARGO_PKG_VERSION"));
        assert!(told.providers[0].name == "a" && told.providers[0].enabled && told.providers[0].shared);
    }
    drop(all);
}
