//! What is counted while the fleet lives: series by second, the worst of bursts, and when who knew.

use fusebox_rules::moment::Moment;

/// What was found not to hold.
pub type Broken = &'static str;

const SECOND: u64 = 1_000_000_000;
/// Bursts are looked for in slices of so many nanoseconds: 10 ms.
const SLICE: u64 = 10_000_000;

/// How often something happens: by second, and within the worst 10 ms.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    by_second: Vec<u64>,
    slice: u64,
    in_slice: u64,
    worst: u64,
}

impl Rate {
    /// It happens now.
    pub fn count(&mut self, now: Moment) {
        let nanos = now.as_nanos();
        *at(&mut self.by_second, nanos / SECOND) += 1;
        if nanos / SLICE != self.slice {
            (self.slice, self.in_slice) = (nanos / SLICE, 0);
        }
        self.in_slice += 1;
        self.worst = self.worst.max(self.in_slice);
    }

    /// How often in each second so far; seconds at the end in which it did not happen are left out.
    #[must_use]
    pub fn by_second(&self) -> &[u64] {
        &self.by_second
    }

    /// How often within the worst 10 ms.
    #[must_use]
    pub const fn worst_slice(&self) -> u64 {
        self.worst
    }

    /// How often from second `from` up to second `to`, which is not counted.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> u64 {
        let index = |second: u64| usize::try_from(second).unwrap_or(usize::MAX).min(self.by_second.len());
        self.by_second.get(index(from)..index(to)).unwrap_or_default().iter().sum()
    }

    /// How often in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_second.iter().sum()
    }

    /// How often in the worst second from `from` on.
    #[must_use]
    pub fn worst_second(&self, from: u64) -> u64 {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        self.by_second.iter().skip(from).copied().max().unwrap_or(0)
    }
}

fn at(series: &mut Vec<u64>, second: u64) -> &mut u64 {
    let index = usize::try_from(second).unwrap_or(usize::MAX);
    if series.len() <= index {
        series.resize(index + 1, 0);
    }
    &mut series[index]
}

/// All that is counted of one history.
#[derive(Debug, Default)]
pub struct Watch {
    /// Calls that callers made.
    pub calls: Rate,
    /// Attempts that reached the provider, probes among them.
    pub attempts: Rate,
    /// Attempts of callers' calls after the first.
    pub retries: Rate,
    /// Attempts that failed, probes among them.
    pub failed: Rate,
    /// Calls that were answered.
    pub answered: Rate,
    /// Calls that no breaker let through.
    pub refused: Rate,
    /// Calls that were given up after they had been tried.
    pub given_up: Rate,
    /// Probes that were sent.
    pub probes: Rate,
    /// Probes that are out.
    probes_out: u32,
    /// The most that were.
    pub most_probes_out: u32,
    leased_out: u32,
    /// The most probes that were out on lease.
    pub most_leased_out: u32,
    /// Local breakers that opened of themselves, by second.
    pub opened_alone: Rate,
    /// Sidecars whose gate lets not every call through, at the end of each second.
    pub shut: Vec<u64>,
    /// Attempts of callers' calls at the provider while it was dead.
    pub on_the_dead: u64,
    /// Calls while it was dead.
    pub calls_on_the_dead: u64,
    /// Requests to the store that were not answered in time.
    pub unanswered: u64,
    /// What was found broken.
    pub broken: Vec<Broken>,
}

impl Watch {
    /// Notes what does not hold.
    pub fn check(&mut self, holds: bool, what: Broken) {
        if !holds {
            self.broken.push(what);
        }
    }

    /// A probe goes out, on lease or of a sidecar's own accord.
    pub fn probe_goes(&mut self, leased: bool, now: Moment) {
        self.probes.count(now);
        self.probes_out += 1;
        self.most_probes_out = self.most_probes_out.max(self.probes_out);
        self.leased_out += u32::from(leased);
        self.most_leased_out = self.most_leased_out.max(self.leased_out);
    }

    /// A probe is over.
    pub const fn probe_comes(&mut self, leased: bool) {
        self.probes_out -= 1;
        self.leased_out -= leased as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_knows_its_seconds_and_its_worst_hundredth() {
        let mut rate = Rate::default();
        for millis in [0, 1_000, 1_001, 1_009, 1_011, 3_500] {
            rate.count(Moment::ZERO + Duration::from_millis(millis));
        }
        assert_eq!(rate.by_second(), [1, 4, 0, 1]);
        assert_eq!((rate.worst_slice(), rate.worst_second(2), rate.between(0, 2), rate.total()), (3, 1, 5, 6));
        assert_eq!(rate.between(3, 9), 1);
    }
}
