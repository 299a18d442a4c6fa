//! A histogram of durations: two relaxed additions a recording, no lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::text::Text;

/// Upper bounds in nanoseconds, ascending; the last stands for infinity.
pub type Bounds<const N: usize> = [u64; N];

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// From half a millisecond to ten minutes: what a call or an attempt takes.
#[rustfmt::skip]
pub const LONG: Bounds<20> = [
    MS / 2, MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS, 500 * MS,
    S, 5 * S / 2, 5 * S, 10 * S, 30 * S, 60 * S, 120 * S, 300 * S, 600 * S, u64::MAX,
];

/// From ten microseconds to a tenth of a second: what Fusebox itself takes.
#[rustfmt::skip]
pub const SHORT: Bounds<14> = [
    10 * US, 25 * US, 50 * US, 100 * US, 250 * US, 500 * US,
    MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 50 * MS, 100 * MS, u64::MAX,
];

/// How many recordings fell under each bound, and their sum.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// Not cumulative: what is at or under this bound and over the one before.
    counts: [AtomicU64; N],
    /// Nanoseconds. Wraps after 584 years of calls.
    sum: AtomicU64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; N], sum: AtomicU64::new(0) }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts `took` under `bounds`, which must be the same at each call.
    pub fn record(&self, bounds: &Bounds<N>, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let under = bounds.partition_point(|bound| *bound < nanos);
        self.counts[under].fetch_add(1, Relaxed);
        self.sum.fetch_add(nanos, Relaxed);
    }
}

/// Writes the sum of `shards` as one Prometheus histogram.
pub fn write<'a, const N: usize>(
    text: &mut Text,
    name: &str,
    labels: &[(&str, &str)],
    bounds: &Bounds<N>,
    shards: impl Iterator<Item = &'a Histogram<N>>,
) {
    let (mut counts, mut sum) = ([0u64; N], 0u64);
    for shard in shards {
        for (count, more) in counts.iter_mut().zip(&shard.counts) {
            *count = count.wrapping_add(more.load(Relaxed));
        }
        sum = sum.wrapping_add(shard.sum.load(Relaxed));
    }
    let mut cumulative = 0u64;
    for (bound, count) in bounds.iter().zip(counts) {
        cumulative = cumulative.wrapping_add(count);
        let le = if *bound == u64::MAX { "+Inf".to_owned() } else { seconds(*bound).to_string() };
        text.bucket(name, labels, &le, cumulative);
    }
    text.sample(&format!("{name}_sum"), labels, seconds(sum));
    text.sample(&format!("{name}_count"), labels, cumulative);
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ascending<const N: usize>(bounds: &Bounds<N>) -> bool {
        bounds.windows(2).all(|pair| pair[0] < pair[1]) && bounds[N - 1] == u64::MAX
    }

    #[test]
    fn bounds_ascend_and_end_in_infinity() {
        assert!(ascending(&LONG) && ascending(&SHORT));
    }

    #[test]
    fn a_bound_is_part_of_its_bucket() {
        let histogram = Histogram::default();
        histogram.record(&SHORT, Duration::from_micros(10));
        histogram.record(&SHORT, Duration::from_nanos(10_001));
        histogram.record(&SHORT, Duration::MAX);
        let counts: Vec<u64> = histogram.counts.iter().map(|count| count.load(Relaxed)).collect();
        assert_eq!((counts[0], counts[1], counts[SHORT.len() - 1]), (1, 1, 1));
    }

    proptest! {
        #[test]
        fn every_recording_is_in_exactly_the_bucket_that_holds_it(nanos in any::<u64>()) {
            let histogram = Histogram::default();
            histogram.record(&LONG, Duration::from_nanos(nanos));
            for (index, count) in histogram.counts.iter().enumerate() {
                let over_the_last = index == 0 || nanos > LONG[index - 1];
                prop_assert_eq!(count.load(Relaxed) == 1, over_the_last && nanos <= LONG[index]);
            }
        }
    }
}
