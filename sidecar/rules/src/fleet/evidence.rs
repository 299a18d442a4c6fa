//! What sidecars report of a provider, and what the store makes of the reports: sums, and nothing that is decided.

use super::Stamp;

/// What one sidecar's own window holds of calls that began in one epoch. State, not increments: told again, or after
/// the store has lost it, it counts the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Report {
    /// The epoch in which the calls began.
    pub epoch: u64,
    /// Calls judged either way.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Failures in a row, as the breaker's threshold counts them.
    pub run: u32,
    /// When that run began; `None` without one.
    pub run_began: Option<Stamp>,
    /// When a call was last judged good; `None`: none in this epoch.
    pub good_at: Option<Stamp>,
}

/// What the reports of one epoch amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Evidence {
    /// Calls, over all sidecars.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// The failures of the sidecar that reports most.
    pub most_failures: u64,
    /// Failures in a row, over the sidecars whose run began after anyone's last good call.
    pub run: u64,
    /// Of these, those of the sidecar that has most.
    pub most_run: u64,
    /// Probes of this epoch that succeeded.
    pub probes_good: u32,
    /// Probes of this epoch that failed.
    pub probes_bad: u32,
}

impl Evidence {
    /// Calls and failures as they count, with `live` sidecars: one that is sick itself must not speak for all, so the
    /// failures of whoever has most count no more than those of all the others together.
    #[must_use]
    pub fn balanced(&self, live: u32) -> (u64, u64) {
        let failures = balanced(self.failures, self.most_failures, live);
        (self.calls.saturating_sub(self.failures - failures), failures)
    }

    /// The failures in a row as they count, with `live` sidecars.
    #[must_use]
    pub fn balanced_run(&self, live: u32) -> u64 {
        balanced(self.run, self.most_run, live)
    }
}

fn balanced(all: u64, most: u64, live: u32) -> u64 {
    if live < 2 {
        return all;
    }
    let others = all.saturating_sub(most);
    others.saturating_add(most.min(others)).min(all)
}
