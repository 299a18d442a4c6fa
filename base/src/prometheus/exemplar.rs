//! Exemplars: of each bucket of a histogram the latest recording that belongs to a sampled trace, so that a slow bucket
//! leads to a trace that was slow.
//!
//! Only recordings in sampled traces come here. A slot is held for the copying of a few words, and whoever finds it held
//! goes on without: of two at once, either is as good an example.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::histogram::Bounds;

/// Which span a recording belongs to, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced {
    /// The trace's id, as its bytes are written.
    pub trace: [u8; 16],
    /// The span's.
    pub span: [u8; 8],
    /// When.
    pub at: SystemTime,
}

/// One histogram's.
#[derive(Debug)]
pub struct Exemplars<const N: usize>([Mutex<Option<Exemplar>>; N]);

/// What is written beside a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) took: Duration,
    pub(super) of: Traced,
}

impl<const N: usize> Default for Exemplars<N> {
    fn default() -> Self {
        Self([const { Mutex::new(None) }; N])
    }
}

impl<const N: usize> Exemplars<N> {
    /// Keeps what `took` so long, under `bounds`, as its bucket's example.
    pub fn keep(&self, bounds: &Bounds<N>, took: Duration, of: Traced) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let under = bounds.partition_point(|bound| *bound < nanos);
        if let Some(mut slot) = self.0.get(under).and_then(Mutex::try_lock) {
            *slot = Some(Exemplar { took, of });
        }
    }

    /// The example of the bucket of that index.
    pub(super) fn of_bucket(&self, index: usize) -> Option<Exemplar> {
        self.0.get(index).and_then(|slot| *slot.lock())
    }
}

impl Exemplar {
    /// Seconds since the Unix epoch.
    pub(super) fn at(&self) -> f64 {
        self.of.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::histogram::SHORT;

    #[test]
    fn each_bucket_keeps_its_latest_recording() {
        let traced = |trace: u8| Traced { trace: [trace; 16], span: [7; 8], at: UNIX_EPOCH };
        let exemplars = Exemplars::default();
        exemplars.keep(&SHORT, Duration::from_micros(10), traced(1));
        exemplars.keep(&SHORT, Duration::from_micros(9), traced(2));
        exemplars.keep(&SHORT, Duration::from_micros(11), traced(3));
        exemplars.keep(&SHORT, Duration::MAX, traced(4));
        let kept = |index| exemplars.of_bucket(index).map(|kept| kept.of.trace[0]);
        assert_eq!((kept(0), kept(1), kept(2), kept(SHORT.len() - 1)), (Some(2), Some(3), None, Some(4)));
    }

    #[test]
    fn whoever_finds_a_slot_held_goes_on_without() {
        let exemplars = Exemplars::default();
        let held = exemplars.0[0].lock();
        let of = Traced { trace: [1; 16], span: [1; 8], at: UNIX_EPOCH };
        exemplars.keep(&SHORT, Duration::ZERO, of);
        drop(held);
        assert_eq!(exemplars.of_bucket(0), None);
    }
}
