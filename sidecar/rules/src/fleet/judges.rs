//! The two breakers that judge of one provider at one sidecar: the process's own, and the fleet's as it is held to here.
//! Which of them a call is asked of, and which hears what became of it.

use std::time::Duration;

use super::{Record, Ruling, SharedClock, Ticket, View};
use crate::{
    breaker::{Admission, Asker, Breaker, Meaning, News, Permit, Probe, Settings, State, Transition},
    moment::Moment,
};

/// How soon a prober looks again while the fleet decides and no probe has been leased.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Both of them.
#[derive(Debug)]
pub struct Judges {
    /// The process's own.
    pub local: Breaker,
    /// The fleet's; `None`: it is not shared.
    pub fleet: Option<View>,
    /// Whether it is callers' calls that find out if the provider has recovered.
    callers_probe: bool,
}

/// Leave that they give to one call.
#[derive(Debug)]
pub struct Leave {
    /// The own breaker's.
    pub permit: Permit,
    /// The shared breaker's epoch when it was given.
    epoch: u64,
    /// Given to a probe of the shared breaker.
    ticket: Option<Ticket>,
}

/// What followed from the news of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The own breaker's move.
    pub moved: Option<Transition>,
    /// Whether the fleet should hear of it at once.
    pub urgent: bool,
}

impl Leave {
    /// Leave that needed no asking, as [`Judges::free`] said.
    #[must_use]
    pub const fn free(generation: u64, epoch: u64, now: Moment) -> Self {
        Self { permit: Permit::free(generation, now), epoch, ticket: None }
    }

    /// Whether it was given to a probe of the shared breaker.
    #[must_use]
    pub const fn is_leased(&self) -> bool {
        self.ticket.is_some()
    }
}

impl Judges {
    /// Two that have seen nothing, or one if the breaker is not shared.
    #[must_use]
    pub fn new(settings: &Settings, shared: bool) -> Self {
        Self {
            local: Breaker::new(settings.clone()),
            fleet: shared.then(|| View::new(settings.clone())),
            callers_probe: settings.probe == Probe::Passive,
        }
    }

    /// The generation in which any call may go without asking; `None`: each must ask.
    #[must_use]
    pub fn free(&self) -> Option<u64> {
        let silent = self.fleet.as_ref().is_none_or(View::says_nothing);
        (silent && self.local.admits_freely()).then(|| self.local.generation())
    }

    /// The shared breaker's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.fleet.as_ref().map_or(0, |view| view.record().epoch)
    }

    /// May a call go, with `in_flight` there already? And the own breaker's move, if asking made it. `dice` is from 0 to 1.
    ///
    /// # Errors
    /// When asking again is first worth it.
    pub fn admit(
        &mut self,
        asker: Asker,
        in_flight: u32,
        now: Moment,
        dice: f64,
    ) -> (Result<Leave, Duration>, Option<Transition>) {
        let epoch = self.epoch();
        let may_probe = asker == Asker::Prober || self.callers_probe;
        match self.fleet.as_mut().map_or(Ruling::Local, |view| view.rule(may_probe, now)) {
            Ruling::Refused(wait) => return (Err(wait), None),
            Ruling::Probe(ticket) => {
                let permit = Permit::free(self.local.generation(), now);
                return (Ok(Leave { permit, epoch, ticket: Some(ticket) }), None);
            }
            Ruling::Local => {}
        }
        let moved = self.local.tick(now);
        let leave = match self.local.admit(asker, in_flight, now, dice) {
            Admission::Granted(permit) => Ok(Leave { permit, epoch, ticket: None }),
            Admission::Refused { retry_after, .. } => Err(retry_after),
        };
        (leave, moved)
    }

    /// Whether a caller's call would go now; asking takes nothing.
    #[must_use]
    pub fn would_admit(&self, now: Moment) -> bool {
        if let Some(view) = self.fleet_decides(now) {
            return self.callers_probe && view.has_ticket(now);
        }
        match self.local.state() {
            State::Closed => true,
            State::Open => self.callers_probe && self.local.opens_until().is_some_and(|until| until <= now),
            State::HalfOpen => self.callers_probe,
        }
    }

    /// Hears what became of a call.
    pub fn record(&mut self, leave: &mut Leave, news: News, now: Moment) -> Followed {
        let meaning = self.local.understand(&mut leave.permit, news);
        let Some(view) = &mut self.fleet else {
            return Followed { moved: self.local.judge(&leave.permit, meaning, now), urgent: false };
        };
        let Some(ticket) = leave.ticket.take() else {
            let urgent = view.judge(leave.epoch, leave.permit.began, meaning, now);
            return Followed { moved: self.local.judge(&leave.permit, meaning, now), urgent };
        };
        match meaning {
            Meaning::Started | Meaning::Answered => view.probed(ticket, true, now),
            Meaning::NotStarted | Meaning::Broke => view.probed(ticket, false, now),
            Meaning::Nothing | Meaning::Finished if leave.permit.is_over() => view.give_back(ticket, now),
            Meaning::Nothing | Meaning::Finished => {
                leave.ticket = Some(ticket);
                return Followed { moved: None, urgent: false };
            }
        }
        Followed { moved: None, urgent: true }
    }

    /// Holds to the fleet's record from now on, as [`View::adopt`] does.
    pub fn follow(&mut self, record: &Record, clock: &SharedClock, now: Moment, dice: f64) -> Option<Transition> {
        self.fleet.as_mut()?.adopt(record, clock, &mut self.local, now, dice)
    }

    /// What is done, and until when it is open.
    #[must_use]
    pub fn standing(&self, now: Moment) -> (State, Option<Moment>) {
        match self.fleet_decides(now) {
            Some(view) => (view.record().state, view.open_until()),
            None => (self.local.state(), self.local.opens_until()),
        }
    }

    /// Whether the sidecar should send a probe of its own, and when to look again.
    #[must_use]
    pub fn wants_probe(&self, now: Moment) -> (bool, Option<Moment>) {
        match self.fleet_decides(now) {
            Some(view) => (view.has_ticket(now), Some(now + LOOK_AGAIN)),
            None => (self.local.wants_probe(now), self.local.opens_until()),
        }
    }

    fn fleet_decides(&self, now: Moment) -> Option<&View> {
        self.fleet.as_ref().filter(|view| view.decides(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{Reason, Stamp, fixture::SETTINGS};

    const EPOCH: Stamp = Stamp::from_millis(1_000_000);

    fn at(secs: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(secs)
    }

    /// Those of a breaker whose record is in `state` since time zero.
    fn judges(state: State, probe: Probe) -> Judges {
        let settings = Settings { probe, ..SETTINGS };
        let (mut judges, mut clock) = (Judges::new(&settings, true), SharedClock::default());
        clock.hear(at(0), at(0), EPOCH);
        let record = Record::default().next(state, Reason::FailureRate, &settings, EPOCH);
        judges.follow(&record, &clock, at(0), 0.0);
        if let Some(view) = &mut judges.fleet {
            view.heard(1, at(0));
        }
        judges
    }

    fn lease(judges: &mut Judges) {
        let epoch = judges.epoch();
        let view = judges.fleet.as_mut().unwrap();
        view.lay_in(Ticket { token: 1, epoch, expires: at(30) }, at(0));
    }

    #[test]
    fn nobody_need_ask_while_both_say_nothing() {
        let alone = Judges::new(&SETTINGS, false);
        assert_eq!((alone.free(), alone.epoch()), (Some(0), 0));
        assert!(judges(State::Closed, Probe::Active).free().is_some());
        assert_eq!(judges(State::Open, Probe::Active).free(), None);
    }

    #[test]
    fn a_leased_probe_is_for_whoever_may_probe_and_the_fleet_hears_of_it_at_once() {
        for (probe, callers) in [(Probe::Active, false), (Probe::Passive, true)] {
            let mut judges = judges(State::HalfOpen, probe);
            assert!(judges.admit(Asker::Caller, 0, at(1), 0.0).0.is_err());
            lease(&mut judges);
            assert_eq!(judges.would_admit(at(1)), callers);
            let asker = if callers { Asker::Caller } else { Asker::Prober };
            let mut leave = judges.admit(asker, 0, at(1), 0.0).0.unwrap();
            assert!(leave.is_leased() && !judges.would_admit(at(1)));
            let followed = judges.record(&mut leave, News::Succeeded, at(2));
            assert_eq!(followed, Followed { moved: None, urgent: true });
            assert_eq!(judges.fleet.as_mut().unwrap().take_results().len(), 1);
        }
    }

    #[test]
    fn a_probe_of_which_nothing_can_be_said_may_be_sent_again() {
        let mut judges = judges(State::HalfOpen, Probe::Active);
        lease(&mut judges);
        let mut leave = judges.admit(Asker::Prober, 0, at(1), 0.0).0.unwrap();
        judges.record(&mut leave, News::Unused, at(1));
        assert!(judges.wants_probe(at(1)).0);
    }

    #[test]
    fn each_follows_the_fleets_breaker_by_itself_for_a_while_of_its_own() {
        let settings = SETTINGS;
        let record = Record::default().next(State::Open, Reason::FailureRate, &settings, EPOCH);
        let ends = |dice| {
            let (mut judges, mut clock) = (Judges::new(&settings, true), SharedClock::default());
            clock.hear(at(0), at(0), EPOCH);
            judges.follow(&record, &clock, at(0), dice);
            judges.local.opens_until().unwrap().since(at(0))
        };
        assert_eq!((ends(0.0), ends(1.0)), (record.lasts(), record.lasts().mul_f64(1.2)));
    }
}
