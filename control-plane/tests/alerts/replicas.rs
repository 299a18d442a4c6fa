//! Several replicas on one real Redis: one delivers, and when it is gone another goes on where it stopped.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use fusebox_store::lock::{Lock, Locked};
use fusebox_tests::{
    receiver::{Act, Receiver},
    redis::Server,
};

use crate::stage::{PATIENCE, Replica, at_once, is_about, key, redis, webhook, words};

async fn holder(replica: &Replica) -> Locked {
    let lock = Lock { name: "deliver", holder: "a test", lasts: Duration::from_millis(1) };
    replica.store.ask(&lock, PATIENCE).await.unwrap().1
}

#[tokio::test]
async fn when_the_one_that_delivers_dies_in_the_middle_another_goes_on_and_nothing_is_lost() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let settings = at_once(vec![webhook(&receiver.url("/"))]);
    let mut first = Replica::start("first", redis(&server.url()).await, settings.clone());
    let over = first.raise("over").await;
    receiver.told_until(|told| told.len() == 1).await;
    first.delivery(&over, |delivery| delivery.state == "delivered").await;
    let second = Replica::start("second", redis(&server.url()).await, settings);
    // Whoever does not lead shows what the other did.
    second.delivery(&over, |delivery| delivery.state == "delivered").await;
    assert!(second.deliverer.deliveries().channels()[0].delivered_at.is_some());

    receiver.follow([Act::Hang]);
    let cut = first.raise("cut").await;
    receiver.told_until(|told| told.len() == 2).await;
    // What happens while its delivery is under way, and after it is dead.
    let waiting = first.raise("waiting").await;
    first.delivery(&waiting, |delivery| delivery.state == "pending").await;
    assert_eq!(holder(&second).await.holder, "first");
    first.kill().await;
    let died = Instant::now();
    let unseen = second.raise("unseen").await;
    second.resolve(&over).await;

    let all = |told: &[fusebox_tests::receiver::Told]| {
        [&cut, &waiting, &unseen].iter().all(|alert| !words(told, alert).is_empty()) && words(told, &over).len() == 2
    };
    let told = receiver.told_until(all).await;
    assert!(died.elapsed() < Duration::from_secs(20), "{:?}", died.elapsed());
    for alert in [&cut, &waiting, &unseen] {
        assert!(words(&told, alert).iter().all(|word| word == "raised"));
        second.delivery(alert, |delivery| delivery.state == "delivered").await;
    }
    assert_eq!(words(&told, &over), ["raised", "resolved"], "what was told is told no more");
    let attempts = told.iter().filter(|told| is_about(told, &cut)).map(|told| told.taken);
    assert_eq!(attempts.collect::<Vec<_>>(), [false, true], "under one key");
}

#[tokio::test]
async fn who_is_closed_ends_what_is_under_way_and_lets_another_go_on_at_once() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let settings = at_once(vec![webhook(&receiver.url("/"))]);
    let mut first = Replica::start("first", redis(&server.url()).await, settings.clone());
    receiver.follow([Act::status(503)]);
    let alert = first.raise("a").await;
    receiver.told_until(|told| !told.is_empty()).await;
    first.deliverer.close();
    first.ended().await;
    assert!(holder(&first).await.mine, "it was given back");
    assert!(!first.deliverer.leads());
    let second = Replica::start("second", redis(&server.url()).await, settings);
    let delivery = second.delivery(&alert, |delivery| delivery.state == "delivered").await;
    assert_eq!(delivery.attempts, 2, "it knows of the first");
}

#[tokio::test]
async fn when_redis_comes_back_empty_what_was_to_be_delivered_still_is() {
    let mut server = Server::start().await;
    let receiver = Receiver::start().await;
    receiver.follow([Act::status(503), Act::status(503)]);
    let replica = Replica::start("only", redis(&server.url()).await, at_once(vec![webhook(&receiver.url("/"))]));
    let alert = replica.raise("a").await;
    receiver.told_until(|told| told.len() == 2).await;
    server.restart().await;
    let told = receiver.told_until(|told| told.len() == 3).await;
    assert_eq!(words(&told, &alert), ["raised"]);
    replica.delivery(&alert, |delivery| delivery.state == "delivered").await;
    let another = replica.raise("b").await;
    let told = receiver.told_until(|told| told.len() == 4).await;
    assert_eq!(words(&told, &another), ["raised"]);
}

#[tokio::test]
async fn of_many_replicas_one_tells_all_alerts_and_all_show_it() {
    let server = Server::start().await;
    let receiver = Receiver::start().await;
    let settings = at_once(vec![webhook(&receiver.url("/"))]);
    let mut replicas = Vec::new();
    for name in ["one", "two", "three"] {
        replicas.push(Replica::start(name, redis(&server.url()).await, settings.clone()));
    }
    let mut alerts = Vec::new();
    for index in 0..120 {
        alerts.push(replicas[index % 3].raise(&format!("p{index}")).await);
    }
    let keys = |told: &[fusebox_tests::receiver::Told]| -> BTreeSet<String> {
        let bodies = told.iter().map(fusebox_tests::receiver::Told::json);
        let keys = bodies.flat_map(|body| body["alerts"].as_array().unwrap().clone());
        keys.map(|one| one["dedupKey"].as_str().unwrap().to_owned()).collect()
    };
    let expected: BTreeSet<_> = alerts.iter().map(key).collect();
    let told = receiver.told_until(|told| keys(told).len() >= expected.len()).await;
    assert_eq!(keys(&told), expected);
    for replica in &replicas {
        replica.delivery(&alerts[119], |delivery| delivery.state == "delivered").await;
    }
    assert_eq!(replicas.iter().filter(|replica| replica.deliverer.leads()).count(), 1);
}

#[tokio::test]
async fn when_redis_comes_back_empty_and_the_one_that_delivered_is_gone_another_puts_back_what_it_saw() {
    let mut server = Server::start().await;
    let receiver = Receiver::start().await;
    let settings = at_once(vec![webhook(&receiver.url("/"))]);
    let mut first = Replica::start("first", redis(&server.url()).await, settings.clone());
    let alert = first.raise("a").await;
    first.delivery(&alert, |delivery| delivery.state == "delivered").await;
    let second = Replica::start("second", redis(&server.url()).await, settings);
    second.delivery(&alert, |delivery| delivery.state == "delivered").await;
    receiver.follow([Act::status(503)]);
    first.resolve(&alert).await;
    second.delivery(&alert, |delivery| delivery.state == "pending" && delivery.last_error.starts_with("503")).await;
    first.kill().await;
    server.restart().await;
    let told = receiver.told_until(|told| words(told, &alert).len() == 2).await;
    assert_eq!(words(&told, &alert), ["raised", "resolved"]);
    second.delivery(&alert, |delivery| delivery.state == "delivered").await;
}
