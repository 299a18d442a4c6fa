//! A sidecar says that it is there, and learns in the same breath how many are and whether settings have changed.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts, store::Heartbeat};
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

use super::{KEPT, KEYS, LATELY, MISSED, MOST_SIDECARS, SWEEP};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, before, digits, millis},
};

/// Stores a heartbeat in the place of the sidecar's last.
#[derive(Debug, Clone)]
pub struct Beat<'a> {
    /// What it says of itself, with its id.
    pub heartbeat: &'a Heartbeat,
    /// How soon the next one comes. This one holds [`MISSED`] times as long, and no longer than an hour.
    pub every: Duration,
}

/// What a heartbeat is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beaten {
    /// Sidecars that are there, this one among them.
    pub live: u32,
    /// Of the fleet's settings; 0: nothing was ever set, or the store has lost it.
    pub settings_version: u64,
}

impl Beat<'_> {
    fn lasts(&self) -> Duration {
        self.every.saturating_mul(MISSED).clamp(Duration::from_millis(1), KEPT)
    }
}

impl Operation for Beat<'_> {
    type Reply = Beaten;

    const SCRIPT: &'static str = scripts::BEAT;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.into_iter().chain(["settings"]).map(|what| keys.fleet(what)).collect()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let (id, heartbeat) = (self.heartbeat.id.clone().into_bytes(), self.heartbeat.encode_to_vec());
        vec![id, heartbeat, millis(self.lasts()), digits(MOST_SIDECARS), millis(KEPT), millis(LATELY)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Beaten, StoreError> {
        Ok(Beaten { live: reply.number()?, settings_version: reply.number()? })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Beaten {
        let held = &mut memory.presence;
        held.0.forget(before(now, LATELY), SWEEP);
        held.0.put(&self.heartbeat.id, now + self.lasts(), (now, self.heartbeat.clone()));
        held.0.keep(MOST_SIDECARS as usize);
        Beaten { live: held.live(now), settings_version: memory.settings.version() }
    }
}
