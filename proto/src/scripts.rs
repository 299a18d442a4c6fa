//! The scripts that the store runs, each at once and whole. They keep, add, lease, compare and set; they decide nothing.
//! Every one returns a list that begins with the store's time in milliseconds.

/// Takes in a sidecar's report of a provider; returns the record and what all reports amount to.
pub const REPORT: &str = include_str!("../scripts/report.lua");
/// Puts a breaker's record in place of another, or where there is none as new.
pub const COMMIT: &str = include_str!("../scripts/commit.lua");
/// Leases a probe.
pub const LEASE: &str = include_str!("../scripts/lease.lua");
/// Ends a probe's lease and counts what became of it.
pub const PROBED: &str = include_str!("../scripts/probed.lua");
/// Leaves a provider alone until a time, or until a later one that was known.
pub const COOL: &str = include_str!("../scripts/cool.lua");
