//! What is not to be told of, in memory and in Redis alike.

use std::time::Duration;

use fusebox_proto::store::{Silence as Body, Word, alert::Kind};
use fusebox_store::{
    redis::Value,
    silences::{End, List, Set, Silence},
};

use super::{
    alike::Alike,
    server::{LIMIT, Server, ask, clock, connected},
};

/// Of alerts about `provider`; `ends` is so many milliseconds from now, or never.
fn about(both: &Alike, provider: &str, ends: Option<u64>) -> Body {
    let word = Word {
        by: "ada".into(),
        reason: "a drill".into(),
        at_ms: both.now().as_millis(),
        expires_ms: ends.map_or(0, |ends| (both.now() + Duration::from_millis(ends)).as_millis()),
    };
    Body { kind: Kind::ErrorSpike.into(), provider: provider.into(), sidecar: String::new(), word: Some(word) }
}

async fn set(both: &Alike, silence: &Body) -> u64 {
    both.ask(&Set { silence }).await.expect("there is room")
}

async fn ids(both: &Alike) -> Vec<u64> {
    both.ask(&List).await.into_iter().map(|silence| silence.id).collect()
}

#[tokio::test]
async fn a_silence_holds_until_its_time_is_up_or_somebody_ends_it() {
    let both = Alike::start().await;
    assert_eq!(both.ask(&List).await, []);
    let (long, short, ever) = (about(&both, "a", Some(100)), about(&both, "b", Some(50)), about(&both, "c", None));
    let mut set_ids = Vec::new();
    for body in [&long, &short, &ever] {
        set_ids.push(set(&both, body).await);
    }
    assert!(set_ids.is_sorted_by(|one, next| one < next), "in the same millisecond: {set_ids:?}");
    let all = both.ask(&List).await;
    assert_eq!(all[0], Silence { id: set_ids[0], body: long });
    assert_eq!(all.len(), 3);
    both.later(49);
    assert_eq!(ids(&both).await, set_ids);
    both.later(1);
    assert_eq!(ids(&both).await, [set_ids[0], set_ids[2]]);
    assert_eq!(both.ask(&End { id: set_ids[1] }).await, None, "it had ended");
    assert_eq!(both.ask(&End { id: set_ids[2] }).await, Some(Silence { id: set_ids[2], body: ever }));
    assert_eq!(both.ask(&End { id: set_ids[2] }).await, None);
    assert_eq!(both.ask(&End { id: 0 }).await, None);
    both.later(1_000_000);
    assert_eq!(both.ask(&List).await, []);
    let next = about(&both, "a", Some(1));
    assert!(set(&both, &next).await > set_ids[2]);
}

#[tokio::test]
async fn a_thousand_may_be_and_names_have_a_length() {
    let both = Alike::start().await;
    let short = about(&both, "a", Some(10));
    let long = Body { sidecar: "s".repeat(1_000), ..about(&both, &"ä".repeat(300), None) };
    set(&both, &short).await;
    for _ in 1..1_000 {
        set(&both, &long).await;
    }
    assert_eq!(both.ask(&Set { silence: &short }).await, None);
    both.later(10);
    let last = set(&both, &long).await;
    assert_eq!(both.ask(&Set { silence: &long }).await, None);
    let all = both.ask(&List).await;
    assert_eq!((all.len(), all[999].id), (1_000, last));
    assert_eq!((all[0].body.provider.len(), all[0].body.sidecar.len()), (256, 256));
}

#[tokio::test]
async fn whatever_is_done_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(5);
    let mut last = 0;
    for _ in 0..600 {
        let ends = Some(dice.u64(0..40)).filter(|_| dice.u8(0..5) > 0);
        match dice.u8(0..6) {
            0 | 1 => last = set(&both, &about(&both, "a", ends)).await,
            2 => drop(both.ask(&End { id: last }).await),
            3 => both.later(dice.u64(0..20)),
            _ => drop(both.ask(&List).await),
        }
    }
}

#[tokio::test]
async fn redis_forgets_them_by_itself_unless_one_never_ends() {
    let server = Server::start(&[]).await;
    let store = fusebox_store::Store::redis(server.address(), "fleet", clock()).unwrap();
    let link = connected(server.address()).await;
    let mut changes = store.link_changes().unwrap();
    tokio::time::timeout(LIMIT, changes.wait_for(|state| state.connected)).await.expect("connects").unwrap();
    let (now, _) = store.ask(&List, LIMIT).await.unwrap();
    let until = |ends: u64| Body { word: Some(Word { expires_ms: ends, ..Word::default() }), ..Body::default() };
    let lasts = async || {
        let mut all = Vec::new();
        for key in ["fb1:{fleet}:silences", "fb1:{fleet}:silences:ends"] {
            let Value::Int(left) = ask(&link, &["PTTL", key]).await.unwrap() else { panic!("no number") };
            all.push(left);
        }
        all
    };
    store.ask(&Set { silence: &until(now.as_millis() + 3_600_000) }, LIMIT).await.unwrap();
    assert!(lasts().await.iter().all(|left| (3_000_000..=3_600_000).contains(left)), "{:?}", lasts().await);
    let (_, ever) = store.ask(&Set { silence: &until(0) }, LIMIT).await.unwrap();
    assert_eq!(lasts().await, [-1, -1]);
    store.ask(&End { id: ever.unwrap() }, LIMIT).await.unwrap();
    assert!(lasts().await.iter().all(|left| (3_000_000..=3_600_000).contains(left)), "{:?}", lasts().await);
}
