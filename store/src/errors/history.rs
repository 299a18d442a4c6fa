//! What the fleet has counted of a provider in the last hour, minute by minute.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{HOUR, KEYS, counts::names};
use crate::{
    Memory, Operation, StoreError,
    errors::Total,
    operation::{Place, Reply, digits},
};

/// Asks for a provider's last sixty minutes. All are told, those in which nothing was counted too, from the oldest; the
/// last one is the present one, which is not over.
#[derive(Debug, Clone)]
pub struct History<'a> {
    /// Whose.
    pub provider: &'a str,
}

/// What was counted in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub at: Stamp,
    /// What was counted.
    pub total: Total,
}

impl Operation for History<'_> {
    type Reply = Vec<Minute>;

    const SCRIPT: &'static str = scripts::HISTORY;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.provider(self.provider, KEYS[1])]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![digits(HOUR)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Minute>, StoreError> {
        let mut minutes = quiet(reply.number()?);
        while !reply.is_over() {
            let at = Stamp::from_millis(reply.number::<u64>()?.saturating_mul(60_000));
            let total = Total { calls: reply.number()?, errors: names(&mut reply.list()?)? };
            if let Some(minute) = minutes.iter_mut().find(|minute| minute.at == at) {
                minute.total = total;
            }
        }
        Ok(minutes)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Vec<Minute> {
        let mut minutes = quiet(now.as_millis() / 60_000);
        let Some(held) = memory.errors.get(self.provider) else { return minutes };
        for minute in &mut minutes {
            if let Some(bucket) = held.minutes.get(&(minute.at.as_millis() / 60_000)) {
                minute.total = Total { calls: bucket.calls, errors: bucket.kinds.clone() };
            }
        }
        minutes
    }
}

/// The minutes until `present`, in which nothing was counted.
fn quiet(present: u64) -> Vec<Minute> {
    let at = |minute: u64| Stamp::from_millis(minute.saturating_mul(60_000));
    (present.saturating_sub(HOUR - 1)..=present)
        .map(|minute| Minute { at: at(minute), total: Total::default() })
        .collect()
}
