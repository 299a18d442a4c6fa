//! The fleet's time: the store's, in whole milliseconds, and what it is by a process's own monotonic clock.

use std::{ops::Add, time::Duration};

use crate::moment::Moment;

/// A point in the store's time: milliseconds since 1970, as the store tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp(u64);

impl Stamp {
    /// The stamp `millis` after 1970 began.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970 began.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Stamp {
    type Output = Self;

    /// Rounds up to a whole millisecond, so that nothing ends before its time.
    fn add(self, by: Duration) -> Self {
        let millis = by.as_nanos().div_ceil(1_000_000);
        Self(self.0.saturating_add(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}

/// How many of the latest samples are kept; of these the one with the shortest round trip counts.
const SAMPLES: usize = 16;

/// The store's time as one process knows it, from the times that replies bore.
///
/// The error of a sample is at most half of its round trip, for it is not known on which way the time went (as in
/// NTP, RFC 5905, section 8).
#[derive(Debug, Clone, Default)]
pub struct SharedClock {
    samples: [Option<Sample>; SAMPLES],
    next: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// The moment at which the store's clock is taken to have shown `stamp`.
    at: Moment,
    stamp: Stamp,
    round_trip: Duration,
}

impl SharedClock {
    /// Takes in a reply that bore `stamp`, to a request sent at `sent` and answered at `got`.
    pub fn hear(&mut self, sent: Moment, got: Moment, stamp: Stamp) {
        let round_trip = got.since(sent);
        let sample = Sample { at: sent + round_trip / 2, stamp, round_trip };
        if let Some(best) = self.best()
            && off_by(best, sample) > best.round_trip + round_trip + Duration::from_secs(1)
        {
            // Another server's clock, or one that was set: what was known of the old one is of no use.
            *self = Self::default();
        }
        self.samples[self.next] = Some(sample);
        self.next = (self.next + 1) % SAMPLES;
    }

    /// Whether any time was ever told.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.best().is_some()
    }

    /// The store's time at `moment`; zero before any was told.
    #[must_use]
    pub fn stamp(&self, moment: Moment) -> Stamp {
        let Some(Sample { at, stamp, .. }) = self.best() else { return Stamp::default() };
        let (after, before) = (moment.since(at).as_millis(), at.since(moment).as_millis());
        let millis = u128::from(stamp.0).saturating_add(after).saturating_sub(before);
        Stamp(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// This process's moment at which the store's clock shows `stamp`; its beginning, if that was before it.
    #[must_use]
    pub fn moment(&self, stamp: Stamp) -> Moment {
        let Some(sample) = self.best() else { return Moment::ZERO };
        let before = u64::try_from(sample.stamp.since(stamp).as_nanos()).unwrap_or(u64::MAX);
        let back = Moment::from_nanos(sample.at.as_nanos().saturating_sub(before));
        back + stamp.since(sample.stamp)
    }

    fn best(&self) -> Option<Sample> {
        self.samples.iter().flatten().min_by_key(|sample| sample.round_trip).copied()
    }
}

/// How far two samples disagree about the offset between the clocks.
fn off_by(one: Sample, other: Sample) -> Duration {
    let (ours, theirs) = (other.at.since(one.at), other.stamp.since(one.stamp));
    let (back, theirs_back) = (one.at.since(other.at), one.stamp.since(other.stamp));
    (ours + theirs_back).abs_diff(theirs + back)
}

#[cfg(test)]
mod tests;
