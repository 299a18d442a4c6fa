//! What befalls a Redis of several servers: a master whose replica takes its place, with all that it was told or
//! without, and a Cluster whose slots move or are away. Calls go on, and what is shared stays so.

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::settings::Change;
use fusebox_tests::redis::{
    Server,
    cluster::{Cluster, slot_of},
    sentinel::{MASTER_NAME, Sentinel},
};
use futures_util::future::join_all;

use super::{
    One,
    orders::{Operator, applied},
    traffic::{Providers, Traffic, Trial, knows, share, until_connected, warnings},
};
use crate::support::Way;

/// Warnings by one sidecar for one failover: of its connection, its ear, and itself.
const WARNINGS: usize = 3;

fn record_of(provider: &str) -> String {
    Keys::new("", "default").provider(provider, "breaker")
}

fn behind(sentinel: &Sentinel) -> String {
    let hosts: Vec<String> = sentinel.addresses().iter().map(ToString::to_string).collect();
    format!("redis+sentinel://{}/{MASTER_NAME}", hosts.join(","))
}

fn at(cluster: &Cluster) -> String {
    let hosts: Vec<String> = cluster.nodes().iter().map(|node| node.address().to_string()).collect();
    format!("redis+cluster://{}", hosts.join(","))
}

fn few_warnings(all: &[One], most: usize) {
    for one in all {
        let told: Vec<String> =
            warnings(one).into_iter().filter(|line| line.contains("redis") || line.contains("store")).collect();
        assert!(told.len() <= most, "{told:#?}");
    }
}

#[tokio::test]
async fn after_a_failover_what_was_open_is_open_and_what_opens_is_seen_by_all() {
    let (mut sentinel, providers) = (Sentinel::start().await, Providers::start().await);
    let url = behind(&sentinel);
    let mut all = providers.fleet(3, &url).await;
    share(&all, "b1").await;
    sentinel.until_replicated().await;
    let traffic = Traffic::begin(&all);
    sentinel.fail_over().await;
    share(&all, "b2").await;
    until_connected(&all, true).await;
    traffic.end().await;
    few_warnings(&all, WARNINGS);
    all.push(One::start(providers.config(&url)).await);
    for failing in ["b1", "b2"] {
        knows(&all[3], failing).await;
    }
    // The master that was lives on this time, takes nothing more, and says so to whoever goes on asking it.
    sentinel.bring_back().await;
    let traffic = Traffic::begin(&all);
    sentinel.hand_over().await;
    share(&all, "b3").await;
    join_all(all.iter().map(|one| one.until_live(4))).await;
    traffic.end().await;
    few_warnings(&all, 2 * WARNINGS);
}

#[tokio::test]
async fn a_failover_that_lost_what_was_written_last_is_told_it_again() {
    let (mut sentinel, providers) = (Sentinel::start().await, Providers::start().await);
    let url = behind(&sentinel);
    let all = providers.fleet(2, &url).await;
    let operator = Operator::at(sentinel.master()).await;
    sentinel.until_replicated().await;
    let traffic = Traffic::begin(&all);
    sentinel.stop_replication().await;
    share(&all, "b1").await;
    let version = operator.set(Change::Enabled("b4".into(), Some(false)), None).await;
    join_all(all.iter().map(|one| applied(one, version))).await;
    let record = ["HGET", &record_of("b1"), "epoch"];
    let epoch: u64 = sentinel.master().query(&record).await;
    assert_eq!(sentinel.other().query::<Option<u64>>(&record).await, None, "it was replicated all the same");
    sentinel.fail_over().await;
    let late = One::start(providers.config(&url)).await;
    knows(&late, "b1").await;
    applied(&late, version).await;
    assert_ne!(late.doors.call(Way::HttpWhole, "b4").await.failed().kind, "provider_error", "it is switched off");
    assert_eq!(sentinel.master().query::<u64>(&record).await, epoch, "the record is another one");
    share(&all, "b2").await;
    until_connected(&all, true).await;
    traffic.end().await;
    few_warnings(&all, WARNINGS);
}

#[tokio::test]
async fn sentinels_that_are_gone_are_missed_only_by_who_comes_later() {
    let (mut sentinel, providers) = (Sentinel::start().await, Providers::start().await);
    let url = behind(&sentinel);
    let all = providers.fleet(2, &url).await;
    sentinel.sentinels_mut().iter_mut().for_each(Server::kill);
    share(&all, "b1").await;
    until_connected(&all, true).await;
    few_warnings(&all, 0);
    let late = [One::start(providers.config(&url)).await];
    let traffic = Traffic::begin(&late);
    until_connected(&late, false).await;
    traffic.enough().await;
    traffic.end().await;
    for sentinel in sentinel.sentinels_mut() {
        sentinel.restart().await;
    }
    knows(&late[0], "b1").await;
}

#[tokio::test]
async fn while_the_slots_of_a_cluster_move_calls_go_on_and_what_is_open_stays_open() {
    let (mut cluster, providers) = (Cluster::start().await, Providers::start().await);
    let url = at(&cluster);
    let all = providers.fleet(3, &url).await;
    share(&all, "b1").await;
    let traffic = Traffic::begin(&all);
    let next = |cluster: &Cluster, key: &str| (cluster.owner_of(key) + 1) % cluster.nodes().len();
    for failing in ["b1", "b2"] {
        let key = record_of(failing);
        cluster.begin_move(slot_of(&key), next(&cluster, &key)).await;
    }
    // Half of a move: some of a provider's keys are here, and those that are new would be there.
    for one in [&all[0], &all[1], &all[0], &all[1]] {
        assert_eq!(one.doors.call(Way::HttpWhole, "b2").await.kind(), "provider_error");
    }
    traffic.enough().await;
    join_all(all.iter().map(|one| knows(one, "b1"))).await;
    for failing in ["b1", "b2"] {
        let key = record_of(failing);
        let to = next(&cluster, &key);
        cluster.finish_move(slot_of(&key), to).await;
        assert_eq!(cluster.owner_of(&key), to);
    }
    // What was seen meanwhile has not been lost.
    join_all(all.iter().map(|one| knows(one, "b2"))).await;
    // Who is there, and what operators set.
    let key = Keys::new("", "default").fleet_channel();
    let to = next(&cluster, &key);
    cluster.move_slot(slot_of(&key), to).await;
    let late = One::start(providers.config(&url)).await;
    for failing in ["b1", "b2"] {
        knows(&late, failing).await;
    }
    late.until_live(4).await;
    share(&all, "b3").await;
    until_connected(&all, true).await;
    traffic.end().await;
    few_warnings(&all, 4 * WARNINGS);
}

#[tokio::test]
async fn a_cluster_without_one_of_its_nodes_holds_up_no_call_and_is_told_again_what_that_node_knew() {
    let (mut cluster, providers) = (Cluster::start().await, Providers::start().await);
    let url = at(&cluster);
    let all = providers.fleet(2, &url).await;
    share(&all, "b1").await;
    let trial = Trial::begin(&all).await;
    let gone = cluster.owner_of(&record_of("b1"));
    cluster.kill(gone).await;
    trial.lasts().await;
    cluster.restart(gone).await;
    let late = One::start(providers.config(&url)).await;
    knows(&late, "b1").await;
    trial.ends("b2").await;
}
