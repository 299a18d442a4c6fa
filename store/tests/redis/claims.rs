//! Claims of calls, in memory and in Redis alike; and many that claim one call at once.

use std::time::Duration;

use fusebox_rules::fleet::Stamp;
use fusebox_store::{
    Store,
    body::Body,
    claims::{Claim, Claimed, Finish, Release},
    digest::SharedDigest,
};
use futures_util::future::join_all;
use tokio::time::timeout;

use super::{
    alike::Alike,
    server::{LIMIT, LONG, Server, clock},
};

const LASTS: Duration = Duration::from_secs(600);

fn digest(byte: u8) -> SharedDigest {
    SharedDigest::new([byte; 32])
}

fn body(text: &str) -> Body {
    Body::try_new(text.into()).unwrap()
}

async fn claim(both: &Alike, byte: u8, holder: &str) -> Claimed {
    both.ask(&Claim { digest: digest(byte), holder, lasts: LASTS }).await
}

async fn finish(both: &Alike, byte: u8, text: &str) -> bool {
    both.ask(&Finish { digest: digest(byte), body: &body(text), lasts: LASTS }).await
}

async fn release(both: &Alike, byte: u8, holder: &str) -> bool {
    both.ask(&Release { digest: digest(byte), holder }).await
}

fn in_flight(holder: &str, since: Stamp) -> Claimed {
    Claimed::InFlight { holder: holder.to_owned(), since }
}

#[tokio::test]
async fn the_first_claims_the_others_wait_and_all_get_one_answer() {
    let both = Alike::start().await;
    let began = both.now();
    assert_eq!(claim(&both, 1, "a").await, Claimed::Mine);
    both.later(50);
    assert_eq!(claim(&both, 1, "b").await, in_flight("a", began));
    assert_eq!(claim(&both, 2, "b").await, Claimed::Mine);
    assert!(finish(&both, 1, "answer").await);
    for holder in ["a", "b"] {
        assert_eq!(claim(&both, 1, holder).await, Claimed::Done { body: body("answer") });
    }
    both.later(600_000);
    assert_eq!(claim(&both, 1, "b").await, Claimed::Mine);
}

#[tokio::test]
async fn a_claim_is_renewed_given_back_or_lost_with_its_holder() {
    let both = Alike::start().await;
    let began = both.now();
    claim(&both, 1, "a").await;
    both.later(599_999);
    assert_eq!(claim(&both, 1, "a").await, Claimed::Mine);
    both.later(599_999);
    assert_eq!(claim(&both, 1, "b").await, in_flight("a", began), "renewed, and as old as before");
    both.later(1);
    assert_eq!(claim(&both, 1, "b").await, Claimed::Mine);
    assert!(!release(&both, 1, "a").await);
    assert!(release(&both, 1, "b").await && !release(&both, 1, "b").await);
    assert_eq!(claim(&both, 1, "c").await, Claimed::Mine);
}

#[tokio::test]
async fn the_first_answer_is_everyones_also_from_one_who_had_lost_the_claim() {
    let both = Alike::start().await;
    claim(&both, 1, "a").await;
    both.later(600_000);
    claim(&both, 1, "b").await;
    assert!(finish(&both, 1, "late, but first").await);
    assert!(!finish(&both, 1, "second").await);
    assert!(!release(&both, 1, "b").await);
    assert_eq!(claim(&both, 1, "c").await, Claimed::Done { body: body("late, but first") });
}

#[tokio::test]
async fn whatever_is_claimed_memory_and_redis_say_the_same() {
    let both = Alike::start().await;
    let mut dice = fastrand::Rng::with_seed(5);
    for _ in 0..800 {
        let (byte, holder) = (dice.u8(0..4), dice.u8(0..3).to_string());
        match dice.u8(0..10) {
            0..5 => drop(claim(&both, byte, &holder).await),
            5 => drop(finish(&both, byte, &holder).await),
            6 | 7 => drop(release(&both, byte, &holder).await),
            _ => both.later(dice.u64(0..400_000)),
        }
    }
}

#[tokio::test]
async fn of_many_that_claim_one_call_at_once_one_has_it() {
    let server = Server::start(&[]).await;
    let store = Store::redis(server.address(), "fleet", clock()).unwrap();
    let mut changes = store.link_changes().unwrap();
    timeout(LONG, changes.wait_for(|state| state.connected)).await.unwrap().unwrap();
    let holders: Vec<String> = (0..100).map(|index| index.to_string()).collect();
    let all = holders.iter().map(async |holder| {
        let claim = Claim { digest: digest(1), holder, lasts: LASTS };
        store.ask(&claim, LIMIT).await.unwrap().1 == Claimed::Mine
    });
    assert_eq!(join_all(all).await.into_iter().filter(|mine| *mine).count(), 1);
}
