//! Reads what the fleet has counted of a provider.

use std::{cmp::Reverse, collections::BTreeMap, ops::RangeInclusive, time::Duration};

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Seen, Stamp};

use super::{Bucket, KEYS, MINUTES, SECONDS};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Patterns that are told, at most.
const MOST_PATTERNS: usize = 20;

/// Asks for a provider's counts.
#[derive(Debug, Clone)]
pub struct Counts<'a> {
    /// Whose.
    pub provider: &'a str,
}

/// What was counted of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Since when the hour's are counted: an hour ago and up to a minute more, or later in a young fleet.
    pub since: Stamp,
    /// In the last sixty seconds, the present one among them.
    pub minute: Total,
    /// In the last hour.
    pub hour: Total,
    /// The commonest "kind:operation" of the hour and how many, the commonest first; 20 at most.
    pub patterns: Vec<(String, u64)>,
}

/// Calls and errors of some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Total {
    /// Calls that ended.
    pub calls: u64,
    /// Those that failed, by the name of the error's kind.
    pub errors: BTreeMap<String, u64>,
}

impl Tally {
    /// How far back the hour's counts reach at `now`, when they were read.
    #[must_use]
    pub fn reach(&self, now: Stamp) -> Duration {
        now.since(self.since)
    }

    /// The errors of one kind as they are looked at for a spike.
    #[must_use]
    pub fn seen(&self, kind: &str, now: Stamp) -> Seen {
        let of = |total: &Total| total.errors.get(kind).copied().unwrap_or(0);
        Seen { minute: of(&self.minute), hour: of(&self.hour), reach: self.reach(now) }
    }
}

impl Total {
    /// Errors of every kind.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Operation for Counts<'_> {
    type Reply = Tally;

    const SCRIPT: &'static str = scripts::COUNTS;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        KEYS.into_iter().take(3).map(|what| keys.provider(self.provider, what)).collect()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Tally, StoreError> {
        let since = Stamp::from_millis(reply.number()?);
        let (of_minute, of_hour) = (reply.number()?, reply.number()?);
        Ok(Tally {
            since,
            minute: Total { calls: of_minute, errors: names(&mut reply.list()?)? },
            hour: Total { calls: of_hour, errors: names(&mut reply.list()?)? },
            patterns: commonest(names(&mut reply.list()?)?),
        })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Tally {
        let millis = now.as_millis();
        let (second, minute) = (millis / 1_000, millis / 60_000);
        let Some(held) = memory.errors.get(self.provider) else {
            return Tally { since: now, minute: Total::default(), hour: Total::default(), patterns: Vec::new() };
        };
        let counted = held.last.is_some_and(|last| last + MINUTES > minute);
        let oldest = Stamp::from_millis(minute.saturating_sub(MINUTES - 1) * 60_000);
        let hour = minute.saturating_sub(MINUTES - 1)..=minute;
        Tally {
            since: if counted { held.since.max(oldest) } else { now },
            minute: total(&held.seconds, second.saturating_sub(SECONDS - 1)..=second),
            patterns: commonest(sum(held.minutes.range(hour.clone()).map(|(_, bucket)| &bucket.patterns))),
            hour: total(&held.minutes, hour),
        }
    }
}

fn total(ring: &BTreeMap<u64, Bucket>, span: RangeInclusive<u64>) -> Total {
    let buckets = || ring.range(span.clone()).map(|(_, bucket)| bucket);
    Total { calls: buckets().map(|bucket| bucket.calls).sum(), errors: sum(buckets().map(|bucket| &bucket.kinds)) }
}

fn sum<'a>(counts: impl Iterator<Item = &'a BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut sum = BTreeMap::new();
    for (name, many) in counts.flatten() {
        *sum.entry(name.clone()).or_default() += many;
    }
    sum
}

pub(super) fn names(list: &mut Reply) -> Result<BTreeMap<String, u64>, StoreError> {
    let mut names = BTreeMap::new();
    while !list.is_over() {
        names.insert(list.text()?, list.number()?);
    }
    Ok(names)
}

fn commonest(patterns: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut patterns: Vec<_> = patterns.into_iter().collect();
    // Those as common as each other stay in the order of their names.
    patterns.sort_by_key(|(_, many)| Reverse(*many));
    patterns.truncate(MOST_PATTERNS);
    patterns
}
