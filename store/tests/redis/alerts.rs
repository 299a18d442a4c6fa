//! Alerts, in memory and in Redis alike.

use fusebox_proto::store::Silence;
use fusebox_rules::fleet::{Alert, AlertKey, Condition, Figures, Stamp};
use fusebox_store::{
    Store, Told,
    alerts::{Acknowledge, Events, Firing, Limits, Raise, Raised, Recent, Resolve},
    silences::{End, Set},
};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    alike::Alike,
    server::{LIMIT, LONG, Server, clock},
};

fn spike(provider: &str) -> Condition {
    Condition::spike(provider, "timeout", Figures { recent: 120.0, historical: 11.5, multiplier: 10.4 })
}

async fn raise_within(both: &Alike, condition: &Condition, limits: Limits) -> Raised {
    both.ask(&Raise { condition, at: both.now(), limits }).await
}

async fn raise(both: &Alike, provider: &str) -> Alert {
    match raise_within(both, &spike(provider), Limits::default()).await {
        Raised::New(alert) => alert,
        other => panic!("{other:?}"),
    }
}

async fn resolve(both: &Alike, key: &AlertKey) -> Option<Alert> {
    both.ask(&Resolve { key, at: both.now() }).await
}

fn ids(alerts: &[Alert]) -> Vec<u64> {
    alerts.iter().map(|alert| alert.id).collect()
}

#[tokio::test]
async fn an_alert_fires_once_until_it_is_over_and_then_again() {
    let both = Alike::start().await;
    let first = raise(&both, "a").await;
    assert_eq!(raise_within(&both, &spike("a"), Limits::default()).await, Raised::Known(first.clone()));
    let second = raise(&both, "b").await;
    assert!(second.id > first.id, "in the same millisecond");
    assert_eq!(both.ask(&Firing).await, [first.clone(), second.clone()]);
    both.later(10);
    let over = resolve(&both, &first.condition.key).await.unwrap();
    assert_eq!(over, Alert { resolved: Some(both.now()), ..first.clone() });
    assert_eq!(resolve(&both, &first.condition.key).await, None);
    assert_eq!(both.ask(&Firing).await, [second]);
    let again = raise(&both, "a").await;
    assert!(again.id > first.id && again.raised == both.now());
}

#[tokio::test]
async fn who_acknowledges_first_is_kept_with_the_alert_whatever_becomes_of_it() {
    let both = Alike::start().await;
    let alert = raise(&both, "a").await;
    let acknowledge = async |by| both.ask(&Acknowledge { id: alert.id, by, at: both.now() }).await;
    both.later(5);
    let by_ada = acknowledge("ada").await.unwrap();
    assert_eq!(by_ada.acknowledged, Some((both.now(), "ada".to_owned())));
    both.later(5);
    assert_eq!(acknowledge("bob").await, Some(by_ada.clone()));
    assert_eq!(both.ask(&Firing).await, std::slice::from_ref(&by_ada));
    let over = resolve(&both, &alert.condition.key).await.unwrap();
    assert_eq!(over.acknowledged, by_ada.acknowledged);
    assert_eq!(both.ask(&Recent { before: None, most: 9 }).await, [over]);
    assert_eq!(both.ask(&Acknowledge { id: 4, by: "ada", at: both.now() }).await, None);
}

#[tokio::test]
async fn pages_and_events_show_each_in_its_order() {
    let both = Alike::start().await;
    let mut raised = Vec::new();
    for provider in ["a", "b", "c", "d", "e"] {
        raised.push(raise(&both, provider).await.id);
        both.later(1);
    }
    let newest = both.ask(&Recent { before: None, most: 2 }).await;
    assert_eq!(ids(&newest), [raised[4], raised[3]]);
    assert_eq!(ids(&both.ask(&Recent { before: Some(raised[3]), most: 9 }).await), [raised[2], raised[1], raised[0]]);
    assert_eq!(both.ask(&Recent { before: Some(raised[0]), most: 9 }).await, []);
    assert_eq!(both.ask(&Recent { before: Some(0), most: 9 }).await, []);

    let since = both.now().as_millis();
    resolve(&both, &newest[0].condition.key).await;
    both.ask(&Acknowledge { id: newest[1].id, by: "ada", at: both.now() }).await;
    let events = both.ask(&Events { after: since - 1, most: 9 }).await;
    assert_eq!(events.iter().map(|event| event.alert.id).collect::<Vec<_>>(), [raised[4], raised[3]]);
    assert!(events[0].alert.resolved.is_some() && events[1].alert.acknowledged.is_some());
    let all = both.ask(&Events { after: 0, most: 500 }).await;
    assert_eq!(all.iter().map(|event| event.number).collect::<Vec<_>>()[..5], raised);
    assert_eq!(all.len(), 7);
    assert_eq!(both.ask(&Events { after: all[2].number, most: 2 }).await, all[3..5]);
    assert_eq!(both.ask(&Events { after: all[6].number, most: 2 }).await, []);
}

#[tokio::test]
async fn too_many_that_fire_are_refused_and_the_oldest_of_too_many_is_forgotten() {
    let both = Alike::start().await;
    let limits = Limits { firing: 3, kept: 4 };
    for provider in ["a", "b", "c"] {
        raise_within(&both, &spike(provider), limits).await;
    }
    assert_eq!(raise_within(&both, &spike("d"), limits).await, Raised::Full);
    for _ in 0..2 {
        resolve(&both, &spike("b").key).await;
        assert!(matches!(raise_within(&both, &spike("b"), limits).await, Raised::New(_)));
    }
    // The alert of `a` was the oldest of five: it fires no more, and may be raised anew.
    let firing = both.ask(&Firing).await;
    assert_eq!(firing.iter().map(|alert| &*alert.condition.key.provider).collect::<Vec<_>>(), ["c", "b"]);
    assert_eq!(both.ask(&Recent { before: None, most: 9 }).await.len(), 4);
    assert!(matches!(raise_within(&both, &spike("a"), limits).await, Raised::New(_)));
}

#[tokio::test]
async fn whatever_is_done_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(3);
    let limits = Limits { firing: 5, kept: 12 };
    let mut last = 0;
    for _ in 0..600 {
        let name = dice.u8(0..8).to_string();
        let condition = if dice.bool() { spike(&name) } else { Condition::critical(&name, "why") };
        match dice.u8(0..8) {
            0..3 => match raise_within(&both, &condition, limits).await {
                Raised::New(alert) | Raised::Known(alert) => last = alert.id,
                Raised::Full => {}
            },
            3 | 4 => drop(resolve(&both, &condition.key).await),
            5 => drop(both.ask(&Acknowledge { id: last, by: &name, at: both.now() }).await),
            6 => drop(both.ask(&Recent { before: Some(last).filter(|_| dice.bool()), most: dice.u32(0..9) }).await),
            _ => both.later(dice.u64(0..9)),
        }
        both.ask(&Firing).await;
    }
    both.ask(&Events { after: 0, most: 500 }).await;
}

#[tokio::test]
async fn what_a_hundred_see_at_once_is_one_alert() {
    let server = Server::start(&[]).await;
    let stores: Vec<_> = (0..10).map(|_| Store::redis(server.address(), "fleet", clock()).unwrap()).collect();
    for store in &stores {
        let mut changes = store.link_changes().unwrap();
        timeout(LONG, changes.wait_for(|state| state.connected)).await.expect("a connection").unwrap();
    }
    let condition = spike("a");
    let raises = (0..100).map(|index| {
        let (store, condition) = (&stores[index % 10], &condition);
        async move {
            let at = Stamp::from_millis(1_700_000_000_000);
            store.ask(&Raise { condition, at, limits: Limits::default() }, LIMIT).await.unwrap().1
        }
    });
    let raised = join_all(raises).await;
    assert_eq!(raised.iter().filter(|raised| matches!(raised, Raised::New(_))).count(), 1);
    assert_eq!(raised.iter().filter(|raised| matches!(raised, Raised::Known(_))).count(), 99);
    let (_, events) = stores[0].ask(&Events { after: 0, most: 9 }, LIMIT).await.unwrap();
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn whoever_listens_hears_at_once_what_becomes_of_alerts_and_those_who_want_settings_hear_nothing() {
    let server = Server::start(&[]).await;
    let here = Store::here("fleet", Box::new(|| Stamp::from_millis(1_700_000_000_000)));
    let there = Store::redis(server.address(), "fleet", clock()).unwrap();
    let mut changes = there.link_changes().unwrap();
    timeout(LONG, changes.wait_for(|state| state.connected)).await.expect("a connection").unwrap();
    for store in [here, there] {
        let (mut news, mut settings) = (store.news_of_alerts().unwrap(), store.news(std::iter::empty()).unwrap());
        if store.link().is_some() {
            timeout(LONG, news.next()).await.expect("the subscription itself");
            assert_eq!(timeout(LONG, settings.next()).await.expect("the subscription itself"), Told::Look);
        }
        let (condition, at) = (spike("a"), Stamp::from_millis(5));
        let raise = Raise { condition: &condition, at, limits: Limits::default() };
        let (_, raised) = store.ask(&raise, LIMIT).await.unwrap();
        let Raised::New(alert) = raised else { panic!("{raised:?}") };
        timeout(LONG, news.next()).await.expect("it was raised");
        // What changes nothing is not told, and what is told last is all that is heard.
        store.ask(&raise, LIMIT).await.unwrap();
        store.ask(&Acknowledge { id: alert.id, by: "ada", at }, LIMIT).await.unwrap();
        timeout(LONG, news.next()).await.expect("it was acknowledged");
        store.ask(&Acknowledge { id: alert.id, by: "bob", at }, LIMIT).await.unwrap();
        store.ask(&Resolve { key: &condition.key, at }, LIMIT).await.unwrap();
        timeout(LONG, news.next()).await.expect("it was resolved");
        store.ask(&Resolve { key: &condition.key, at }, LIMIT).await.unwrap();
        let (_, set) = store.ask(&Set { silence: &Silence::default() }, LIMIT).await.unwrap();
        timeout(LONG, news.next()).await.expect("a silence was set");
        store.ask(&End { id: set.unwrap() }, LIMIT).await.unwrap();
        timeout(LONG, news.next()).await.expect("it was ended");
        store.ask(&End { id: set.unwrap() }, LIMIT).await.unwrap();
        let told = tokio::select! {
            biased;
            () = news.next() => "alerts",
            _ = settings.next() => "settings",
            // Both would have been published before this was answered.
            _ = store.ask(&Firing, LIMIT) => "nothing",
        };
        assert_eq!(told, "nothing");
    }
}
