//! Raises an alert, unless one of its key fires already: so many may see the same, and one is told.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, Condition, Stamp};

use super::{
    KEYS,
    body::{decode_alert, encode_alert, encode_key},
};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Tells of a condition.
#[derive(Debug, Clone)]
pub struct Raise<'a> {
    /// Which.
    pub condition: &'a Condition,
    /// Since when it holds.
    pub at: Stamp,
    /// How many there may be.
    pub limits: Limits,
}

/// How many alerts are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Those that fire. More are refused: nobody reads them.
    pub firing: u32,
    /// All. Of more the oldest is forgotten, even if it fires; then it is raised anew if it still holds.
    pub kept: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Raised {
    /// It is told.
    New(Alert),
    /// It had been told, and still fires.
    Known(Alert),
    /// Too many fire.
    Full,
}

impl Default for Limits {
    fn default() -> Self {
        Self { firing: 1_000, kept: 10_000 }
    }
}

impl Raise<'_> {
    fn alert(&self, id: u64) -> Alert {
        Alert { id, condition: self.condition.clone(), raised: self.at, resolved: None, acknowledged: None }
    }
}

impl Operation for Raise<'_> {
    type Reply = Raised;

    const SCRIPT: &'static str = scripts::RAISE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let Limits { firing, kept } = self.limits;
        let (key, alert) = (encode_key(&self.condition.key), encode_alert(&self.alert(0)));
        let [publish, channel] = place.alerts();
        vec![key, alert, digits(firing), digits(kept.max(1)), publish, channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Raised, StoreError> {
        let outcome = reply.number::<u8>()?;
        let (id, body) = (reply.number()?, reply.bytes()?);
        let alert = || decode_alert(id, &body)?.ok_or_else(|| StoreError::Protocol("an alert without a kind".into()));
        match outcome {
            0 => Ok(Raised::Full),
            1 => Ok(Raised::Known(alert()?)),
            _ => Ok(Raised::New(alert()?)),
        }
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Raised {
        let held = &mut memory.alerts;
        if let Some(known) = held.firing.get(&self.condition.key).and_then(|id| held.alerts.get(id)) {
            return Raised::Known(known.clone());
        }
        if held.firing.len() >= self.limits.firing as usize {
            return Raised::Full;
        }
        let id = held.number(now);
        let alert = self.alert(id);
        held.firing.insert(self.condition.key.clone(), id);
        held.tell(id, &alert);
        while held.alerts.len() > self.limits.kept.max(1) as usize {
            let Some((id, old)) = held.alerts.pop_first() else { break };
            if held.firing.get(&old.condition.key) == Some(&id) {
                held.firing.remove(&old.condition.key);
            }
        }
        Raised::New(alert)
    }
}
