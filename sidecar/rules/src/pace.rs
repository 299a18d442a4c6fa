//! Whether a stream has become too slow to be worth waiting for.
//!
//! It is judged over a sliding window, never by one late token, and only once the first window is full. The moments
//! are those of the stream's own time: a caller that does not read stops it.

use std::time::Duration;

use crate::moment::Moment;

/// Tokens that the slowest stream allowed gives in one window: fewer would let one late token decide.
const TOKENS_IN_WINDOW: f64 = 10.0;
/// The shortest window.
const SHORTEST: Duration = Duration::from_secs(2);
/// The longest, for limits of less than a token in six seconds.
const LONGEST: Duration = Duration::from_mins(1);
/// Parts of a window, by which it slides.
const SLOTS: u64 = 8;

/// What a stream has given in the last window.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Tokens a second.
    least: f64,
    began: Moment,
    slot: Duration,
    /// The slot that is being filled, counted from `began`.
    current: u64,
    counts: [u32; SLOTS as usize],
}

/// What a pace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Good, or not yet known.
    Fair,
    /// Over the last window fewer tokens came than the limit allows.
    TooSlow,
}

impl Pace {
    /// A stream whose first token came at `began`, and which must give `least` tokens a second.
    #[must_use]
    pub fn new(least: f64, began: Moment) -> Self {
        let window = Duration::try_from_secs_f64(TOKENS_IN_WINDOW / least).unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
        Self { least, began, slot: window / SLOTS as u32, current: 0, counts: [0; SLOTS as usize] }
    }

    /// `tokens` came at `now`.
    pub fn take(&mut self, tokens: u32, now: Moment) {
        self.slide(now);
        let count = &mut self.counts[Self::place(self.current)];
        *count = count.saturating_add(tokens);
    }

    /// What the pace is at `now`, by the last whole slots.
    pub fn judge(&mut self, now: Moment) -> Verdict {
        self.slide(now);
        // The slot being filled is no whole one; the others are one short of a window.
        if self.current < SLOTS {
            return Verdict::Fair;
        }
        let current = Self::place(self.current);
        let tokens: u64 =
            self.counts.iter().enumerate().filter(|(at, _)| *at != current).map(|(_, count)| u64::from(*count)).sum();
        let window = self.slot.as_secs_f64() * (SLOTS - 1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "far fewer tokens than a float holds")]
        let slow = (tokens as f64) < self.least * window;
        if slow { Verdict::TooSlow } else { Verdict::Fair }
    }

    /// When it is next worth judging, if nothing comes until then.
    #[must_use]
    pub fn next_judgement(&self) -> Moment {
        let slot = self.current.max(SLOTS - 1) + 1;
        self.began + self.slot.saturating_mul(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    fn slide(&mut self, now: Moment) {
        let slot = now.since(self.began).as_nanos() / self.slot.as_nanos().max(1);
        let slot = u64::try_from(slot).unwrap_or(u64::MAX);
        let passed = slot.saturating_sub(self.current);
        for step in 1..=passed.min(SLOTS) {
            self.counts[Self::place(self.current.wrapping_add(step))] = 0;
        }
        if passed >= SLOTS {
            self.counts = [0; SLOTS as usize];
        }
        self.current = self.current.max(slot);
    }

    const fn place(slot: u64) -> usize {
        (slot % SLOTS) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    /// When a stream that gives a token every `gap` ms is first called too slow, within a minute.
    fn caught(least: f64, gap: u64) -> Option<u64> {
        let mut pace = Pace::new(least, at(0));
        (0..60_000 / gap).map(|step| step * gap).find(|now| {
            pace.take(1, at(*now));
            pace.judge(at(*now)) == Verdict::TooSlow
        })
    }

    #[test]
    fn a_stream_below_the_limit_is_caught_after_a_window_and_one_above_it_never() {
        assert_eq!(caught(10.0, 50), None);
        assert!(caught(10.0, 200).is_some_and(|after| (2_000..2_500).contains(&after)));
        assert_eq!(caught(1.0, 900), None);
        assert!(caught(1.0, 3_000).is_some_and(|after| (10_000..16_000).contains(&after)));
    }

    #[test]
    fn one_late_token_is_forgiven() {
        let mut pace = Pace::new(10.0, at(0));
        for token in 0..200 {
            // Twice as fast as it must be, with one second of silence.
            let now = at(token * 50 + if token >= 100 { 800 } else { 0 });
            pace.take(1, now);
            assert_eq!(pace.judge(now), Verdict::Fair, "token {token}");
        }
    }

    #[test]
    fn a_stream_that_becomes_slow_is_caught_though_it_began_fast() {
        let mut pace = Pace::new(10.0, at(0));
        (0..1_000).for_each(|now| pace.take(1, at(now)));
        assert_eq!(pace.judge(at(1_000)), Verdict::Fair);
        assert_eq!(pace.judge(at(4_000)), Verdict::TooSlow);
    }

    #[test]
    fn the_next_judgement_is_never_in_vain_nor_before_the_first_window() {
        let mut pace = Pace::new(10.0, at(0));
        assert_eq!(pace.next_judgement(), at(2_000));
        assert_eq!(pace.judge(at(1_999)), Verdict::Fair);
        assert_eq!(pace.judge(pace.next_judgement()), Verdict::TooSlow);
    }

    proptest! {
        #[test]
        fn a_steady_stream_is_judged_by_its_rate(least in 1_u32..200, rate in 1_u32..400) {
            prop_assume!(rate.abs_diff(least) * 10 > least * 3);
            let mut pace = Pace::new(f64::from(least), at(0));
            let mut slow = false;
            for tick in 0_u64..1_200 {
                let now = at(tick * 10);
                let come = |tick: u64| tick * u64::from(rate) / 100;
                pace.take(u32::try_from(come(tick + 1) - come(tick)).unwrap(), now);
                slow |= pace.judge(now) == Verdict::TooSlow;
            }
            prop_assert_eq!(slow, rate < least);
        }

        #[test]
        fn no_times_and_no_limits_make_it_panic(least in any::<f64>(), times in prop::collection::vec(any::<u64>(), 0..9)) {
            let mut pace = Pace::new(least, at(0));
            for time in times {
                pace.take(u32::MAX, Moment::from_nanos(time));
                let _ = (pace.judge(Moment::from_nanos(time)), pace.next_judgement());
            }
        }
    }
}
