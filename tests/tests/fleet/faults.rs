//! Whatever becomes of Redis, calls go on, and afterwards the fleet is one again. Here it is one server.

use std::time::Duration;

use fusebox_tests::{
    provider::{Provider, act::tokens},
    redis::Server,
    wire::{Way as Direction, Wire},
};
use futures_util::future::join_all;
use serde_json::json;

use super::{
    One, broken, config, fleet,
    traffic::{Providers, Traffic, Trial, knows, share, until_connected, warnings},
};
use crate::support::{Way, ms};

#[tokio::test]
async fn absent_at_the_start_it_is_missed_by_nobody_and_joined_when_it_comes() {
    let (mut redis, providers) = (Server::start().await, Providers::start().await);
    let url = redis.url();
    redis.kill();
    let all = join_all((0..2).map(|_| One::start(providers.config(&url)))).await;
    let trial = Trial::begin(&all).await;
    trial.lasts().await;
    redis.restart().await;
    join_all(all.iter().map(|one| one.until_live(2))).await;
    trial.ends("b1").await;
}

#[tokio::test]
async fn killed_and_started_anew_without_its_data_it_is_told_again_what_it_has_lost() {
    let (mut redis, providers) = (Server::start().await, Providers::start().await);
    let all = providers.fleet(2, &redis.url()).await;
    share(&all, "b1").await;
    let trial = Trial::begin(&all).await;
    redis.kill();
    trial.lasts().await;
    for one in &all {
        knows(one, "b1").await;
    }
    redis.restart().await;
    let third = One::start(providers.config(&redis.url())).await;
    knows(&third, "b1").await;
    trial.ends("b2").await;
}

#[tokio::test]
async fn paused_it_holds_up_no_call() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let all = providers.fleet(2, &redis.url()).await;
    let trial = Trial::begin(&all).await;
    redis.pause().await;
    trial.lasts().await;
    redis.resume().await;
    trial.ends("b1").await;
}

#[tokio::test]
async fn out_of_memory_it_costs_nobody_a_call() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let all = providers.fleet(2, &redis.url()).await;
    let trial = Trial::begin(&all).await;
    redis.out_of_memory().await;
    trial.lasts().await;
    redis.memory_again().await;
    trial.ends("b1").await;
}

#[tokio::test]
async fn read_only_for_as_long_as_it_may_be_it_costs_nobody_a_call_and_few_lines() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let wire = Wire::start(redis.address()).await;
    let all = providers.fleet(2, &format!("redis://{}", wire.address())).await;
    let trial = Trial::begin(&all).await;
    redis.make_read_only().await;
    trial.lasts().await;
    // Every one of these finds a server that greets, answers pings, and refuses what it is asked.
    new_connections(&wire, 20).await;
    redis.make_writable().await;
    trial.ends("b1").await;
}

/// Waits until so many more connections were made.
async fn new_connections(wire: &Wire, count: u64) {
    let wanted = wire.counts().connections + count;
    let waiting = async {
        while wire.counts().connections < wanted {
            tokio::time::sleep(ms(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.expect("connections");
}

#[tokio::test]
async fn behind_a_wire_that_is_cut_or_deaf_it_costs_nobody_a_call() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let wire = Wire::start(redis.address()).await;
    let all = providers.fleet(2, &format!("redis://{}", wire.address())).await;
    let trial = Trial::begin(&all).await;
    wire.refuse().await;
    wire.cut().await;
    trial.lasts().await;
    wire.pass().await;
    trial.ends("b1").await;
    for (way, failing) in [(Direction::Up, "b2"), (Direction::Down, "b3")] {
        let trial = Trial::begin(&all).await;
        wire.lose(way);
        trial.lasts().await;
        wire.pass().await;
        trial.ends(failing).await;
    }
}

#[tokio::test]
async fn slower_than_anybody_waits_it_is_as_good_as_gone_and_says_little() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let wire = Wire::start(redis.address()).await;
    let all = providers.fleet(2, &format!("redis://{}", wire.address())).await;
    let trial = Trial::begin(&all).await;
    wire.delay(ms(900));
    trial.lasts().await;
    wire.pass().await;
    trial.ends("b1").await;
    // Fast enough for a greeting and a ping, and too slow for what is asked.
    let trial = Trial::begin(&all).await;
    wire.delay(ms(350));
    trial.lasts().await;
    new_connections(&wire, 12).await;
    wire.pass().await;
    trial.ends("b2").await;
}

#[tokio::test]
async fn slow_but_sure_it_is_as_good_as_ever() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let wire = Wire::start(redis.address()).await;
    let all = providers.fleet(2, &format!("redis://{}", wire.address())).await;
    let traffic = Traffic::begin(&all);
    wire.delay(ms(75));
    share(&all, "b1").await;
    traffic.enough().await;
    until_connected(&all, true).await;
    traffic.end().await;
    for one in &all {
        assert_eq!(warnings(one), [""; 0]);
    }
}

#[tokio::test]
async fn who_is_cut_off_goes_on_alone_and_the_others_together_until_the_wire_is_mended() {
    let (redis, providers) = (Server::start().await, Providers::start().await);
    let wire = Wire::start(redis.address()).await;
    let urls = [format!("redis://{}", wire.address()), redis.url()];
    let all = fleet(3, |number| providers.config(&urls[number.min(1)])).await;
    let (alone, others) = all.split_first().unwrap();
    let traffic = Traffic::begin(&all);
    wire.freeze();
    until_connected(&all[..1], false).await;
    share(others, "b1").await;
    join_all(others.iter().map(|one| one.until_live(2))).await;
    until_connected(others, true).await;
    // It has not heard of that, and sees for itself. What one on either side sees of another is not enough yet.
    assert_eq!(alone.doors.call(Way::HttpWhole, "b1").await.kind(), "provider_error");
    for one in [alone, &others[0], alone, &others[0]] {
        assert_eq!(one.doors.call(Way::HttpWhole, "b2").await.kind(), "provider_error");
    }
    traffic.enough().await;
    wire.pass().await;
    until_connected(&all, true).await;
    knows(alone, "b1").await;
    // Put together, it is.
    join_all(all.iter().map(|one| knows(one, "b2"))).await;
    join_all(all.iter().map(|one| one.until_live(3))).await;
    share(&all, "b3").await;
    traffic.end().await;
    for one in others {
        assert_eq!(warnings(one).iter().filter(|line| line.contains("store")).count(), 0, "{:#?}", warnings(one));
    }
}

#[tokio::test]
async fn flushed_it_loses_neither_the_breaker_nor_the_count_of_sidecars() {
    let provider = Provider::start(broken()).await;
    let redis = Server::start().await;
    let all = fleet(2, |_| config(&redis.url(), &provider, &json!({}))).await;
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.call().await.kind(), "provider_error");
    }
    join_all(all.iter().map(|one| one.until_breaker("open"))).await;
    redis.flush().await;
    let third = One::start(config(&redis.url(), &provider, &json!({}))).await;
    third.until_breaker("open").await;
    third.until_live(3).await;
    assert_eq!(provider.seen().len(), 4);
}

#[tokio::test]
async fn without_its_scripts_or_with_others_it_is_told_them_again_and_nobody_notices() {
    let (mut redis, providers) = (Server::start().await, Providers::start().await);
    let all = providers.fleet(2, &redis.url()).await;
    let traffic = Traffic::begin(&all);
    let calls = async |redis: &Server| redis.info("stats", "total_commands_processed").await.parse::<u64>().unwrap();
    for failing in ["b1", "b2"] {
        redis.command(&["SCRIPT", "FLUSH", "SYNC"]).await;
        // Somebody else's are no help.
        redis.command(&["SCRIPT", "LOAD", "return redis.call('TIME')"]).await;
        let before = calls(&redis).await;
        share(&all, failing).await;
        assert!(calls(&redis).await > before);
    }
    for one in &all {
        assert_eq!(warnings(one), [""; 0]);
    }
    traffic.end().await;
    let trial = Trial::begin(&all).await;
    redis.kill();
    trial.lasts().await;
    redis.restart().await;
    redis.command(&["SCRIPT", "LOAD", "return redis.call('TIME')"]).await;
    trial.ends("b3").await;
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_refused_at_the_start_without_its_password() {
    let provider = Provider::start(tokens(1)).await;
    let text = config("redis://:hunter2@127.0.0.1:6379/notanumber", &provider, &json!({}));
    let output = fusebox_tests::sidecar::Sidecar::run(&["run"], &text).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("fleet.redis") && !told.contains("hunter2"), "{told}");
}
