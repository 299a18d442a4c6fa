//! A Cluster of three masters, whose slots move as a test says.
//!
//! It has no replicas: a node that is killed takes its slots with it, and the whole Cluster refuses until it is back.

use std::collections::BTreeMap;

use super::{
    Options, Server, port,
    wait::{LONG_PATIENCE, until},
};

/// Slots of every Cluster.
pub const SLOTS: u16 = 16_384;
const NODES: u16 = 3;
/// A node that was silent for so long is held for dead.
const NODE_TIMEOUT_MS: &str = "2000";
/// Keys that move with one command.
const KEYS_AT_ONCE: &str = "100";

/// Three nodes, all running. Dropped, all are killed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    ids: Vec<String>,
    /// Who has which slot: the number of a node.
    owners: Vec<usize>,
}

impl Cluster {
    /// Starts three nodes with a third of the slots each, and waits until all of them know that.
    pub async fn start() -> Self {
        let (mut nodes, mut ids) = (Vec::new(), Vec::new());
        for _ in 0..NODES {
            let node = Server::start_as(options).await;
            ids.push(node.query(&["CLUSTER", "MYID"]).await);
            nodes.push(node);
        }
        let owners = (0..SLOTS).map(|slot| usize::from(slot / SLOTS.div_ceil(NODES))).collect();
        let this = Self { nodes, ids, owners };
        for (number, node) in this.nodes.iter().enumerate() {
            let owned = |slot: &u16| this.owners[usize::from(*slot)] == number;
            let (first, last) = ((0..SLOTS).find(owned).unwrap(), (0..SLOTS).rfind(owned).unwrap());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]).await;
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await;
        }
        for node in &this.nodes[1..] {
            let bus: Vec<String> = node.query(&["CONFIG", "GET", "cluster-port"]).await;
            let (host, port) = (node.address().ip().to_string(), node.address().port().to_string());
            this.nodes[0].command(&["CLUSTER", "MEET", &host, &port, &bus[1]]).await;
        }
        this.until_whole().await;
        this
    }

    /// The nodes, by their numbers.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// The number of the node that has this key.
    #[must_use]
    pub fn owner_of(&self, key: &str) -> usize {
        self.owners[usize::from(slot_of(key))]
    }

    /// The node that has this key.
    #[must_use]
    pub fn node_of(&self, key: &str) -> &Server {
        &self.nodes[self.owner_of(key)]
    }

    /// Moves a slot and its keys to the node of this number, and waits until every node knows.
    pub async fn move_slot(&mut self, slot: u16, to: usize) {
        self.begin_move(slot, to).await;
        self.finish_move(slot, to).await;
    }

    /// Does the first half of [`Self::move_slot`]: the slot's keys stay where they are, and who asks there for one that
    /// is not is sent to the new node with `ASK`.
    pub async fn begin_move(&self, slot: u16, to: usize) {
        let (from, slot_text) = (self.owners[usize::from(slot)], slot.to_string());
        assert_ne!(from, to, "slot {slot} is there");
        self.nodes[to].command(&["CLUSTER", "SETSLOT", &slot_text, "IMPORTING", &self.ids[from]]).await;
        self.nodes[from].command(&["CLUSTER", "SETSLOT", &slot_text, "MIGRATING", &self.ids[to]]).await;
    }

    /// Does the second half of [`Self::move_slot`].
    pub async fn finish_move(&mut self, slot: u16, to: usize) {
        let (from, slot_text) = (self.owners[usize::from(slot)], slot.to_string());
        let target = self.nodes[to].address();
        let (host, port) = (target.ip().to_string(), target.port().to_string());
        loop {
            let source = &self.nodes[from];
            let keys: Vec<String> = source.query(&["CLUSTER", "GETKEYSINSLOT", &slot_text, KEYS_AT_ONCE]).await;
            if keys.is_empty() {
                break;
            }
            let mut words = vec!["MIGRATE", &host, &port, "", "0", "5000", "KEYS"];
            words.extend(keys.iter().map(String::as_str));
            source.command(&words).await;
        }
        // The new owner first: the old one would send callers to a node that knows nothing of it.
        let others = (0..self.nodes.len()).filter(|number| *number != to && *number != from);
        for number in [to, from].into_iter().chain(others) {
            self.nodes[number].command(&["CLUSTER", "SETSLOT", &slot_text, "NODE", &self.ids[to]]).await;
        }
        self.owners[usize::from(slot)] = to;
        self.until_whole().await;
    }

    /// Kills a node and waits until the others hold the Cluster for broken.
    pub async fn kill(&mut self, number: usize) {
        self.nodes[number].kill();
        until("the others to miss it", LONG_PATIENCE, || async {
            for node in self.nodes.iter().filter(|node| node.runs()) {
                let state = state(node).await;
                if state != "fail" {
                    return Err(format!("{}: {state}", node.address()));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Starts a node that was killed, without its keys, and waits until all is as it was.
    pub async fn restart(&mut self, number: usize) {
        self.nodes[number].restart().await;
        self.until_whole().await;
    }

    /// Waits until every node serves, and knows who has which slot.
    pub async fn until_whole(&self) {
        until("a Cluster that agrees", LONG_PATIENCE, || async {
            for node in &self.nodes {
                let state = state(node).await;
                let seen: String = node.query(&["CLUSTER", "NODES"]).await;
                if state != "ok" || !self.is_right(&seen) {
                    return Err(format!("{} is {state} and sees\n{seen}", node.address()));
                }
            }
            Ok(())
        })
        .await;
    }

    /// Whether `CLUSTER NODES` tells of these nodes alone, all in reach, with the slots that they have.
    fn is_right(&self, seen: &str) -> bool {
        let mut slots = BTreeMap::new();
        for line in seen.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(number) = self.ids.iter().position(|id| words[0] == id) else { return false };
            if words[2].contains("fail") || words[2].contains("handshake") || words[7] != "connected" {
                return false;
            }
            // What stands in brackets is on its way.
            for range in words[8..].iter().filter(|range| !range.starts_with('[')) {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let range = first.parse::<u16>().unwrap()..=last.parse().unwrap();
                slots.extend(range.map(|slot| (slot, number)));
            }
        }
        slots.into_values().eq(self.owners.iter().copied()) && seen.lines().count() == self.nodes.len()
    }
}

/// The slot of a key: of what stands between its first `{` and the next `}`, where there is anything; or of all of it.
#[must_use]
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

fn options() -> Options {
    Options::new()
        .set("cluster-enabled", "yes")
        .set("cluster-config-file", "nodes.conf")
        .set("cluster-node-timeout", NODE_TIMEOUT_MS)
        .set("cluster-port", &port::free().port().to_string())
}

async fn state(node: &Server) -> String {
    let info: String = node.query(&["CLUSTER", "INFO"]).await;
    info.lines().find_map(|line| line.strip_prefix("cluster_state:")).unwrap_or_default().to_owned()
}
