//! Silences: alerts that match one are not delivered until it ends. Whether one matches is not judged here.

mod end;
mod list;
mod set;

use std::collections::BTreeMap;

use fusebox_proto::store::Silence as Body;
use fusebox_rules::fleet::Stamp;
use prost::Message as _;

pub use self::{end::End, list::List, set::Set};
use crate::{StoreError, operation::Reply};

/// What the scripts touch.
const KEYS: [&str; 2] = ["silences", "silences:ends"];
/// Silences of a fleet. More are refused: somebody has to know what is not told.
const MOST: u32 = 1_000;

/// A silence that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Given by the store: its time in milliseconds when it was set, or later.
    pub id: u64,
    /// What it matches, and whose word it is.
    pub body: Body,
}

/// In memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// By their ids.
    silences: BTreeMap<u64, Body>,
    /// The newest id.
    last: u64,
    /// How often any was set or ended.
    changes: u64,
}

impl Held {
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    /// What has ended is gone.
    fn sweep(&mut self, now: Stamp) {
        self.silences.retain(|_, body| ends(body).is_none_or(|ends| ends > now));
    }
}

/// When it ends by itself; `None`: it does not.
fn ends(body: &Body) -> Option<Stamp> {
    let expires = body.word.as_ref().map_or(0, |word| word.expires_ms);
    (expires > 0).then(|| Stamp::from_millis(expires.min(LATEST)))
}

/// Later than any time that is meant; keeps numbers exact in scripts.
const LATEST: u64 = 1 << 52;

/// An id and a silence.
fn read(reply: &mut Reply) -> Result<Silence, StoreError> {
    let id = reply.number()?;
    let body = Body::decode(reply.bytes()?.as_slice());
    Ok(Silence { id, body: body.map_err(|error| StoreError::Protocol(format!("a silence: {error}")))? })
}
