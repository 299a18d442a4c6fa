//! Whatever becomes of Redis, calls go on.

use std::time::{Duration, Instant};

use fusebox_tests::{
    provider::{Provider, act::tokens},
    redis::Server,
    wire::Wire,
};
use futures_util::future::join_all;
use serde_json::json;

use super::{One, broken, config, fleet};

/// No call fails or waits for Redis, and the sidecar is ready, while it is not connected; afterwards it is again.
async fn goes_on(one: &One) {
    let began = Instant::now();
    one.status_until("cut off", |status| {
        (status["fleet"]["connected"] == false && status["ready"] == true) || began.elapsed() > Duration::from_secs(8)
    })
    .await;
    for _ in 0..50 {
        let called = Instant::now();
        one.call().await.good();
        assert!(called.elapsed() < Duration::from_secs(1), "a call waited {:?}", called.elapsed());
    }
    let told = one.sidecar.log().matches("the fleet's store").count();
    assert!(told <= 6, "told {told} times:\n{}", one.sidecar.log());
}

async fn comes_back(one: &One) {
    one.status_until("connected", |status| status["fleet"]["connected"] == true).await;
    one.call().await.good();
}

#[tokio::test]
async fn absent_at_the_start_it_is_missed_by_nobody_and_joined_when_it_comes() {
    let provider = Provider::start(tokens(1)).await;
    let mut redis = Server::start().await;
    let url = redis.url();
    redis.kill();
    let one = One::start(config(&url, &provider, &json!({}))).await;
    goes_on(&one).await;
    assert_eq!(one.sidecar.metrics().await.sum("fusebox_fleet_connected", &[]), 0.0);
    redis.restart().await;
    comes_back(&one).await;
    one.until_live(1).await;
}

#[tokio::test]
async fn killed_and_started_anew_without_its_data_it_is_told_again_what_it_has_lost() {
    let provider = Provider::start(broken()).await;
    let mut redis = Server::start().await;
    let all = fleet(2, |_| config(&redis.url(), &provider, &json!({}))).await;
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.call().await.kind(), "provider_error");
    }
    join_all(all.iter().map(|one| one.until_breaker("open"))).await;
    redis.kill();
    for one in &all {
        one.status_until("cut off", |status| status["fleet"]["connected"] == false).await;
        assert_eq!(one.call().await.kind(), "circuit_open", "an open breaker stays open without Redis");
    }
    redis.restart().await;
    for one in &all {
        one.status_until("connected", |status| status["fleet"]["connected"] == true).await;
    }
    let third = One::start(config(&redis.url(), &provider, &json!({}))).await;
    third.until_breaker("open").await;
    assert_eq!(provider.seen().len(), 4);
}

#[tokio::test]
async fn frozen_it_holds_up_no_call() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let one = fleet(1, |_| config(&redis.url(), &provider, &json!({}))).await.remove(0);
    redis.pause().await;
    goes_on(&one).await;
    redis.resume().await;
    comes_back(&one).await;
}

#[tokio::test]
async fn out_of_memory_or_read_only_it_costs_nobody_a_call() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let one = fleet(1, |_| config(&redis.url(), &provider, &json!({}))).await.remove(0);
    redis.out_of_memory().await;
    goes_on(&one).await;
    redis.memory_again().await;
    comes_back(&one).await;
    redis.make_read_only().await;
    goes_on(&one).await;
    redis.make_writable().await;
    comes_back(&one).await;
}

#[tokio::test]
async fn behind_a_wire_that_is_cut_frozen_or_slow_it_costs_nobody_a_call() {
    let (redis, provider) = (Server::start().await, Provider::start(tokens(1)).await);
    let wire = Wire::start(redis.address()).await;
    let url = format!("redis://{}", wire.address());
    let one = fleet(1, |_| config(&url, &provider, &json!({}))).await.remove(0);
    wire.refuse().await;
    goes_on(&one).await;
    wire.pass().await;
    comes_back(&one).await;
    wire.freeze();
    goes_on(&one).await;
    wire.pass().await;
    comes_back(&one).await;
    wire.delay(Duration::from_millis(900));
    goes_on(&one).await;
    wire.delay(Duration::ZERO);
    wire.pass().await;
    comes_back(&one).await;
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
async fn an_address_that_cannot_be_used_is_refused_at_the_start_without_its_password() {
    let provider = Provider::start(tokens(1)).await;
    let text = config("redis://:hunter2@127.0.0.1:6379/notanumber", &provider, &json!({}));
    let output = fusebox_tests::sidecar::Sidecar::run(&["run"], &text).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && told.contains("fleet.redis") && !told.contains("hunter2"), "{told}");
}
