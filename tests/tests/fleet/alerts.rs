//! What goes wrong anywhere is counted for all, and told once.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    fleet::{AlertKind, Stamp},
    moment::Moment,
};
use fusebox_store::{Operation, Store, alerts::Firing, errors::Counts, presence::Live, redis::Address};
use fusebox_tests::{provider::Provider, redis::Server};
use futures_util::future::join_all;
use serde_json::json;

use super::{broken, config, fleet};
use crate::support::ms;

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
