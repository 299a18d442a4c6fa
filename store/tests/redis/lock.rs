//! Locks, in memory and in Redis alike.

use std::time::Duration;

use fusebox_store::lock::{Lock, Unlock};

use super::alike::Alike;

async fn lock(both: &Alike, holder: &str) -> bool {
    let locked = both.ask(&Lock { name: "look", holder, lasts: Duration::from_secs(600) }).await;
    assert_eq!(locked.mine, locked.holder == holder);
    locked.mine
}

#[tokio::test]
async fn one_holds_a_lock_for_as_long_as_it_renews_it() {
    let both = Alike::start().await;
    assert!(lock(&both, "a").await && !lock(&both, "b").await);
    both.later(599_999);
    assert!(!lock(&both, "b").await && lock(&both, "a").await);
    both.later(599_999);
    assert!(!lock(&both, "b").await);
    both.later(1);
    assert!(lock(&both, "b").await && !lock(&both, "a").await);
}

#[tokio::test]
async fn a_lock_is_given_back_by_its_holder_alone_and_is_one_of_several() {
    let both = Alike::start().await;
    assert!(lock(&both, "a b").await);
    assert!(both.ask(&Lock { name: "deliver", holder: "b", lasts: Duration::from_secs(600) }).await.mine);
    assert!(!both.ask(&Unlock { name: "look", holder: "b" }).await);
    assert!(!lock(&both, "b").await);
    assert!(both.ask(&Unlock { name: "look", holder: "a b" }).await);
    assert!(!both.ask(&Unlock { name: "look", holder: "a b" }).await);
    assert!(lock(&both, "b").await);
    both.later(600_000);
    assert!(!both.ask(&Unlock { name: "look", holder: "b" }).await, "it has ended");
}
