//! A master, its replica, and a Sentinel that watches them.

use fusebox_store::redis::{Address, Link, Value};
use tokio::time::{interval, timeout};

use super::server::{LONG, Server, ask, connected, until};

#[tokio::test]
async fn after_a_failover_the_link_leads_to_the_new_master() {
    let mut master = Server::start(&[]).await;
    let port = master.port.to_string();
    let replica = Server::start(&["--replicaof", "127.0.0.1", &port]).await;
    let replica_link = connected(replica.address()).await;
    let sentinel = Server::start_sentinel(&format!(
        "sentinel monitor mymaster 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds mymaster 500\n\
         sentinel failover-timeout mymaster 3000\n"
    ))
    .await;
    let text = |name: &str| format!("redis+sentinel://127.0.0.1:{}/{name}", sentinel.port);
    let unknown = super::server::open(Address::parse(&text("nobody")).unwrap());
    let state = until(&unknown, |state| state.error.is_some()).await;
    assert!(state.error.unwrap().contains("does not know the master's name"), "{:?}", unknown.state());

    let link = connected(Address::parse(&text("mymaster")).unwrap()).await;
    assert_eq!(ask(&link, &["SET", "k", "v"]).await, Ok(Value::Okay));
    timeout(LONG, replicated(&replica_link)).await.expect("the replica follows");
    let watcher = connected(sentinel.address()).await;
    timeout(LONG, knows_replica(&watcher)).await.expect("the sentinel finds the replica");
    master.kill().await;
    until(&link, |state| state.generation == 2 && state.connected).await;
    assert_eq!(ask(&link, &["SET", "k", "w"]).await, Ok(Value::Okay));
    assert_eq!(ask(&replica_link, &["GET", "k"]).await, Ok(Value::BulkString(b"w".to_vec())));
}

async fn replicated(replica: &Link) {
    let mut looks = interval(std::time::Duration::from_millis(50));
    while ask(replica, &["GET", "k"]).await != Ok(Value::BulkString(b"v".to_vec())) {
        looks.tick().await;
    }
}

async fn knows_replica(sentinel: &Link) {
    let mut looks = interval(std::time::Duration::from_millis(50));
    loop {
        match ask(sentinel, &["SENTINEL", "REPLICAS", "mymaster"]).await {
            Ok(Value::Array(replicas)) if !replicas.is_empty() => return,
            _ => looks.tick().await,
        };
    }
}
