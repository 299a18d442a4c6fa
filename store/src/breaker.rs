//! Shared breakers as the store keeps them: a record each, what sidecars report of the calls, and probes on lease.

mod commit;
mod cool;
mod lease;
mod look;
mod probed;
mod record;
mod report;

use std::collections::BTreeMap;

use fusebox_rules::fleet::{Record, Report as Reported, Stamp};

pub use self::{
    commit::{Commit, Committed, Condition, FRESH},
    cool::Cool,
    lease::{Lease, Leased},
    look::{Look, Standing},
    probed::{Probed, Proof},
    record::{decode_news, decode_record, encode_record},
    report::{Report, Seen},
};

/// A record that was put in place, as it is hinted at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct News {
    /// Whose it is.
    pub provider: String,
    /// What holds now.
    pub record: Record,
}

/// One provider's, in memory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Held {
    record: Record,
    /// The epoch that the reports are of.
    reports_of: u64,
    /// By sidecar, with when it was told.
    reports: BTreeMap<String, (Reported, Stamp)>,
    /// When all of them are forgotten, if no other comes.
    reports_until: Stamp,
    /// The last good call that anyone reported in this epoch.
    good_at: Stamp,
    /// Tokens of leased probes, and when the lease ends.
    leases: BTreeMap<u64, Stamp>,
    /// The epoch that the proofs are of.
    proofs_of: Option<u64>,
    /// What became of probes, by token.
    proofs: BTreeMap<u64, bool>,
    cool_until: Stamp,
}
