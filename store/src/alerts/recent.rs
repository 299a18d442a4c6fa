//! All alerts of late as they are now, page by page.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Alert, Stamp};

use super::{KEYS, MOST_IN_PAGE, firing::many};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Asks for a page, from the newest. An empty one is the end.
#[derive(Debug, Clone)]
pub struct Recent {
    /// The id that it ends before: the last one's of the page before it. `None`: it begins with the newest.
    pub before: Option<u64>,
    /// How many, at most; from 1 to 500.
    pub most: u32,
}

impl Operation for Recent {
    type Reply = Vec<Alert>;

    const SCRIPT: &'static str = scripts::RECENT;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS[2..].iter().map(|what| keys.fleet(what)).collect()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        // No alert has the id 0, or one before it.
        vec![digits(self.before.map_or(0, |before| before.max(1))), digits(self.most.clamp(1, MOST_IN_PAGE))]
    }

    fn read(&self, reply: &mut Reply) -> Result<Vec<Alert>, StoreError> {
        many(reply)
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Vec<Alert> {
        let before = self.before.unwrap_or(u64::MAX);
        let page = memory.alerts.alerts.range(..before).rev().take(self.most.clamp(1, MOST_IN_PAGE) as usize);
        page.map(|(_, alert)| alert.clone()).collect()
    }
}
