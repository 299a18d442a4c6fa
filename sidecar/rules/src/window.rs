//! A rolling window of judged calls, keyed by when each call began.
//!
//! Calls last minutes: a window keyed by when they end tells of a provider that is long gone. A call
//! is judged once, and may be judged again for the worse. The window does not know calls apart:
//! whoever judges twice says so by calling [`Window::rejudge`].

use std::time::Duration;

use crate::moment::Moment;

/// Equal parts that the window is cut into. It covers the last nine whole ones and the current one.
pub const BUCKETS: usize = 10;

/// Counts of the calls that began within the last span, in constant space and time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    width_nanos: u64,
    buckets: [Bucket; BUCKETS],
}

/// What a call turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It was answered, or its answer began.
    Good,
    /// It failed.
    Bad,
}

/// What a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Calls judged either way.
    pub calls: u32,
    /// Those judged bad.
    pub failures: u32,
}

/// The calls that began in one part of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Bucket {
    /// Which part: the moment's nanoseconds over the width. Tells a recycled bucket from a current one.
    turn: u64,
    good: u32,
    bad: u32,
}

impl Window {
    /// An empty window over `span`, at least ten nanoseconds.
    #[must_use]
    pub fn new(span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self { width_nanos: (nanos / BUCKETS as u64).max(1), buckets: [Bucket::default(); BUCKETS] }
    }

    /// Judges a call that began at `began` for the first time. Ignored if it began before the window.
    pub fn judge(&mut self, began: Moment, judgement: Judgement, now: Moment) {
        if let Some(bucket) = self.bucket(began, now) {
            match judgement {
                Judgement::Good => bucket.good = bucket.good.saturating_add(1),
                Judgement::Bad => bucket.bad = bucket.bad.saturating_add(1),
            }
        }
    }

    /// Judges a call bad that had been judged good. Ignored if it began before the window.
    pub fn rejudge(&mut self, began: Moment, now: Moment) {
        if let Some(bucket) = self.bucket(began, now) {
            bucket.good = bucket.good.saturating_sub(1);
            bucket.bad = bucket.bad.saturating_add(1);
        }
    }

    /// The calls that began within the window as it stands at `now`.
    #[must_use]
    pub fn totals(&self, now: Moment) -> Totals {
        let current = self.turn(now);
        self.buckets.iter().filter(|bucket| !gone(bucket.turn, current)).fold(Totals::default(), |sum, bucket| Totals {
            calls: sum.calls.saturating_add(bucket.good).saturating_add(bucket.bad),
            failures: sum.failures.saturating_add(bucket.bad),
        })
    }

    /// Forgets every call.
    pub fn clear(&mut self) {
        self.buckets = [Bucket::default(); BUCKETS];
    }

    fn turn(&self, moment: Moment) -> u64 {
        moment.as_nanos() / self.width_nanos
    }

    /// The bucket for calls that began at `began`, emptied first if it held an older part of time.
    fn bucket(&mut self, began: Moment, now: Moment) -> Option<&mut Bucket> {
        let (turn, current) = (self.turn(began), self.turn(now));
        if gone(turn, current) {
            return None;
        }
        let index = usize::try_from(turn % BUCKETS as u64).ok()?;
        let bucket = self.buckets.get_mut(index)?;
        if bucket.turn > turn {
            return None;
        }
        if bucket.turn < turn {
            *bucket = Bucket { turn, ..Bucket::default() };
        }
        Some(bucket)
    }
}

fn gone(turn: u64, current: u64) -> bool {
    turn.saturating_add(BUCKETS as u64) <= current
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(secs)
    }

    fn totals(calls: u32, failures: u32) -> Totals {
        Totals { calls, failures }
    }

    #[test]
    fn a_call_counts_from_when_it_began_and_not_from_when_it_was_judged() {
        let mut window = Window::new(Duration::from_secs(10));
        window.judge(at(1), Judgement::Good, at(9));
        assert_eq!(window.totals(at(10)), totals(1, 0));
        assert_eq!(window.totals(at(11)), totals(0, 0));
    }

    #[test]
    fn a_judgement_about_a_call_that_began_before_the_window_is_ignored() {
        let mut window = Window::new(Duration::from_secs(10));
        window.judge(at(1), Judgement::Bad, at(11));
        window.judge(at(11), Judgement::Good, at(11));
        window.rejudge(at(1), at(11));
        assert_eq!(window.totals(at(11)), totals(1, 0));
    }

    #[test]
    fn a_call_judged_again_moves_from_good_to_bad() {
        let mut window = Window::new(Duration::from_secs(10));
        window.judge(at(3), Judgement::Good, at(3));
        window.rejudge(at(3), at(8));
        assert_eq!(window.totals(at(8)), totals(1, 1));
    }

    #[test]
    fn a_bucket_is_emptied_when_its_turn_comes_again() {
        let mut window = Window::new(Duration::from_secs(10));
        window.judge(at(2), Judgement::Bad, at(2));
        window.judge(at(12), Judgement::Good, at(12));
        assert_eq!(window.totals(at(12)), totals(1, 0));
    }

    #[test]
    fn a_cleared_window_is_empty_and_a_span_of_nothing_does_no_harm() {
        let mut window = Window::new(Duration::ZERO);
        window.judge(at(1), Judgement::Bad, at(1));
        assert_eq!(window.totals(at(1)), totals(1, 1));
        window.clear();
        assert_eq!(window.totals(at(1)), totals(0, 0));
        window.judge(Moment::NEVER, Judgement::Bad, Moment::NEVER);
    }

    proptest! {
        #[test]
        fn totals_are_those_of_a_list_that_forgets_nothing(
            span in 10_u64..5_000,
            calls in prop::collection::vec((0_u64..400, 0_u64..3_000, 0_u8..3), 0..200),
        ) {
            let mut window = Window::new(Duration::from_nanos(span));
            let width = span / BUCKETS as u64;
            let (mut now, mut kept) = (0_u64, Vec::new());
            for (step, lasted, verdict) in calls {
                now += step;
                let began = now.saturating_sub(lasted);
                let (started, ended) = (Moment::from_nanos(began), Moment::from_nanos(now));
                match verdict {
                    0 => window.judge(started, Judgement::Good, ended),
                    1 => window.judge(started, Judgement::Bad, ended),
                    _ => {
                        window.judge(started, Judgement::Good, ended);
                        window.rejudge(started, ended);
                    }
                }
                kept.push((began, verdict != 0));
                kept.retain(|(began, _)| began / width + BUCKETS as u64 > now / width);
                let failures = kept.iter().filter(|(_, bad)| *bad).count();
                prop_assert_eq!(
                    window.totals(ended),
                    totals(u32::try_from(kept.len()).unwrap(), u32::try_from(failures).unwrap())
                );
            }
        }
    }
}
