//! Buckets from which sidecars draw, in memory and in Redis alike; and many that draw from one at once.

use std::time::Duration;

use fusebox_rules::fleet::bucket::{Ask, Drawn, Terms};
use fusebox_store::{
    Store,
    share::{Draw, Unit},
};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    alike::Alike,
    server::{LIMIT, LONG, Server, clock},
};

const PROVIDER: &str = "a";

async fn draw(both: &Alike, terms: Terms, ask: Ask) -> Drawn {
    both.ask(&Draw { provider: PROVIDER, unit: Unit::Tokens, terms, ask }).await
}

#[tokio::test]
async fn a_bucket_gives_what_it_has_takes_back_and_flows_in() {
    let both = Alike::start().await;
    let terms = Terms::of_limit(600);
    let want = |want| Ask { want, least: 1, ..Ask::default() };
    assert_eq!(draw(&both, terms, want(55)).await, Drawn { granted: 55, left: 5, ..Drawn::default() });
    assert_eq!(draw(&both, terms, want(55)).await.granted, 5);
    assert_eq!(draw(&both, terms, want(55)).await.ready_in, Duration::from_millis(100));
    both.later(250);
    assert_eq!(draw(&both, terms, Ask { put: 7, ..want(20) }).await.granted, 9);
    both.later(50);
    assert_eq!(draw(&both, terms, want(20)).await.granted, 1, "a half and a half are one");
    let others = [(PROVIDER, Unit::Requests), ("b", Unit::Tokens)];
    for (provider, unit) in others {
        assert_eq!(both.ask(&Draw { provider, unit, terms, ask: want(60) }).await.granted, 60, "{provider} {unit:?}");
    }
}

#[tokio::test]
async fn a_bucket_of_which_nothing_was_heard_for_an_hour_is_new() {
    let both = Alike::start().await;
    let terms = Terms { per_minute: 0, burst: 20_000, initial: 3_000 };
    let all = Ask { want: 50_000, ..Ask::default() };
    assert_eq!(draw(&both, terms, all).await.granted, 3_000);
    draw(&both, terms, Ask { put: 9_000, ..Ask::default() }).await;
    both.later(3_599_999);
    let none = Ask { want: 10_000, least: 10_000, ..Ask::default() };
    assert_eq!(draw(&both, terms, none).await, Drawn { granted: 0, left: 9_000, ready_in: Duration::from_secs(3_600) });
    both.later(3_600_000);
    assert_eq!(draw(&both, terms, all).await.granted, 3_000);
}

#[tokio::test]
async fn whatever_is_drawn_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(3);
    for round in 0..1_200 {
        let size = [1, 7, 600, 90_000, 10_000_000_000, u64::MAX][dice.usize(0..if round % 3 == 0 { 6 } else { 4 })];
        let mut some = |most: u64| if dice.bool() { dice.u64(0..=most) } else { 0 };
        let terms = Terms { per_minute: some(size), burst: some(size), initial: some(size) };
        let ask = Ask { put: some(size), charge: some(size), remaining: None, want: some(size), least: some(size) };
        let ask = Ask { remaining: (some(9) == 1).then(|| some(size)), ..ask };
        draw(&both, if round % 4 == 0 { terms } else { Terms::of_limit(6_000) }, ask).await;
        both.later(some(if round % 50 == 0 { 4_000_000 } else { 900 }));
    }
}

#[tokio::test]
async fn many_that_draw_at_once_get_no_more_than_there_is() {
    let server = Server::start(&[]).await;
    let store = Store::redis(server.address(), "fleet", clock()).unwrap();
    let mut changes = store.link_changes().unwrap();
    timeout(LONG, changes.wait_for(|state| state.connected)).await.unwrap().unwrap();
    let (terms, ask) = (Terms { per_minute: 1, burst: 1_000, initial: 1_000 }, Ask { want: 30, ..Ask::default() });
    let all = (0..100).map(async |_| {
        let drawn = store.ask(&Draw { provider: PROVIDER, unit: Unit::Requests, terms, ask }, LIMIT).await;
        drawn.unwrap().1.granted
    });
    let granted: u64 = join_all(all).await.into_iter().sum();
    assert!((1_000..1_010).contains(&granted), "{granted}");
}
