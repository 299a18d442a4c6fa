//! The Cluster: whose key is whose, and slots that move.

use fusebox_tests::redis::{
    Server,
    cluster::{Cluster, slot_of},
};
use redis::cluster::ClusterClient;

use super::code;

/// Where the server sends whoever asks it for `key`: its word, and the address.
async fn sent_on(server: &Server, key: &str) -> (String, String) {
    let error = server.ask::<Option<String>>(&["GET", key]).await.expect_err("the key is elsewhere");
    let (address, slot) = error.redirect_node().expect("a way");
    assert_eq!(slot, slot_of(key));
    (code(&error), address.to_owned())
}

#[tokio::test]
async fn the_slot_of_a_key_is_the_one_that_the_server_says() {
    let cluster = Cluster::start().await;
    let keys = ["", "key", "{tag}", "a{tag}b", "a{}b", "a{b", "a}b{c}d", "{{x}}", "fb1:{prod/openai}:r", "größe"];
    for key in keys {
        let slot: u16 = cluster.nodes()[0].query(&["CLUSTER", "KEYSLOT", key]).await;
        assert_eq!(slot_of(key), slot, "{key:?}");
    }
    for key in keys {
        let (owner, address) = (cluster.owner_of(key), cluster.node_of(key).address().to_string());
        cluster.node_of(key).command(&["SET", key, "value"]).await;
        for (number, node) in cluster.nodes().iter().enumerate().filter(|(number, _)| *number != owner) {
            assert_eq!(sent_on(node, key).await, ("MOVED".to_owned(), address.clone()), "{key:?} at {number}");
        }
    }
}

#[tokio::test]
async fn a_slot_moves_with_its_keys_and_clients_find_them() {
    let mut cluster = Cluster::start().await;
    let client = ClusterClient::new(cluster.nodes().iter().map(Server::url)).unwrap();
    let mut client = client.get_async_connection().await.unwrap();
    // More than move with one command.
    let keys: Vec<String> = (0..250).map(|number| format!("{{tag}}:{number}")).collect();
    for key in &keys {
        redis::cmd("SET").arg(key).arg(key).query_async::<()>(&mut client).await.unwrap();
    }
    let slot = slot_of("{tag}");
    let (from, to) = (cluster.owner_of("{tag}"), (cluster.owner_of("{tag}") + 1) % 3);
    let address = cluster.nodes()[to].address().to_string();

    cluster.begin_move(slot, to).await;
    assert_eq!(cluster.nodes()[from].query::<String>(&["GET", &keys[0]]).await, keys[0], "it has not moved yet");
    assert_eq!(sent_on(&cluster.nodes()[from], "{tag}:new").await, ("ASK".to_owned(), address.clone()));
    redis::cmd("SET").arg("{tag}:new").arg(1).query_async::<()>(&mut client).await.unwrap();

    cluster.finish_move(slot, to).await;
    assert_eq!(cluster.owner_of("{tag}"), to);
    assert_eq!(sent_on(&cluster.nodes()[from], &keys[0]).await, ("MOVED".to_owned(), address));
    let count: usize = cluster.nodes()[to].query(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).await;
    assert_eq!(count, keys.len() + 1);
    for key in &keys {
        assert_eq!(redis::cmd("GET").arg(key).query_async::<String>(&mut client).await.unwrap(), *key);
    }
    cluster.move_slot(slot, from).await;
    assert_eq!(cluster.nodes()[from].query::<String>(&["GET", &keys[0]]).await, keys[0], "there and back");
}

#[tokio::test]
async fn a_cluster_without_one_of_its_nodes_refuses_until_it_is_back() {
    let mut cluster = Cluster::start().await;
    let (here, gone) = (cluster.owner_of("key"), (cluster.owner_of("key") + 1) % 3);
    cluster.nodes()[here].command(&["SET", "key", "value"]).await;
    cluster.kill(gone).await;
    let error = cluster.nodes()[here].ask::<String>(&["GET", "key"]).await.expect_err("a third is missing");
    assert_eq!(code(&error), "CLUSTERDOWN");
    cluster.restart(gone).await;
    assert_eq!(cluster.nodes()[here].query::<String>(&["GET", "key"]).await, "value");
}
