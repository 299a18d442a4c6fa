//! All that are there, and if asked those that were of late, page by page in the order of their ids: one that stays is
//! seen once, whoever comes and goes.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts, store::Heartbeat};
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

use super::{KEYS, LATELY};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Heartbeats in one reply, at most.
const MOST: u32 = 500;

/// Reads a page of heartbeats.
#[derive(Debug, Clone)]
pub struct Live<'a> {
    /// The id after which it begins; empty: from the first.
    pub after: &'a str,
    /// How many, at most; from 1 to 500.
    pub most: u32,
    /// How long ago one may have been taken for gone to be told all the same; [`LATELY`](super::LATELY) at most. Zero:
    /// only those that are there. One that left is not told.
    pub lately: Duration,
}

/// Some of the sidecars.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// By their ids. There may be none although more follow.
    pub sidecars: Vec<Alive>,
    /// The id after which the next page begins; `None`: this is the last.
    pub next: Option<String>,
}

/// A sidecar that is there, or was of late.
#[derive(Debug, Clone, PartialEq)]
pub struct Alive {
    /// Whether it is there. Otherwise its heartbeats were missed, and what it said is old.
    pub live: bool,
    /// When it last said so.
    pub seen: Stamp,
    /// What it said.
    pub heartbeat: Heartbeat,
}

impl Live<'_> {
    fn lately_ms(&self) -> u64 {
        u64::try_from(self.lately.min(LATELY).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Operation for Live<'_> {
    type Reply = Page;

    const SCRIPT: &'static str = scripts::LIVE;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.fleet(what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.after.into(), digits(self.most.clamp(1, MOST)), digits(self.lately_ms())]
    }

    fn read(&self, reply: &mut Reply) -> Result<Page, StoreError> {
        let next = Some(reply.text()?).filter(|next| !next.is_empty());
        let mut sidecars = Vec::new();
        while !reply.is_over() {
            let seen = Stamp::from_millis(reply.number()?);
            let live = reply.number::<u8>()? == 1;
            let heartbeat = Heartbeat::decode(reply.bytes()?.as_slice());
            let heartbeat = heartbeat.map_err(|error| StoreError::Protocol(format!("a heartbeat: {error}")))?;
            sidecars.push(Alive { live, seen, heartbeat });
        }
        Ok(Page { sidecars, next })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Page {
        let most = self.most.clamp(1, MOST) as usize;
        let page: Vec<_> = memory.presence.0.after(self.after).take(most).collect();
        let next = page.last().filter(|_| page.len() == most).map(|(id, ..)| (*id).clone());
        let lately = Duration::from_millis(self.lately_ms());
        let alive = page.into_iter().filter(|(_, ends, _)| *ends + lately > now);
        let sidecars = alive.map(|(_, ends, (seen, heartbeat))| Alive {
            live: ends > now,
            seen: *seen,
            heartbeat: heartbeat.clone(),
        });
        Page { sidecars: sidecars.collect(), next }
    }
}
