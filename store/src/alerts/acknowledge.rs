//! Somebody says that they know of an alert. Who said so first, said so.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, Stamp};

use super::{KEYS, body::encode_acknowledged, firing::one};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Notes it; the reply is the alert, if there is one.
#[derive(Debug, Clone)]
pub struct Acknowledge<'a> {
    /// Which.
    pub id: u64,
    /// Who knows.
    pub by: &'a str,
    /// When they said so.
    pub at: Stamp,
}

/// Of a name, in bytes: what is longer is cut.
const MOST_NAME_BYTES: usize = 256;

impl Acknowledge<'_> {
    fn by(&self) -> &str {
        &self.by[..self.by.floor_char_boundary(MOST_NAME_BYTES)]
    }
}

impl Operation for Acknowledge<'_> {
    type Reply = Option<Alert>;

    const SCRIPT: &'static str = scripts::ACKNOWLEDGE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let [publish, channel] = place.alerts();
        vec![digits(self.id), encode_acknowledged(self.at, self.by()), publish, channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Option<Alert>, StoreError> {
        one(reply)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Option<Alert> {
        let held = &mut memory.alerts;
        let mut alert = held.alerts.get(&self.id)?.clone();
        if alert.acknowledged.is_none() {
            alert.acknowledged = Some((self.at.max(Stamp::from_millis(1)), self.by().to_owned()));
            held.tell(held.number(now), &alert);
        }
        Some(alert)
    }
}
