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
    /// When a call was last judged good with no run of failures left after it; `None`: none in this epoch.
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
    /// When anyone last saw a call judged good in this epoch; zero: nobody did.
    pub good_at: Stamp,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(reports: &[(u64, u64)]) -> Evidence {
        let failures = reports.iter().map(|(_, bad)| *bad);
        let (sum, most) = (failures.clone().sum(), failures.max().unwrap_or(0));
        let calls = reports.iter().map(|(good, bad)| good + bad).sum();
        Evidence { calls, failures: sum, most_failures: most, run: sum, most_run: most, ..Evidence::default() }
    }

    #[test]
    fn failures_that_one_sidecar_alone_sees_count_only_if_it_is_alone() {
        let sick = of(&[(0, 50), (30, 0), (30, 0)]);
        assert_eq!(sick.balanced(3), (60, 0));
        assert_eq!(sick.balanced_run(3), 0);
        assert_eq!(of(&[(0, 50)]).balanced(1), (50, 50));
        assert_eq!(of(&[(0, 50)]).balanced(0), (50, 50));
        assert_eq!(of(&[(0, 50)]).balanced(2), (0, 0));
    }

    #[test]
    fn failures_seen_by_several_count_in_full_once_none_has_more_than_the_others_together() {
        assert_eq!(of(&[(0, 5), (0, 5)]).balanced_run(2), 10);
        assert_eq!(of(&[(0, 50), (0, 5)]).balanced_run(2), 10);
        assert_eq!(of(&[(0, 2), (0, 1), (0, 1)]).balanced_run(3), 4);
    }

    proptest! {
        #[test]
        fn balanced_failures_are_no_more_than_were_seen_and_no_sidecar_has_most_of_them(
            reports in prop::collection::vec((0_u64..1_000, 0_u64..1_000), 0..12),
            live in 0_u32..12,
        ) {
            let evidence = of(&reports);
            let (calls, failures) = evidence.balanced(live);
            let others = evidence.failures - evidence.most_failures;
            prop_assert!(failures <= evidence.failures && failures <= calls && calls <= evidence.calls);
            prop_assert_eq!(calls - failures, evidence.calls - evidence.failures, "good calls count in full");
            prop_assert_eq!(evidence.balanced_run(live), failures);
            if live < 2 {
                prop_assert_eq!(failures, evidence.failures);
            } else {
                prop_assert!(failures <= 2 * others && failures >= others.min(evidence.failures));
            }
        }

        #[test]
        fn one_more_failure_never_makes_a_provider_look_better(
            reports in prop::collection::vec((0_u64..50, 0_u64..50), 1..6),
            at in 0_usize..6,
            live in 0_u32..6,
        ) {
            let mut worse = reports.clone();
            worse[at % reports.len()].1 += 1;
            let ((calls, bad), (more_calls, more_bad)) = (of(&reports).balanced(live), of(&worse).balanced(live));
            prop_assert!(more_bad >= bad && more_bad * calls.max(1) >= bad * more_calls.max(1));
        }
    }
}
