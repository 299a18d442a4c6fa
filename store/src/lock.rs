//! A lock by name, on lease: one process at a time does something that all could. Who holds it renews it by asking
//! again; who dies loses it when the lease ends. A holder that was stopped for longer may wrongly think that it still
//! holds it: what is done under a lock is harmless when done twice.

use std::{collections::HashMap, time::Duration};

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, millis},
};

/// In memory: until when, and whose.
pub(crate) type Held = HashMap<String, (Stamp, String)>;

/// Takes a lock, or renews it.
#[derive(Debug, Clone)]
pub struct Lock<'a> {
    /// For what.
    pub name: &'static str,
    /// Who asks.
    pub holder: &'a str,
    /// For how long.
    pub lasts: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Whether it is the asker's now.
    pub mine: bool,
    /// Whose it is.
    pub holder: String,
}

/// Gives a lock back before its lease ends; the reply is whether it was the asker's.
#[derive(Debug, Clone)]
pub struct Unlock<'a> {
    /// For what.
    pub name: &'static str,
    /// Who asks.
    pub holder: &'a str,
}

impl Operation for Lock<'_> {
    type Reply = Locked;

    const SCRIPT: &'static str = scripts::LOCK;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, self.name)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.holder.into(), millis(self.lasts)]
    }

    fn read(&self, reply: &mut Reply) -> Result<Locked, StoreError> {
        Ok(Locked { mine: reply.number::<u8>()? == 1, holder: reply.text()? })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Locked {
        let held = memory.locks.get(self.name).filter(|(until, _)| *until > now);
        if let Some((_, holder)) = held.filter(|(_, holder)| holder != self.holder) {
            return Locked { mine: false, holder: holder.clone() };
        }
        let until = now + self.lasts.max(Duration::from_millis(1));
        memory.locks.insert(self.name.to_owned(), (until, self.holder.to_owned()));
        Locked { mine: true, holder: self.holder.to_owned() }
    }
}

impl Operation for Unlock<'_> {
    type Reply = bool;

    const SCRIPT: &'static str = scripts::UNLOCK;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![key(keys, self.name)]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        vec![self.holder.into()]
    }

    fn read(&self, reply: &mut Reply) -> Result<bool, StoreError> {
        Ok(reply.number::<u8>()? == 1)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> bool {
        let mine = memory.locks.get(self.name).is_some_and(|(until, holder)| *until > now && holder == self.holder);
        if mine {
            memory.locks.remove(self.name);
        }
        mine
    }
}

fn key(keys: &Keys, name: &str) -> String {
    keys.fleet(&format!("lock:{name}"))
}
