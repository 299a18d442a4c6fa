//! The two breakers that judge of one provider: this process's own, and the fleet's as it is held to here.

use std::time::Duration;

use fusebox_rules::{
    breaker::{Breaker, Meaning, News, State, Transition},
    fleet::View,
    moment::Moment,
};

use super::Leave;

/// How soon a prober looks again while the fleet decides and no probe has been leased.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Both, under one lock.
pub(super) struct Judges {
    pub(super) local: Breaker,
    /// `None`: this breaker is not shared.
    pub(super) fleet: Option<View>,
}

impl Judges {
    /// The generation in which any call may go without asking; `None`: each must ask.
    pub(super) fn free(&self) -> Option<u64> {
        let silent = self.fleet.as_ref().is_none_or(View::says_nothing);
        (silent && self.local.admits_freely()).then(|| self.local.generation())
    }

    /// The shared breaker's epoch.
    pub(super) fn epoch(&self) -> u64 {
        self.fleet.as_ref().map_or(0, |view| view.record().epoch)
    }

    fn fleet_decides(&self, now: Moment) -> Option<&View> {
        self.fleet.as_ref().filter(|view| view.decides(now))
    }

    pub(super) fn would_admit(&self, callers_probe: bool, now: Moment) -> bool {
        if let Some(view) = self.fleet_decides(now) {
            return callers_probe && view.has_ticket(now);
        }
        match self.local.state() {
            State::Closed => true,
            State::Open => callers_probe && self.local.opens_until().is_some_and(|until| until <= now),
            State::HalfOpen => callers_probe,
        }
    }

    /// What is done, and until when it is open.
    pub(super) fn standing(&self, now: Moment) -> (State, Option<Moment>) {
        match self.fleet_decides(now) {
            Some(view) => (view.record().state, view.open_until()),
            None => (self.local.state(), self.local.opens_until()),
        }
    }

    /// Whether the sidecar should send a probe of its own, and when to look again.
    pub(super) fn wants_probe(&self, now: Moment) -> (bool, Option<Moment>) {
        match self.fleet_decides(now) {
            Some(view) => (view.has_ticket(now), Some(now + LOOK_AGAIN)),
            None => (self.local.wants_probe(now), self.local.opens_until()),
        }
    }

    /// Hears what became of a call; the local breaker's move, and whether the fleet should hear of it at once.
    pub(super) fn record(&mut self, leave: &mut Leave, news: News, now: Moment) -> (Option<Transition>, bool) {
        let meaning = self.local.understand(&mut leave.permit, news);
        let Some(view) = &mut self.fleet else { return (self.local.judge(&leave.permit, meaning, now), false) };
        let Some(ticket) = leave.ticket.take() else {
            let urgent = view.judge(leave.epoch, leave.permit.began, meaning, now);
            return (self.local.judge(&leave.permit, meaning, now), urgent);
        };
        match meaning {
            Meaning::Started | Meaning::Answered => view.probed(ticket, true, now),
            Meaning::NotStarted | Meaning::Broke => view.probed(ticket, false, now),
            Meaning::Nothing | Meaning::Finished if leave.permit.is_over() => view.give_back(ticket, now),
            Meaning::Nothing | Meaning::Finished => {
                leave.ticket = Some(ticket);
                return (None, false);
            }
        }
        (None, true)
    }
}
