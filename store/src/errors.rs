//! Calls and errors of a provider over the whole fleet: seconds for a minute, minutes for an hour.

mod count;
mod counts;
mod history;

use std::collections::{BTreeMap, HashMap};

use fusebox_rules::fleet::Stamp;

pub use self::{
    count::{Count, Failures},
    counts::{Counts, Tally, Total},
    history::{History, Minute},
};
use crate::recent::Recent;

/// What the scripts touch.
const KEYS: [&str; 4] = ["errors:seconds", "errors:minutes", "errors:span", "errors:told"];
/// Seconds that are kept, the present one among them.
const SECONDS: u64 = 60;
/// Minutes that are told one by one, the present one among them.
const HOUR: u64 = 60;
/// Minutes that are kept: the present one, and an hour before it.
const MINUTES: u64 = 61;

/// In memory, by provider.
pub(crate) type Errors = HashMap<String, Held>;

/// One provider's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    seconds: BTreeMap<u64, Bucket>,
    minutes: BTreeMap<u64, Bucket>,
    /// Since when something is counted. After more than an hour in which nothing was, that begins anew.
    since: Stamp,
    /// The last minute in which something was.
    last: Option<u64>,
    /// By sidecar, when it put together what it last told.
    told: Recent<Stamp>,
}

/// What was counted in one second, or one minute.
#[derive(Debug, Clone, Default)]
struct Bucket {
    calls: u64,
    kinds: BTreeMap<String, u64>,
    /// Of a minute only.
    patterns: BTreeMap<String, u64>,
}
