//! Whether errors of one kind have become so many more than before that somebody must hear of it, and when that ends.
//!
//! The last minute is held against the hour before it. Leaves out whose errors they are, and who is told.

use std::time::Duration;

use super::Stamp;

const MINUTE: Duration = Duration::from_secs(60);

/// When errors are a spike, and when one is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpikeSettings {
    /// How many times the rate of the hour before the last minute's must exceed.
    pub ratio: f64,
    /// Below how many times that rate the spike may be over; less than `ratio`.
    pub calm_ratio: f64,
    /// Errors in the minute without which there is no spike, so that one error in a quiet hour is none. Below half as
    /// many it may be over.
    pub least_errors: u64,
    /// What must be known of the time before the last minute, before anything is called a spike.
    pub least_history: Duration,
    /// How long it must have been calm until it is over. Without any error in the minute it is over at once.
    pub calm_for: Duration,
    /// How long a spike is held against what was usual before it began. Then it is what is usual.
    pub usual_for: Duration,
}

impl Default for SpikeSettings {
    fn default() -> Self {
        Self {
            ratio: 3.0,
            calm_ratio: 1.5,
            least_errors: 10,
            least_history: MINUTE,
            calm_for: MINUTE,
            usual_for: Duration::from_secs(3_600),
        }
    }
}

/// Errors of one kind, as they were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// In the last minute.
    pub minute: u64,
    /// In the last hour, that minute included.
    pub hour: u64,
    /// How far back the hour's count reaches: less than an hour in a young fleet.
    pub reach: Duration,
}

/// What a spike looks like; errors per minute.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// In the last minute.
    pub recent: f64,
    /// In the hour before it.
    pub historical: f64,
    /// How many times more. Where there was none before, as if there had been one in all that time.
    pub multiplier: f64,
}

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing new.
    Nothing,
    /// A spike has begun.
    Began(Figures),
    /// The spike is over.
    Ended,
}

/// One provider's errors of one kind, watched.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spike {
    raised: Option<Raised>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Raised {
    at: Stamp,
    /// What was usual before it, per minute.
    usual: f64,
    calm_since: Option<Stamp>,
}

impl Spike {
    /// One that somebody else has found, at `at`, above a rate of `usual` errors per minute.
    #[must_use]
    pub const fn ongoing(at: Stamp, usual: f64) -> Self {
        Self { raised: Some(Raised { at, usual, calm_since: None }) }
    }

    /// Whether there is one.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.raised.is_some()
    }

    /// Takes in what is counted at `now`.
    pub fn look(&mut self, seen: Seen, settings: &SpikeSettings, now: Stamp) -> Verdict {
        let Some(raised) = &mut self.raised else {
            let Some(figures) = found(seen, settings) else { return Verdict::Nothing };
            self.raised = Some(Raised { at: now, usual: figures.historical, calm_since: None });
            return Verdict::Began(figures);
        };
        if raised.is_over(seen, settings, now) {
            self.raised = None;
            return Verdict::Ended;
        }
        Verdict::Nothing
    }
}

impl Raised {
    fn is_over(&mut self, seen: Seen, settings: &SpikeSettings, now: Stamp) -> bool {
        if now.since(self.at) >= settings.usual_for {
            self.usual = before(seen);
        }
        let few = seen.minute.saturating_mul(2) < settings.least_errors;
        if !few && count(seen.minute) >= settings.calm_ratio * self.usual {
            self.calm_since = None;
            return false;
        }
        let calm_since = *self.calm_since.get_or_insert(now);
        seen.minute == 0 || now.since(calm_since) >= settings.calm_for
    }
}

fn found(seen: Seen, settings: &SpikeSettings) -> Option<Figures> {
    let history = seen.reach.saturating_sub(MINUTE);
    if seen.minute < settings.least_errors.max(1) || history < settings.least_history {
        return None;
    }
    let (recent, historical) = (count(seen.minute), before(seen));
    // One error in all the time that is known of: what is less has not been measured.
    let least = 1.0 / minutes(history).max(1.0);
    let figures = Figures { recent, historical, multiplier: recent / historical.max(least) };
    (recent > settings.ratio * historical).then_some(figures)
}

/// Errors per minute before the last minute.
fn before(seen: Seen) -> f64 {
    let history = seen.reach.saturating_sub(MINUTE);
    if history.is_zero() { 0.0 } else { count(seen.hour.saturating_sub(seen.minute)) / minutes(history) }
}

fn minutes(duration: Duration) -> f64 {
    duration.as_secs_f64() / 60.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of an hour are far below 2^52")]
const fn count(errors: u64) -> f64 {
    errors as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn seen(minute: u64, before: u64) -> Seen {
        Seen { minute, hour: minute + before, reach: HOUR }
    }

    fn at(seconds: u64) -> Stamp {
        Stamp::from_millis(seconds * 1_000)
    }

    fn looks(steps: &[(u64, Seen)]) -> Vec<Verdict> {
        let mut spike = Spike::default();
        steps.iter().map(|(second, seen)| spike.look(*seen, &SpikeSettings::default(), at(*second))).collect()
    }

    fn begins(seen: Seen) -> bool {
        matches!(looks(&[(0, seen)])[0], Verdict::Began(_))
    }

    #[test]
    fn more_than_three_times_the_hours_rate_is_a_spike() {
        // 59 in the 59 minutes before: one a minute; 4 × 59: four.
        assert!(begins(seen(13, 4 * 59)) && !begins(seen(12, 4 * 59)));
        let Verdict::Began(figures) = looks(&[(0, seen(20, 4 * 59))])[0] else { panic!("no spike") };
        assert_eq!(figures, Figures { recent: 20.0, historical: 4.0, multiplier: 5.0 });
    }

    #[test]
    fn a_few_errors_in_a_quiet_hour_are_none() {
        assert!(!begins(seen(1, 0)) && !begins(seen(9, 0)) && begins(seen(10, 0)));
        let Verdict::Began(figures) = looks(&[(0, seen(10, 0))])[0] else { panic!("no spike") };
        assert!((figures.multiplier - 590.0).abs() < 1e-9, "{figures:?}");
    }

    #[test]
    fn a_young_fleet_uses_the_history_that_it_has_and_none_is_too_little() {
        let young = |seconds, minute, hour| Seen { minute, hour, reach: Duration::from_secs(seconds) };
        assert!(!begins(young(60, 50, 50)) && !begins(young(119, 50, 50)));
        assert!(begins(young(120, 50, 60)) && !begins(young(120, 50, 70)));
    }

    #[test]
    fn a_spike_is_told_once_and_over_once_it_has_been_calm_for_a_minute() {
        let usual = 10 * 59;
        let (high, middling, calm) = (seen(40, usual), seen(20, usual), seen(14, usual));
        let told = looks(&[(0, high), (1, high), (10, middling), (20, calm), (79, calm), (80, calm), (81, calm)]);
        assert!(matches!(told[0], Verdict::Began(_)), "{told:?}");
        assert_eq!(told[1..5], [Verdict::Nothing; 4]);
        assert_eq!(told[5..], [Verdict::Ended, Verdict::Nothing]);
        // Calm that is interrupted begins anew.
        let told = looks(&[(0, high), (20, calm), (50, middling), (60, calm), (119, calm), (120, calm)]);
        assert_eq!(told[1..], [[Verdict::Nothing; 4].as_slice(), &[Verdict::Ended]].concat());
    }

    #[test]
    fn without_any_error_in_the_minute_it_is_over_at_once() {
        assert_eq!(looks(&[(0, seen(40, 59)), (1, seen(0, 59))])[1], Verdict::Ended);
    }

    #[test]
    fn a_spike_does_not_become_usual_by_its_own_errors_within_the_hour() {
        let mut spike = Spike::ongoing(at(0), 1.0);
        let settings = SpikeSettings::default();
        // After forty minutes of forty a minute the hour's own rate is 27.
        assert_eq!(spike.look(seen(39, 1_600), &settings, at(2_400)), Verdict::Nothing);
        assert_eq!(spike.look(seen(39, 1_600), &settings, at(2_460)), Verdict::Nothing);
        assert!(spike.is_on());
        assert_eq!(spike.look(seen(40, 40 * 59), &settings, at(3_600)), Verdict::Nothing);
        assert_eq!(spike.look(seen(40, 40 * 59), &settings, at(3_660)), Verdict::Ended);
    }

    proptest! {
        #[test]
        fn a_steady_rate_is_never_a_spike(per_minute in 0..10_000_u64, minutes in 2..60_u64) {
            let reach = MINUTE * u32::try_from(minutes).unwrap();
            let steady = Seen { minute: per_minute, hour: per_minute * minutes, reach };
            prop_assert!(!begins(steady));
        }

        #[test]
        fn more_errors_in_the_minute_are_no_less_a_spike_and_more_before_no_more(
            minute in 0..1_000_u64, before in 0..100_000_u64, more in 0..1_000_u64,
        ) {
            prop_assert!(!begins(seen(minute, before)) || begins(seen(minute + more, before)));
            prop_assert!(!begins(seen(minute, before + more)) || begins(seen(minute, before)));
        }

        #[test]
        fn beginnings_and_ends_take_turns_and_no_spike_begins_on_few_errors(
            steps in prop::collection::vec((1..90_u64, 0..60_u64, 0..3_000_u64), 1..60),
        ) {
            let (mut spike, mut now) = (Spike::default(), 0);
            for (later, minute, before) in steps {
                now += later;
                let was_on = spike.is_on();
                match spike.look(seen(minute, before), &SpikeSettings::default(), at(now)) {
                    Verdict::Began(figures) => {
                        prop_assert!(!was_on && spike.is_on() && minute >= 10 && figures.multiplier > 3.0);
                        prop_assert!(figures.multiplier.is_finite());
                    }
                    Verdict::Ended => prop_assert!(was_on && !spike.is_on()),
                    Verdict::Nothing => prop_assert_eq!(was_on, spike.is_on()),
                }
            }
        }
    }
}
