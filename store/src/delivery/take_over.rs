//! Begins to deliver, in the place of whoever did.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{KEPT_FOR, KEYS};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, millis},
};

/// Takes the latest fence: what is put under an earlier one is refused from now on. Asked by whoever holds the lock.
#[derive(Debug, Clone)]
pub struct TakeOver;

/// From where to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead {
    /// Under which to put what becomes of deliveries.
    pub fence: u64,
    /// The number of the event up to which all is known; `None`: nobody has delivered anything yet, or what they had
    /// kept is lost.
    pub cursor: Option<u64>,
}

impl Operation for TakeOver {
    type Reply = Lead;

    const SCRIPT: &'static str = scripts::TAKE_OVER;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet(KEYS[0])]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![millis(KEPT_FOR)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Lead, StoreError> {
        let (fence, cursor) = (reply.number()?, reply.number()?);
        Ok(Lead { fence, cursor: Some(cursor).filter(|cursor| *cursor > 0) })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Lead {
        let held = &mut memory.deliveries;
        let fence = held.fence.map_or(0, |fence| fence + 1).max(now.as_millis());
        held.fence = Some(fence);
        Lead { fence, cursor: Some(held.cursor).filter(|cursor| *cursor > 0) }
    }
}
