//! When one sidecar speaks with the store about a shared breaker, if nothing is rung, and whether it then asks for a
//! probe's lease.
//!
//! While the breaker is half-open every sidecar draws lots for that by itself, and only those drawn speak: to draw
//! costs the store nothing, and so a fleet of thousands finds out as soon as a fleet of three.

use std::time::Duration;

use super::{View, pace};
use crate::{breaker::State, moment::Moment};

/// One sidecar's turns.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    /// The epoch that they are of.
    epoch: u64,
    /// Since when nobody has been known to ask: as time passes, more of them do.
    quiet_since: Moment,
    drawn: bool,
}

/// One round with the store, and what was drawn for it at random about what [`pace`] says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Round {
    /// When it began.
    pub began: Moment,
    /// Sidecars that are there.
    pub live: u32,
    /// Until the next, while nothing is to be told.
    pub idle: Duration,
    /// Until the next at least, and between two drawings of lots.
    pub busy: Duration,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// To speak with the store now, and to ask for a lease.
    Lease,
    /// To speak with it then.
    Speak(Moment),
    /// To ask here again what is next, then.
    Draw(Moment),
}

impl Turn {
    /// The one of both that is due sooner.
    #[must_use]
    pub fn sooner(self, other: Self) -> Self {
        let due = |turn: &Self| match *turn {
            Self::Lease => Moment::ZERO,
            Self::Speak(due) | Self::Draw(due) => due,
        };
        if due(&other) < due(&self) { other } else { self }
    }
}

impl Turns {
    /// What is next after `round`. `dice` is from 0 to 1.
    pub fn next(&mut self, view: &View, round: &Round, now: Moment, dice: f64) -> Turn {
        let record = view.record();
        if record.epoch != self.epoch {
            *self = Self { epoch: record.epoch, quiet_since: now, drawn: false };
        }
        let idle = round.began + round.idle;
        match record.state {
            State::Closed => Turn::Speak(idle),
            State::Open => {
                let look = |until: Moment| until + pace::spread(round.live).mul_f64(dice);
                Turn::Speak(view.open_until().map_or(idle, look).min(idle))
            }
            State::HalfOpen => {
                let after = now.since(self.quiet_since);
                let chance = pace::asks_for_lease(round.live, view.settings().half_open_max_calls, after);
                if view.wants_ticket(now) && dice < chance {
                    self.drawn = true;
                    return Turn::Lease;
                }
                let again = now + round.busy;
                if again < idle { Turn::Draw(again) } else { Turn::Speak(idle) }
            }
        }
    }

    /// Whether it has been drawn, and so need not wait for its turn.
    #[must_use]
    pub const fn is_drawn(&self) -> bool {
        self.drawn
    }

    /// Whether it asks for a lease now. It does so once each time it is drawn; whatever the answer, somebody has asked,
    /// and few do again.
    pub fn asks(&mut self, view: &View, now: Moment) -> bool {
        let asks = std::mem::take(&mut self.drawn) && view.record().epoch == self.epoch && view.wants_ticket(now);
        if asks {
            self.quiet_since = now;
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        breaker::{Breaker, Probe, Settings},
        fleet::{Reason, Record, SharedClock, Stamp, Ticket, fixture::SETTINGS},
    };

    const ROUND: Round =
        Round { began: Moment::ZERO, live: 1_000, idle: Duration::from_secs(1), busy: Duration::from_millis(500) };

    fn at(millis: u64) -> Moment {
        Moment::ZERO + Duration::from_millis(millis)
    }

    /// A view of a breaker in `state`, entered at once.
    fn view(state: State) -> View {
        let settings = Settings { probe: Probe::Active, ..SETTINGS };
        let mut clock = SharedClock::default();
        clock.hear(at(0), at(0), Stamp::from_millis(1_000_000));
        let record = Record::default().next(state, Reason::FailureRate, &settings, Stamp::from_millis(1_000_000));
        let mut view = View::new(settings.clone());
        view.adopt(&record, &clock, &mut Breaker::new(settings), at(0), 0.0);
        view
    }

    #[test]
    fn an_open_breakers_end_is_looked_at_by_one_after_the_other() {
        let (view, mut turns) = (view(State::Open), Turns::default());
        let ends = view.open_until().unwrap();
        let late = Round { began: ends, idle: Duration::from_secs(9), ..ROUND };
        let mut next = |dice| turns.next(&view, &late, ends, dice);
        assert_eq!(next(0.0), Turn::Speak(ends));
        assert_eq!(next(1.0), Turn::Speak(ends + pace::spread(1_000)));
    }

    #[test]
    fn only_those_drawn_speak_of_a_half_open_breaker_and_few_are_drawn_again_once_somebody_asked() {
        let (view, mut turns) = (view(State::HalfOpen), Turns::default());
        assert_eq!(turns.next(&view, &ROUND, at(0), 0.005), Turn::Draw(at(500)));
        // Its turn to tell what it has seen comes all the same.
        assert_eq!(turns.next(&view, &ROUND, at(600), 0.9), Turn::Speak(at(1_000)));
        assert!(!turns.asks(&view, at(600)));
        assert_eq!(turns.next(&view, &ROUND, at(500), 0.005), Turn::Lease);
        assert!(turns.is_drawn() && turns.asks(&view, at(500)) && !turns.asks(&view, at(500)));
        assert_eq!(turns.next(&view, &ROUND, at(501), 0.005), Turn::Speak(at(1_000)));
    }

    #[test]
    fn who_has_a_lease_draws_no_lots() {
        let (mut view, mut turns) = (view(State::HalfOpen), Turns::default());
        let small = Round { live: 2, ..ROUND };
        assert_eq!(turns.next(&view, &small, at(0), 0.99), Turn::Lease);
        view.lay_in(Ticket { token: 1, epoch: view.record().epoch, expires: at(30_000) }, at(1));
        assert!(!turns.asks(&view, at(1)));
        assert_eq!(turns.next(&view, &small, at(1), 0.0), Turn::Draw(at(501)));
    }
}
