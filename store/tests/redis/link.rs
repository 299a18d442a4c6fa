//! One server: that comes late, goes away, freezes, forgets its scripts, or becomes a replica.

use std::time::Duration;

use fusebox_store::{
    StoreError,
    redis::{Address, Batch, Script, Value, cmd},
};

use super::server::{LIMIT, Server, ask, connected, free_port, open, until};

const SHORT: Duration = Duration::from_millis(100);

fn was_asked(reply: &Result<Value, StoreError>) -> bool {
    match reply {
        Err(StoreError::Unavailable { may_have_run, .. }) => *may_have_run,
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_comes_late_is_found_and_until_then_nobody_waits() {
    let port = free_port();
    let link = open(Address::parse(&format!("redis://127.0.0.1:{port}/2")).unwrap());
    assert!(!was_asked(&ask(&link, &["PING"]).await));
    let state = until(&link, |state| state.error.is_some()).await;
    assert_eq!((state.connected, state.generation), (false, 0));

    let _server = Server::start_on(port, &[]).await;
    let state = until(&link, |state| state.connected).await;
    assert_eq!((state.generation, state.error), (1, None));
    assert_eq!(ask(&link, &["PING"]).await, Ok(Value::SimpleString("PONG".into())));
    assert_eq!(link.publish_command(), "PUBLISH");
    let Ok(Value::VerbatimString { text, .. }) = ask(&link, &["CLIENT", "INFO"]).await else { panic!() };
    assert!(text.contains(" db=2 "), "{text}");
}

#[tokio::test]
async fn a_server_that_was_killed_is_missed_at_once_and_found_again() {
    let mut server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let before = link.state().since;
    server.kill().await;
    let state = until(&link, |state| !state.connected).await;
    assert!(state.generation == 1 && state.since > before && state.error.is_some(), "{state:?}");
    assert!(!was_asked(&ask(&link, &["PING"]).await));
    server.restart().await;
    assert_eq!(until(&link, |state| state.connected).await.generation, 2);
    assert!(ask(&link, &["SET", "k", "v"]).await.is_ok());
}

#[tokio::test]
async fn requests_that_a_frozen_server_leaves_without_an_answer_end_the_connection() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    server.freeze().await;
    for _ in 0..3 {
        assert!(was_asked(&link.command(cmd("PING"), SHORT).await));
    }
    until(&link, |state| !state.connected).await;
    assert!(!was_asked(&link.command(cmd("PING"), SHORT).await));
    server.thaw().await;
    assert_eq!(until(&link, |state| state.connected).await.generation, 2);
    assert!(ask(&link, &["PING"]).await.is_ok());
}

#[tokio::test]
async fn a_frozen_server_is_noticed_by_a_link_on_which_nobody_asks() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    server.freeze().await;
    let state = until(&link, |state| !state.connected).await;
    assert!(state.error.is_some_and(|error| error.contains("ping")));
}

#[tokio::test]
async fn a_healthy_connection_is_kept_past_its_pings() {
    let server = Server::start(&["--loglevel", "verbose"]).await;
    let link = connected(server.address()).await;
    let pings = async || {
        let Ok(Value::VerbatimString { text, .. }) = ask(&link, &["INFO", "commandstats"]).await else { panic!() };
        text.split("cmdstat_ping:calls=").nth(1).and_then(|rest| rest.split(',').next()?.parse::<u32>().ok()).unwrap()
    };
    let first = pings().await;
    let later = async {
        // An answer stands for a ping, so the link is left alone in between.
        let mut pause = tokio::time::interval(Duration::from_millis(2500));
        pause.tick().await;
        while pings().await < first + 2 {
            pause.tick().await;
        }
    };
    tokio::time::timeout(super::server::LONG, later).await.expect("pings");
    assert_eq!(link.state().generation, 1);
}

#[tokio::test]
async fn a_server_that_forgot_its_scripts_is_told_them_again_within_a_batch() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let add = Script::new("return redis.call('INCRBY', KEYS[1], ARGV[1])");
    let fail = Script::new("return redis.error_reply('ODD this is refused')");
    let batch = Batch::new()
        .script(&add, vec![b"n".to_vec()], vec![b"2".to_vec()])
        .command(cmd("ECHO").arg("between").to_owned())
        .script(&fail, vec![b"n".to_vec()], Vec::new())
        .script(&add, vec![b"n".to_vec()], vec![b"3".to_vec()]);
    for round in 0..3_i64 {
        if round < 2 {
            ask(&link, &["SCRIPT", "FLUSH"]).await.unwrap();
        }
        let replies = link.request(&batch, LIMIT).await;
        assert_eq!(replies[0], Ok(Value::Int(round * 5 + 2)));
        assert_eq!(replies[1], Ok(Value::BulkString(b"between".to_vec())));
        let refused = StoreError::Refused { code: "ODD".into(), message: "this is refused".into() };
        assert_eq!(replies[2], Err(refused));
        assert_eq!(replies[3], Ok(Value::Int(round * 5 + 5)));
        assert_eq!(replies.len(), 4);
    }
    assert_eq!(link.request(&Batch::new(), LIMIT).await, []);
    assert_eq!(link.state().generation, 1);
}

#[tokio::test]
async fn more_requests_than_may_be_under_way_are_not_sent() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let of = |count: usize| (0..count).fold(Batch::new(), |batch, _| batch.command(cmd("INCR").arg("n").to_owned()));
    let replies = link.request(&of(1025), LIMIT).await;
    assert!(replies.len() == 1025 && replies.iter().all(|reply| !was_asked(reply)));
    assert_eq!(link.request(&of(1024), LIMIT).await.last(), Some(&Ok(Value::Int(1024))));
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_left_and_looked_for_anew() {
    let server = Server::start(&[]).await;
    let link = connected(server.address()).await;
    let write = Script::new("return redis.call('SET', KEYS[1], 'v')");
    let write = Batch::new().script(&write, vec![b"k".to_vec()], Vec::new());
    ask(&link, &["REPLICAOF", "127.0.0.1", &free_port().to_string()]).await.unwrap();
    let replies = link.request(&write, LIMIT).await;
    assert!(!was_asked(&replies[0]), "{replies:?}");
    until(&link, |state| state.generation == 2).await;
    ask(&link, &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    assert_eq!(link.request(&write, LIMIT).await, [Ok(Value::Okay)]);
}

#[tokio::test]
async fn a_full_server_refuses_and_the_connection_is_kept() {
    let server = Server::start(&["--maxmemory", "1"]).await;
    let link = connected(server.address()).await;
    let reply = ask(&link, &["SET", "k", "v"]).await;
    assert!(matches!(&reply, Err(StoreError::Refused { code, .. }) if code == "OOM"), "{reply:?}");
    assert_eq!(link.state().generation, 1);
}
