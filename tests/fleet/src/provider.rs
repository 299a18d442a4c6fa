//! The provider that the whole fleet asks: well, failing, dead, or with less capacity than is asked of it.

use std::time::Duration;

use fusebox_rules::{error::ErrorKind, moment::Moment};

use crate::dice::Dice;

/// How the provider is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Health {
    /// Every call is answered.
    Well,
    /// Every call is refused.
    Dead,
    /// This share of calls fails, from 0 to 1.
    Failing(f64),
    /// It answers so many calls a second, which grow to so many within the time given; calls wait in a line.
    Limited {
        /// Calls a second at first.
        from: f64,
        /// Calls a second in the end.
        to: f64,
        /// How long that takes.
        within: Duration,
    },
}

/// A provider, and its line.
#[derive(Debug)]
pub struct Provider {
    health: Health,
    since: Moment,
    /// When whoever comes now is served.
    free_at: Moment,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub struct Ending {
    /// When.
    pub at: Moment,
    /// How it failed; `None`: well.
    pub failed: Option<ErrorKind>,
}

/// An answer's time in the middle, and its spread.
const ANSWER: (Duration, f64) = (Duration::from_millis(250), 0.5);
/// A refusal's.
const REFUSAL: (Duration, f64) = (Duration::from_millis(4), 0.6);
/// How long a caller waits for a first token: the default of the configuration.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Whoever would wait longer is turned away. Longer than patience: who gives up has still cost its answer, as with
/// servers that do not notice that nobody waits any more.
const LINE: Duration = Duration::from_secs(15);

impl Provider {
    /// One that is well.
    #[must_use]
    pub const fn new() -> Self {
        Self { health: Health::Well, since: Moment::ZERO, free_at: Moment::ZERO }
    }

    /// From now on it is so.
    pub fn become_so(&mut self, health: Health, now: Moment) {
        *self = Self { health, since: now, free_at: now };
    }

    /// What becomes of an attempt that begins now.
    pub fn ask(&mut self, dice: &mut Dice, now: Moment) -> Ending {
        let answered = now + dice.around(ANSWER.0, ANSWER.1);
        let refused = now + dice.around(REFUSAL.0, REFUSAL.1);
        let good = Ending { at: answered, failed: None };
        match self.health {
            Health::Well => good,
            Health::Dead => Ending { at: refused, failed: Some(ErrorKind::NetworkError) },
            Health::Failing(share) if dice.share() < share => {
                Ending { at: refused, failed: Some(ErrorKind::ProviderError) }
            }
            Health::Failing(_) => good,
            Health::Limited { .. } => self.stand_in_line(answered, refused, now),
        }
    }

    fn stand_in_line(&mut self, answered: Moment, refused: Moment, now: Moment) -> Ending {
        let turn = self.free_at.max(now);
        let wait = turn.since(now);
        if wait >= LINE {
            return Ending { at: refused, failed: Some(ErrorKind::ModelOverloaded) };
        }
        self.free_at = turn + Duration::from_secs_f64(1.0 / self.capacity(now).max(f64::MIN_POSITIVE));
        if wait >= PATIENCE {
            return Ending { at: now + PATIENCE, failed: Some(ErrorKind::InferenceTimeout) };
        }
        Ending { at: answered + wait, failed: None }
    }

    /// Calls a second that it answers now.
    #[must_use]
    pub fn capacity(&self, now: Moment) -> f64 {
        match self.health {
            Health::Well => f64::INFINITY,
            Health::Dead => 0.0,
            Health::Failing(share) => 1.0 - share,
            Health::Limited { from, to, within } => {
                let grown = now.since(self.since).as_secs_f64() / within.as_secs_f64().max(f64::MIN_POSITIVE);
                from + (to - from) * grown.min(1.0)
            }
        }
    }
}

impl Default for Provider {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_asked_for_twice_what_it_can_answers_its_capacity_and_fails_the_rest() {
        let (mut provider, mut dice) = (Provider::new(), Dice::new(3));
        provider.become_so(Health::Limited { from: 100.0, to: 100.0, within: Duration::ZERO }, Moment::ZERO);
        let asked = |provider: &mut Provider, dice: &mut Dice, from: u64, calls: u64| {
            let at = |number: u64| Moment::ZERO + Duration::from_millis(from * 1_000 + number * 5);
            (0..calls).filter(|number| provider.ask(dice, at(*number)).failed.is_none()).count()
        };
        assert_eq!(asked(&mut provider, &mut dice, 0, 1_000), 1_000, "for five seconds the line takes all");
        let later = asked(&mut provider, &mut dice, 100, 4_000);
        assert!(later < 2_200, "{later}");
    }

    #[test]
    fn a_dead_provider_answers_nobody_and_one_that_fails_half_answers_half() {
        let (mut provider, mut dice) = (Provider::new(), Dice::new(5));
        let mut good = |health| {
            provider.become_so(health, Moment::ZERO);
            (0..1_000).filter(|_| provider.ask(&mut dice, Moment::ZERO).failed.is_none()).count()
        };
        assert_eq!((good(Health::Well), good(Health::Dead)), (1_000, 0));
        assert!((400..600).contains(&good(Health::Failing(0.5))));
    }
}
