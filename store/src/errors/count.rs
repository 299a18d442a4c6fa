//! A sidecar adds what it has counted of late. Told twice, it counts once.

use std::{collections::BTreeMap, time::Duration};

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::Stamp;

use super::{Bucket, IDLE_MS, KEYS, MINUTES, SECONDS};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Adds to a provider's counts; the reply is whether it did, or had before.
#[derive(Debug, Clone)]
pub struct Count<'a> {
    /// Whose.
    pub provider: &'a str,
    /// Who counted.
    pub sidecar: &'a str,
    /// Tells one such message of the sidecar from another: greater than any before it, also before a restart (begin
    /// with the shared time in milliseconds), and the same when the same is told again. Below 2^53. What is told
    /// again after ten minutes, or after a later one, may count twice or not at all.
    pub number: u64,
    /// Calls that ended, well or not.
    pub calls: u32,
    /// Those that failed, each kind and operation once. What is more than 128 is left out.
    pub failures: &'a [Failures<'a>],
}

/// How many calls failed in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures<'a> {
    /// The error's kind, by its name.
    pub kind: &'a str,
    /// What was asked, by its name.
    pub operation: &'a str,
    /// How many.
    pub count: u32,
}

/// Ways to fail in one message: far more than there are.
const MOST_FAILURES: usize = 128;
/// Names in one bucket; what has another is counted as `other`.
const MOST_KINDS: u32 = 32;
const MOST_PATTERNS: u32 = 128;
/// Sidecars whose numbers are remembered.
const MOST_SIDECARS: u32 = 20_000;
/// For how long. Also in the script.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Sidecars forgotten by one message, at most.
const SWEEP: usize = 16;

impl Operation for Count<'_> {
    type Reply = bool;

    const SCRIPT: &'static str = scripts::COUNT;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.map(|what| keys.provider(self.provider, what)).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let mut arguments = vec![self.sidecar.into(), digits(self.number), digits(self.calls)];
        arguments.extend([MOST_SIDECARS, MOST_KINDS, MOST_PATTERNS].map(digits));
        for Failures { kind, operation, count } in self.failures.iter().take(MOST_FAILURES) {
            arguments.extend([(*kind).into(), (*operation).into(), digits(*count)]);
        }
        arguments
    }

    fn read(&self, reply: &mut Reply) -> Result<bool, StoreError> {
        Ok(reply.number::<u8>()? == 1)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> bool {
        let held = memory.errors.entry(self.provider.to_owned()).or_default();
        let millis = now.as_millis();
        if let Some(end) = millis.checked_sub(u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX)) {
            held.told.forget(Stamp::from_millis(end), SWEEP);
        }
        if held.told.get(self.sidecar).is_some_and(|told| self.number <= *told) {
            return false;
        }
        held.told.put(self.sidecar, now, self.number);
        held.told.keep(MOST_SIDECARS as usize);
        if held.last.is_none_or(|last| last.as_millis() + IDLE_MS < millis) {
            held.since = now;
        }
        held.last = Some(now);
        let second = millis / 1_000;
        self.add(&mut held.seconds, SECONDS, second, false);
        self.add(&mut held.minutes, MINUTES, second / 60, true);
        true
    }
}

impl Count<'_> {
    fn add(&self, ring: &mut BTreeMap<u64, Bucket>, slots: u64, at: u64, with_patterns: bool) {
        // As in a ring, where each takes the place of one that is as many slots away.
        ring.retain(|other, _| *other == at || other % slots != at % slots);
        let bucket = ring.entry(at).or_default();
        bucket.calls += u64::from(self.calls);
        for Failures { kind, operation, count } in self.failures.iter().take(MOST_FAILURES) {
            put(&mut bucket.kinds, (*kind).to_owned(), *count, MOST_KINDS);
            if with_patterns {
                put(&mut bucket.patterns, format!("{kind}:{operation}"), *count, MOST_PATTERNS);
            }
        }
    }
}

fn put(counts: &mut BTreeMap<String, u64>, name: String, many: u32, most: u32) {
    let known = counts.contains_key(&name) || counts.len() < most as usize;
    let name = if known { name } else { "other".to_owned() };
    *counts.entry(name).or_default() += u64::from(many);
}
