//! How deliveries of alerts go, kept so that any replica can go on where another stopped: a cursor into the events, and
//! records that the store does not read. One delivers at a time, by a lock; a fence keeps out whoever wrongly thinks
//! that it still does.

mod changed;
mod put;
mod take_over;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

pub use self::{
    changed::{Change, Changed, Deliveries},
    put::PutDeliveries,
    take_over::{Lead, TakeOver},
};

/// What the scripts touch.
const KEYS: [&str; 3] = ["delivery:state", "delivery:bodies", "delivery:order"];
/// Records that are kept. Of more, those go that were not changed for the longest.
pub const MOST_RECORDS: usize = 10_000;
/// Records in one reply.
const MOST_IN_PAGE: u32 = 500;
/// How long all of it is kept after the last change: as long as alerts are.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// What a record is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// Of the alert with this id.
    Alert(u64),
    /// Of the channel with this name.
    Channel(String),
}

/// One record: bytes that the store does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Of what.
    pub name: Name,
    /// What it says.
    pub body: Vec<u8>,
}

/// In memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// `None`: nobody has taken over.
    fence: Option<u64>,
    cursor: u64,
    /// The number of the last change.
    last: u64,
    bodies: HashMap<Name, (u64, Vec<u8>)>,
    /// By the number of their last change.
    order: BTreeMap<u64, Name>,
}

impl Name {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Alert(id) => format!("a:{id}"),
            Self::Channel(name) => format!("c:{name}"),
        }
        .into_bytes()
    }

    /// `None`: it is of something that only a newer version knows.
    fn decode(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("a", id) => id.parse().ok().map(Self::Alert),
            ("c", name) => Some(Self::Channel(name.to_owned())),
            _ => None,
        }
    }
}

impl Held {
    fn put(&mut self, record: &Record) {
        self.last += 1;
        let placed = (self.last, record.body.clone());
        if let Some((former, _)) = self.bodies.insert(record.name.clone(), placed) {
            self.order.remove(&former);
        }
        self.order.insert(self.last, record.name.clone());
    }

    fn forget(&mut self, name: &Name) {
        if let Some((number, _)) = self.bodies.remove(name) {
            self.order.remove(&number);
        }
    }
}
