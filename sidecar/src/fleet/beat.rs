//! A heartbeat a second: that this sidecar is there, and how it is.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use fusebox_proto::store::Heartbeat;
use fusebox_store::presence::{Beat, Leave};

use super::{Fleet, Portrait, jittered};

/// Between two heartbeats.
const EVERY: Duration = Duration::from_secs(1);

impl Fleet {
    /// Says that it is there, again and again. Does not end.
    pub(super) async fn beat(self: Arc<Self>, portrait: Portrait) {
        loop {
            let heartbeat = Heartbeat { id: self.id.to_string(), ..portrait() };
            // A pause that is a little longer than was said must not look like a missed beat.
            if let Ok((_, beaten)) = self.ask(&Beat { heartbeat: &heartbeat, every: EVERY * 2 }).await {
                self.live.store(beaten.live, Relaxed);
            }
            tokio::time::sleep(jittered(EVERY)).await;
        }
    }

    /// Says that it goes.
    pub async fn leave(&self) {
        let _ = self.ask(&Leave { sidecar: &self.id }).await;
    }
}
