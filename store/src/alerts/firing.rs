//! The alerts that fire.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, Stamp};

use super::{KEYS, body::decode_alert};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Asks for all that fire, from the oldest.
#[derive(Debug, Clone)]
pub struct Firing;

impl Operation for Firing {
    type Reply = Vec<Alert>;

    const SCRIPT: &'static str = scripts::FIRING;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS[1..3].iter().map(|what| keys.fleet(what)).collect()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Alert>, StoreError> {
        let mut alerts = many(reply)?;
        alerts.sort_by_key(|alert| alert.id);
        Ok(alerts)
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Vec<Alert> {
        let held = &memory.alerts;
        let mut ids: Vec<_> = held.firing.values().collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| held.alerts.get(id)).cloned().collect()
    }
}

/// Ids and alerts, until nothing is left.
pub(super) fn many(reply: &mut Reply) -> Result<Vec<Alert>, StoreError> {
    let mut alerts = Vec::new();
    while !reply.is_over() {
        alerts.extend(decode_alert(reply.number()?, &reply.bytes()?)?);
    }
    Ok(alerts)
}

/// An id and an alert; the id 0 stands for none.
pub(super) fn one(reply: &mut Reply) -> Result<Option<Alert>, StoreError> {
    let (id, body) = (reply.number()?, reply.bytes()?);
    if id == 0 { Ok(None) } else { decode_alert(id, &body) }
}
