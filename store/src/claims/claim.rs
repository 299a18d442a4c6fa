//! Claims a call, or renews the claim, or learns who has it or what came of it.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{Entry, Is, LONGEST, key};
use crate::{
    Memory, Operation, StoreError,
    body::Body,
    digest::SharedDigest,
    operation::{Place, Reply, SHORTEST, millis},
};

/// Asks to be the one who makes a call.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    /// Of the caller and its key. That one key is not used for two questions is for the asker to see: what is asked can
    /// stand in the holder, and in the body.
    pub digest: SharedDigest,
    /// Who asks: one call of one sidecar, and no other.
    pub holder: &'a str,
    /// How long the claim holds unless it is renewed; no longer than a week.
    pub lasts: Duration,
}

/// Whose the call is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The asker's: it asks a provider, and then finishes or releases the claim.
    Mine,
    /// Another's: wait, and ask again.
    InFlight {
        /// Whose.
        holder: String,
        /// Since when.
        since: Stamp,
    },
    /// It has been answered.
    Done {
        /// The answer that all get.
        body: Body,
    },
}

impl Claim<'_> {
    fn lasts(&self) -> Duration {
        self.lasts.clamp(SHORTEST, LONGEST)
    }
}

impl Operation for Claim<'_> {
    type Reply = Claimed;

    const SCRIPT: &'static str = scripts::CLAIM;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, &self.digest)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.holder.into(), millis(self.lasts())]
    }

    fn read(&self, reply: &mut Reply) -> Result<Claimed, StoreError> {
        let (is, since) = (reply.number::<u8>()?, Stamp::from_millis(reply.number()?));
        match is {
            0 => Ok(Claimed::Mine),
            1 => Ok(Claimed::InFlight { holder: reply.text()?, since }),
            2 => Ok(Claimed::Done { body: Body::read(reply)? }),
            _ => Err(StoreError::Protocol("a claim is in no known state".to_owned())),
        }
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Claimed {
        let held = memory.claims.get(&self.digest, now);
        let since = match held {
            Some(Entry { is: Is::Done(body), .. }) => return Claimed::Done { body: body.clone() },
            Some(Entry { is: Is::InFlight(holder), since, .. }) if holder != self.holder => {
                return Claimed::InFlight { holder: holder.clone(), since: *since };
            }
            Some(Entry { since, .. }) => *since,
            None => now,
        };
        let is = Is::InFlight(self.holder.to_owned());
        memory.claims.put(&self.digest, Entry { until: now + self.lasts(), since, is });
        Claimed::Mine
    }
}
