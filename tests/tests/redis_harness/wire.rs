//! The wire in front of a real server: each of its faults, and what it counts.

use std::time::Instant;

use fusebox_tests::{
    redis::Server,
    wire::{Counts, Way, Wire},
};

use super::{Line, refuses};
use crate::support::ms;

/// What `PING` and its answer come to.
const PING: Counts = Counts { connections: 0, up: 6, down: 7 };

async fn wired() -> (Server, Wire) {
    let server = Server::start().await;
    let wire = Wire::start(server.address()).await;
    (server, wire)
}

async fn counter(server: &Server) -> u64 {
    server.query::<Option<u64>>(&["GET", "counter"]).await.unwrap_or_default()
}

#[tokio::test]
async fn a_wire_passes_everything_and_counts_it() {
    let (_server, wire) = wired().await;
    assert_eq!((wire.counts(), wire.open()), (Counts::default(), 0));
    let mut lines = [Line::to(wire.address()).await, Line::to(wire.address()).await];
    for line in &mut lines {
        line.pings().await;
    }
    let before = wire.counts();
    assert_eq!(before, Counts { connections: 2, up: 12, down: 14 });
    assert_eq!(wire.open(), 2);
    lines[0].pings().await;
    assert_eq!(wire.counts().since(before), PING);
    drop(lines);
    wire.until_open(0).await;

    // A value of many chunks comes whole, and the server's goodbye after it.
    let mut line = Line::to(wire.address()).await;
    let value = "x".repeat(3_000_000);
    line.send(&format!("*2\r\n$4\r\nECHO\r\n$3000000\r\n{value}\r\nQUIT\r\n")).await;
    line.hears(&format!("$3000000\r\n{value}\r\n+OK\r\n")).await;
    line.ends().await;
    wire.until_open(0).await;
}

#[tokio::test]
async fn a_wire_that_is_cut_resets_its_connections_and_takes_new_ones() {
    let (server, wire) = wired().await;
    wire.cut().await;
    let mut lines = [Line::to(wire.address()).await, Line::to(wire.address()).await];
    for line in &mut lines {
        line.pings().await;
    }
    wire.cut().await;
    assert_eq!(wire.open(), 0);
    for line in &mut lines {
        line.is_reset().await;
    }
    Line::to(wire.address()).await.pings().await;
    assert_eq!(wire.counts().connections, 3);
    // The harness's own is the only one that the server still has.
    server.until_info("clients", "connected_clients", "1").await;
}

#[tokio::test]
async fn a_wire_that_refuses_keeps_the_connections_that_it_has() {
    let (_server, wire) = wired().await;
    let mut old = Line::to(wire.address()).await;
    old.pings().await;
    for _ in 0..3 {
        wire.refuse().await;
        refuses(wire.address()).await;
        old.pings().await;
        wire.pass().await;
        Line::to(wire.address()).await.pings().await;
    }
}

#[tokio::test]
async fn a_frozen_wire_takes_connections_and_holds_everything_back() {
    let (server, wire) = wired().await;
    let mut old = Line::to(wire.address()).await;
    old.pings().await;
    let before = wire.counts();
    wire.freeze();
    let mut new = Line::to(wire.address()).await;
    for line in [&mut old, &mut new] {
        line.send("INCR counter\r\n").await;
        line.hears_nothing().await;
    }
    assert_eq!(counter(&server).await, 0);
    assert_eq!(wire.counts().since(before), Counts { connections: 1, up: 0, down: 0 });
    wire.pass().await;
    let mut answers = Vec::new();
    for line in [&mut old, &mut new] {
        line.hears(":").await;
        let mut answer = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut line.0, &mut answer).await.unwrap();
        answers.push(answer[0]);
    }
    answers.sort_unstable();
    assert_eq!(answers, b"12", "nothing was lost, and nothing said twice");

    wire.freeze();
    let mut waiting = Line::to(wire.address()).await;
    wire.until_open(3).await;
    wire.cut().await;
    waiting.is_reset().await;
}

#[tokio::test]
async fn a_slow_wire_delays_each_way_and_carries_as_much_as_before() {
    let (_server, wire) = wired().await;
    let mut line = Line::to(wire.address()).await;
    line.pings().await;
    wire.delay(ms(100));
    let began = Instant::now();
    line.pings().await;
    assert!(began.elapsed() >= ms(200), "{:?}", began.elapsed());

    let began = Instant::now();
    for _ in 0..50 {
        line.send("PING\r\n").await;
    }
    line.hears(&"+PONG\r\n".repeat(50)).await;
    let took = began.elapsed();
    assert!(took >= ms(200) && took < ms(50 * 100), "{took:?}: they travel behind each other, not one by one");
    wire.pass().await;
    line.pings().await;
}

#[tokio::test]
async fn a_wire_that_loses_answers_lets_the_server_hear() {
    let (server, wire) = wired().await;
    let (mut asks, mut idle) = (Line::to(wire.address()).await, Line::to(wire.address()).await);
    asks.pings().await;
    idle.pings().await;
    wire.lose(Way::Down);
    asks.send("INCR counter\r\n").await;
    asks.hears_nothing().await;
    assert_eq!(counter(&server).await, 1);
    wire.pass().await;
    asks.is_reset().await;
    idle.pings().await;
}

#[tokio::test]
async fn a_wire_that_loses_requests_lets_the_client_wait() {
    let (server, wire) = wired().await;
    let mut asks = Line::to(wire.address()).await;
    asks.pings().await;
    wire.lose(Way::Up);
    asks.send("INCR counter\r\n").await;
    asks.hears_nothing().await;
    assert_eq!(counter(&server).await, 0);
    wire.pass().await;
    asks.is_reset().await;
    Line::to(wire.address()).await.pings().await;
}
