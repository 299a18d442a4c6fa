//! Heartbeats: that this sidecar is there, and how it is.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use fusebox_proto::store::Heartbeat;
use fusebox_rules::fleet::pace;
use fusebox_store::presence::{Beat, Leave};

use super::{Fleet, Member, Portrait, jittered};
use crate::clock;

/// Heartbeats whose highest count of sidecars counts. A store that has just lost everything knows only those that have
/// come back, and one of them must not take itself for the whole fleet.
const COUNTED: usize = 5;

impl Fleet {
    /// Says that it is there, again and again. Does not end.
    pub(super) async fn beat(self: Arc<Self>, members: Vec<Member>, portrait: Portrait) {
        let mut counts = VecDeque::from([0; COUNTED]);
        loop {
            let every = pace::beats(self.live());
            let settings_version = self.orders.applied();
            let heartbeat = Heartbeat { id: self.id.to_string(), settings_version, ..portrait() };
            // A pause that is a little longer than was said must not look like a missed beat.
            if let Ok((_, beaten)) = self.ask(&Beat { heartbeat: &heartbeat, every: every * 2 }).await {
                counts.pop_front();
                counts.push_back(beaten.live);
                self.live.store(counts.iter().copied().max().unwrap_or_default(), Relaxed);
                // Whoever answers this is there for the breakers too.
                for member in &members {
                    member.gate.with_view(|view| view.heard(self.live(), clock::now()));
                }
                let _ = self.compare_orders(beaten.settings_version).await;
            }
            tokio::time::sleep(jittered(every)).await;
        }
    }

    /// Says that it goes.
    pub async fn leave(&self) {
        let _ = self.ask(&Leave { sidecar: &self.id }).await;
    }
}
