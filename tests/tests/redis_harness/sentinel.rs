//! Failovers: that the Sentinels do them, and what is kept and lost in each.

use std::collections::HashMap;

use fusebox_tests::redis::sentinel::{MASTER_NAME, Sentinel};

use super::refusal;

async fn set_and_spread(sentinel: &Sentinel, key: &str, value: &str) {
    sentinel.master().command(&["SET", key, value]).await;
    sentinel.until_replicated().await;
}

async fn get(sentinel: &Sentinel, key: &str) -> Option<String> {
    sentinel.master().query(&["GET", key]).await
}

#[tokio::test]
async fn a_replica_takes_the_place_of_a_master_that_died_and_the_dead_one_follows_it() {
    let mut sentinel = Sentinel::start().await;
    let (first, second) = (sentinel.master().address(), sentinel.other().address());
    set_and_spread(&sentinel, "key", "value").await;
    sentinel.fail_over().await;
    assert_eq!(sentinel.master().address(), second);
    assert!(!sentinel.other().runs());
    assert_eq!(get(&sentinel, "key").await.as_deref(), Some("value"));

    sentinel.bring_back().await;
    assert_eq!((sentinel.master().address(), sentinel.other().address()), (second, first));
    set_and_spread(&sentinel, "key", "newer").await;
    sentinel.hand_over().await;
    assert_eq!(sentinel.master().address(), first, "there and back");
    assert_eq!(get(&sentinel, "key").await.as_deref(), Some("newer"));
    let old = refusal(sentinel.other().ask(&["SET", "key", "newest"]).await);
    assert_eq!(old, "READONLY", "the master that was lives on");
}

#[tokio::test]
async fn a_failover_can_lose_writes_that_the_master_had_taken() {
    let mut sentinel = Sentinel::start().await;
    set_and_spread(&sentinel, "key", "kept").await;
    sentinel.lose_writes(&[&["SET", "key", "lost"], &["INCR", "count"]]).await;
    assert_eq!(get(&sentinel, "key").await.as_deref(), Some("kept"));
    assert_eq!(get(&sentinel, "count").await, None);
    sentinel.bring_back().await;
    set_and_spread(&sentinel, "key", "after").await;
}

#[tokio::test]
async fn replication_that_stopped_goes_on_with_all_that_was_written() {
    let sentinel = Sentinel::start().await;
    sentinel.stop_replication().await;
    sentinel.master().command(&["SET", "key", "value"]).await;
    assert_eq!(sentinel.other().query::<Option<String>>(&["GET", "key"]).await, None);
    sentinel.resume_replication().await;
    set_and_spread(&sentinel, "other", "value").await;
    assert_eq!(sentinel.other().query::<String>(&["GET", "key"]).await, "value");
}

#[tokio::test]
async fn a_master_that_was_only_paused_finds_another_in_its_place() {
    let mut sentinel = Sentinel::start().await;
    sentinel.master().pause().await;
    sentinel.until_failed_over().await;
    sentinel.master().command(&["SET", "key", "value"]).await;
    sentinel.other().resume().await;
    sentinel.until_whole().await;
    assert_eq!(sentinel.other().info("replication", "role").await, "slave");
    assert_eq!(sentinel.other().query::<String>(&["GET", "key"]).await, "value");
}

#[tokio::test]
async fn a_master_that_is_busy_for_a_while_stays_the_master() {
    let sentinel = Sentinel::start().await;
    sentinel.master().command(&["DEBUG", "SLEEP", "3"]).await;
    sentinel.until_whole().await;
    for watcher in sentinel.sentinels() {
        let master: HashMap<String, String> = watcher.query(&["SENTINEL", "MASTER", MASTER_NAME]).await;
        assert_eq!(master["config-epoch"], "0", "a failover that nobody asked for");
    }
}

#[tokio::test]
async fn one_sentinel_alone_makes_no_master() {
    let mut sentinel = Sentinel::start().await;
    for other in &mut sentinel.sentinels_mut()[1..] {
        other.kill();
    }
    let before = sentinel.master().address();
    sentinel.kill_master();
    let alone = &sentinel.sentinels()[0];
    sentinel.until_powerless(alone).await;
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME];
    let (host, port): (String, u16) = alone.query(&words).await;
    assert_eq!(format!("{host}:{port}"), before.to_string());
    assert_eq!(sentinel.addresses().len(), 3);
}
