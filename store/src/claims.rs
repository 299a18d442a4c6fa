//! Calls that a caller says are the same: of those under way anywhere, the first claims it and asks a provider, and the
//! others wait for its answer.
//!
//! A claim is on lease. Its holder renews it by claiming again; if it dies, the next one to ask gets the claim, although
//! nobody knows whether the provider was asked: a caller for whom asking twice is worse than no answer must not be let
//! through by this. Where the store is lost, each sidecar knows only its own calls. The first answer that is finished is
//! the one that all get, also where its holder had lost the claim meanwhile.

mod claim;
mod finish;
mod release;

use std::time::Duration;

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::Stamp;

pub use self::{
    claim::{Claim, Claimed},
    finish::Finish,
    release::Release,
};
use crate::{body::Body, digest::SharedDigest, recent::Recent};

/// The longest that a claim or an answer lasts.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Claims that are kept in memory. What ends first gives way to more.
const MOST: usize = 65_536;
/// Bytes of answers that are kept in memory.
const MOST_BYTES: usize = 64 * 1_024 * 1_024;

/// In memory, by digest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    claims: Recent<Entry>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    until: Stamp,
    since: Stamp,
    is: Is,
}

#[derive(Debug, Clone)]
enum Is {
    InFlight(String),
    Done(Body),
}

impl Entry {
    fn bytes(&self) -> usize {
        match &self.is {
            Is::InFlight(_) => 0,
            Is::Done(body) => body.as_bytes().len(),
        }
    }
}

impl Held {
    fn get(&self, digest: &SharedDigest, now: Stamp) -> Option<&Entry> {
        self.claims.get(&digest.hex()).filter(|entry| entry.until > now)
    }

    fn put(&mut self, digest: &SharedDigest, entry: Entry) {
        self.remove(digest);
        self.bytes += entry.bytes();
        self.claims.put(&digest.hex(), entry.until, entry);
        while self.bytes > MOST_BYTES || self.claims.len() > MOST {
            let Some(gone) = self.claims.pop_first() else { return };
            self.bytes -= gone.bytes();
        }
    }

    fn remove(&mut self, digest: &SharedDigest) {
        if let Some(gone) = self.claims.remove(&digest.hex()) {
            self.bytes -= gone.bytes();
        }
    }
}

fn key(keys: &Keys, digest: &SharedDigest) -> String {
    keys.item("claim", &digest.hex(), "claim")
}
