//! What has changed of how deliveries go: for whoever takes over, and for all that show it.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{KEYS, MOST_IN_PAGE, Name, Record};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Asks for a page, from what was changed first. One without changes is the end for now.
#[derive(Debug, Clone)]
pub struct Deliveries {
    /// The number of the change after which it begins; 0: all that is kept.
    pub after: u64,
    /// How many, at most; from 1 to 500.
    pub most: u32,
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Records that are kept. Who knows of more, or fewer, after the last page has missed that some were forgotten.
    pub kept: u64,
    /// The latest of each record.
    pub changes: Vec<Change>,
}

/// A record that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Grows from one change to the next, even if what was kept is lost.
    pub number: u64,
    /// As it is now; `None`: it is of something that only a newer version knows.
    pub record: Option<Record>,
}

impl Operation for Deliveries {
    type Reply = Changed;

    const SCRIPT: &'static str = scripts::DELIVERIES;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS[1..].iter().map(|what| keys.fleet(what)).collect()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![digits(self.after), digits(self.most.clamp(1, MOST_IN_PAGE))]
    }

    fn read(&self, reply: &mut Reply) -> Result<Changed, StoreError> {
        let kept = reply.number()?;
        let mut changes = Vec::new();
        while !reply.is_over() {
            let (number, name, body) = (reply.number()?, reply.text()?, reply.bytes()?);
            changes.push(Change { number, record: Name::decode(&name).map(|name| Record { name, body }) });
        }
        Ok(Changed { kept, changes })
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Changed {
        let held = &memory.deliveries;
        let page = held.order.range(self.after + 1..).take(self.most.clamp(1, MOST_IN_PAGE) as usize);
        let change = |(number, name): (&u64, &Name)| {
            let (_, body) = held.bodies.get(name)?;
            Some(Change { number: *number, record: Some(Record { name: name.clone(), body: body.clone() }) })
        };
        Changed { kept: held.order.len() as u64, changes: page.filter_map(change).collect() }
    }
}
