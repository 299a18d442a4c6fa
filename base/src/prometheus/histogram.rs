//! A histogram of durations: two relaxed additions a recording, no lock.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{
    exemplar::Exemplars,
    text::{Bucket, Text},
};

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

/// A histogram as it stands on a page.
#[derive(Debug, Clone, Copy)]
pub struct Family<'a, const N: usize> {
    /// Its name.
    pub name: &'a str,
    /// Its labels, but for the bounds.
    pub labels: &'a [(&'a str, &'a str)],
    /// The bounds that it was recorded under.
    pub bounds: &'a Bounds<N>,
    /// Its buckets' examples, if any are kept.
    pub exemplars: Option<&'a Exemplars<N>>,
}

impl<const N: usize> Family<'_, N> {
    /// Writes the sum of `shards` as one Prometheus histogram.
    pub fn write<'h>(&self, text: &mut Text, shards: impl Iterator<Item = &'h Histogram<N>>) {
        let Self { name, labels, bounds, exemplars } = *self;
        let (mut counts, mut sum) = ([0u64; N], 0u64);
        for shard in shards {
            for (count, more) in counts.iter_mut().zip(&shard.counts) {
                *count = count.wrapping_add(more.load(Relaxed));
            }
            sum = sum.wrapping_add(shard.sum.load(Relaxed));
        }
        let mut cumulative = 0u64;
        for (index, (bound, count)) in bounds.iter().zip(counts).enumerate() {
            cumulative = cumulative.wrapping_add(count);
            // One that a recording under way has left already, and not counted yet, would stand in an empty bucket.
            let example = exemplars.filter(|_| count > 0).and_then(|exemplars| exemplars.of_bucket(index));
            text.bucket(name, labels, &le(*bound), &Bucket { count: cumulative, example });
        }
        text.sample(&format!("{name}_sum"), labels, seconds(sum));
        text.sample(&format!("{name}_count"), labels, cumulative);
    }
}

/// Writes the sum of `shards` as one Prometheus histogram, without examples.
pub fn write<'a, const N: usize>(
    text: &mut Text,
    name: &str,
    labels: &[(&str, &str)],
    bounds: &Bounds<N>,
    shards: impl Iterator<Item = &'a Histogram<N>>,
) {
    Family { name, labels, bounds, exemplars: None }.write(text, shards);
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// A bound as OpenMetrics has every writer put it, so that one bound is one label whoever wrote it; Prometheus' own
/// format does not mind.
fn le(bound: u64) -> String {
    if bound == u64::MAX {
        return "+Inf".to_owned();
    }
    let text = seconds(bound).to_string();
    match text.strip_prefix("0.0000") {
        // Go writes what is below a ten-thousandth so, and Prometheus what Go does.
        Some(digits) => exponential(digits),
        None if text.contains('.') => text,
        None => format!("{text}.0"),
    }
}

/// `025` of 0.0000025 as `2.5e-06`.
fn exponential(digits: &str) -> String {
    let significant = digits.trim_start_matches('0');
    let power = digits.len() - significant.len() + 5;
    match significant.split_at_checked(1) {
        Some((first, "")) => format!("{first}e-{power:02}"),
        Some((first, rest)) => format!("{first}.{rest}e-{power:02}"),
        None => "0.0".to_owned(),
    }
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

    #[test]
    fn bounds_are_written_as_open_metrics_has_them() {
        let short = ["1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005", "0.001"];
        assert_eq!(SHORT.map(le)[..7], short);
        let long = ["0.5", "1.0", "2.5", "5.0", "10.0", "30.0", "60.0", "120.0", "300.0", "600.0", "+Inf"];
        assert_eq!(LONG.map(le)[9..], long);
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
