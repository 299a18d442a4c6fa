//! Ends an alert whose condition holds no longer.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, AlertKey, Stamp};

use super::{
    KEYS,
    body::{encode_key, encode_resolved},
    firing::one,
};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Says that it is over; the reply is the alert that was, if one fired.
#[derive(Debug, Clone)]
pub struct Resolve<'a> {
    /// What.
    pub key: &'a AlertKey,
    /// When.
    pub at: Stamp,
}

impl Operation for Resolve<'_> {
    type Reply = Option<Alert>;

    const SCRIPT: &'static str = scripts::RESOLVE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let [publish, channel] = place.alerts();
        vec![encode_key(self.key), encode_resolved(self.at), publish, channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Option<Alert>, StoreError> {
        one(reply)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Option<Alert> {
        let held = &mut memory.alerts;
        let id = held.firing.remove(self.key)?;
        let mut alert = held.alerts.get(&id)?.clone();
        alert.resolved = Some(self.at.max(Stamp::from_millis(1)));
        held.tell(held.number(now), &alert);
        Some(alert)
    }
}
