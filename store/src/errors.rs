//! Calls and errors of a provider over the whole fleet: seconds for a minute, minutes for an hour.

mod count;
mod counts;

use std::collections::{BTreeMap, HashMap};

use fusebox_rules::fleet::Stamp;

pub use self::{
    count::{Count, Failures},
    counts::{Counts, Tally, Total},
};
use crate::recent::Recent;

/// What the scripts touch.
const KEYS: [&str; 5] = ["errors:seconds", "errors:minutes", "errors:span", "errors:told", "errors:heard"];
/// Seconds that are kept, the present one among them.
const SECONDS: u64 = 60;
/// Minutes that are kept: the present one, and an hour before it.
const MINUTES: u64 = 61;
/// After so long without a word, counting begins anew.
const IDLE_MS: u64 = MINUTES * 60_000;

/// In memory, by provider.
pub(crate) type Errors = HashMap<String, Held>;

/// One provider's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    seconds: BTreeMap<u64, Bucket>,
    minutes: BTreeMap<u64, Bucket>,
    since: Stamp,
    last: Option<Stamp>,
    /// Sidecars' last numbers.
    told: Recent<u64>,
}

/// What was counted in one second, or one minute.
#[derive(Debug, Clone, Default)]
struct Bucket {
    calls: u64,
    kinds: BTreeMap<String, u64>,
    /// Of a minute only.
    patterns: BTreeMap<String, u64>,
}
