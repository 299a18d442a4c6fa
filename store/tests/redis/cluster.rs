//! A Cluster of three nodes.

use std::time::Duration;

use fusebox_store::{
    StoreError,
    redis::{Address, Batch, Heard, Hints, Link, Script, Value, cmd},
};
use tokio::time::{interval, timeout};

use super::{
    hints::{hint, next},
    server::{LIMIT, LONG, Server, ask, connected, free_port, until},
};

struct Cluster {
    nodes: Vec<Server>,
    address: Address,
}

/// Three nodes that know each other and share all slots.
async fn start() -> Cluster {
    let mut nodes = Vec::new();
    let mut links = Vec::new();
    let buses: Vec<String> = (0..3).map(|_| free_port().to_string()).collect();
    for bus in &buses {
        let bus = ["--cluster-port", bus, "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"];
        nodes.push(Server::start(&[&["--cluster-enabled", "yes"], &bus[..]].concat()).await);
    }
    for (index, slots) in [("0", "5460"), ("5461", "10922"), ("10923", "16383")].into_iter().enumerate() {
        let link = connected(nodes[index].address()).await;
        ask(&link, &["CLUSTER", "ADDSLOTSRANGE", slots.0, slots.1]).await.unwrap();
        let port = nodes[0].port.to_string();
        ask(&link, &["CLUSTER", "MEET", "127.0.0.1", &port, &buses[0]]).await.unwrap();
        links.push(link);
    }
    for link in &links {
        timeout(LONG, agreed(link)).await.expect("the nodes agree");
    }
    let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let address = Address::parse(&format!("redis+cluster://{}", hosts.join(","))).unwrap();
    Cluster { nodes, address }
}

async fn agreed(link: &Link) {
    let mut looks = interval(Duration::from_millis(50));
    loop {
        looks.tick().await;
        let text = match ask(link, &["CLUSTER", "INFO"]).await {
            Ok(Value::VerbatimString { text, .. }) => text,
            Ok(Value::BulkString(text)) => String::from_utf8(text).unwrap(),
            other => panic!("{other:?}"),
        };
        if text.contains("cluster_state:ok") && text.contains("cluster_size:3") {
            return;
        }
    }
}

/// In the slots 15495, 3300 and 7365: each on another node.
const KEYS: [&str; 3] = ["a", "b", "c"];

#[tokio::test]
async fn a_batch_goes_to_all_nodes_and_is_answered_in_order() {
    let cluster = start().await;
    let link = connected(cluster.address.clone()).await;
    assert_eq!(link.publish_command(), "SPUBLISH");
    let script = Script::new("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])");
    let batch = KEYS.iter().fold(Batch::new(), |batch, key| {
        let key = key.as_bytes().to_vec();
        batch.script(&script, vec![key.clone()], vec![key])
    });
    let batch = batch.command(cmd("GET").arg("nothing").to_owned());
    for _ in 0..2 {
        let mut expected: Vec<_> = KEYS.iter().map(|key| Ok(Value::BulkString(key.as_bytes().to_vec()))).collect();
        expected.push(Ok(Value::Nil));
        assert_eq!(link.request(&batch, LIMIT).await, expected);
    }
    for (node, key) in [(2, "a"), (0, "b"), (1, "c")] {
        let node = connected(cluster.nodes[node].address()).await;
        assert_eq!(ask(&node, &["GET", key]).await, Ok(Value::BulkString(key.as_bytes().to_vec())));
        // Asked elsewhere, it is said what is wrong with the address.
        let wrong = ask(&node, &["GET", if key == "a" { "b" } else { "a" }]).await.unwrap_err();
        assert!(wrong.to_string().contains("redis+cluster://"), "{wrong}");
    }
}

#[tokio::test]
async fn while_one_node_is_away_the_others_answer_and_without_any_the_link_is_down() {
    let mut cluster = start().await;
    let link = connected(cluster.address.clone()).await;
    cluster.nodes[0].kill().await;
    let batch = Batch::new().command(cmd("GET").arg("b").to_owned()).command(cmd("GET").arg("a").to_owned());
    let replies = link.request(&batch, LIMIT).await;
    assert!(replies[0].is_err() && replies[1] == Ok(Value::Nil), "{replies:?}");
    for node in &mut cluster.nodes[1..] {
        node.kill().await;
    }
    until(&link, |state| !state.connected).await;
}

#[tokio::test]
async fn while_one_node_is_frozen_the_others_answer_also_on_a_new_connection() {
    let cluster = start().await;
    let link = connected(cluster.address.clone()).await;
    cluster.nodes[0].freeze().await;
    let both = Batch::new().command(cmd("GET").arg("b").to_owned()).command(cmd("GET").arg("a").to_owned());
    let replies = link.request(&both, Duration::from_millis(500)).await;
    assert!(replies[0].is_err() && replies[1] == Ok(Value::Nil), "{replies:?}");
    for _ in 0..3 {
        let reply = link.command(cmd("GET").arg("b").to_owned(), Duration::from_millis(200)).await;
        assert!(matches!(reply, Err(StoreError::Unavailable { may_have_run: true, .. })), "{reply:?}");
    }
    until(&link, |state| state.connected && state.generation == 2).await;
    assert_eq!(ask(&link, &["GET", "a"]).await, Ok(Value::Nil));
    cluster.nodes[0].thaw().await;
    let mut looks = interval(Duration::from_millis(100));
    let thawed = async {
        while ask(&link, &["GET", "b"]).await != Ok(Value::Nil) {
            looks.tick().await;
        }
    };
    timeout(LONG, thawed).await.expect("the thawed node answers");
}

#[tokio::test]
async fn hints_are_heard_of_each_node_and_after_one_was_away() {
    let mut cluster = start().await;
    let link = connected(cluster.address.clone()).await;
    let mut hints = Hints::open(cluster.address.clone(), KEYS.map(str::to_owned).to_vec()).unwrap();
    assert_eq!(next(&mut hints).await, Heard::Subscribed { generation: 1 });
    let publish = Script::new("return redis.call(ARGV[1], KEYS[1], ARGV[2])");
    let publish = async |key: &str| {
        let words = vec![link.publish_command().as_bytes().to_vec(), b"hello".to_vec()];
        link.request(&Batch::new().script(&publish, vec![key.as_bytes().to_vec()], words), LIMIT).await
    };
    for key in KEYS {
        assert_eq!(publish(key).await, [Ok(Value::Int(1))]);
        assert_eq!(next(&mut hints).await, hint(key, b"hello"));
    }
    cluster.nodes[1].kill().await;
    cluster.nodes[1].restart().await;
    // In part at first, perhaps; then in whole.
    let heard = async {
        let mut looks = interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                heard = hints.next() => if heard == hint("c", b"hello") { return },
                _ = looks.tick() => drop(publish("c").await),
            }
        }
    };
    timeout(LONG, heard).await.expect("a hint after the restart");
}
