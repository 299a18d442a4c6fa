//! One sidecar's gate: the local breaker and the view of the shared one, asked and told as the sidecar's own gate does.

use fusebox_rules::{
    breaker::{Admission, Asker, Breaker, Meaning, News, Permit, Settings, State},
    fleet::{Ruling, SharedClock, Ticket, View, invariants::invariant_no_call_under_an_open_record},
    moment::Moment,
};

/// Both breakers.
#[derive(Debug)]
pub struct Gate {
    /// The process's own.
    pub local: Breaker,
    /// The fleet's; `None`: it is not shared.
    pub fleet: Option<View>,
    /// Calls at the provider now.
    pub in_flight: u32,
    /// How often the local breaker moved, of itself or with the fleet: whoever waits for that looks again.
    pub moves: u64,
    /// Whether a leased probe is over of which the store has not been told.
    results: bool,
    /// Whether a call was let through that the shared breaker forbids.
    pub broken: bool,
}

/// Leave for one call.
#[derive(Debug)]
pub struct Leave {
    permit: Permit,
    epoch: u64,
    ticket: Option<Ticket>,
}

impl Leave {
    /// Whether it was given to a probe of the shared breaker.
    #[must_use]
    pub const fn is_leased(&self) -> bool {
        self.ticket.is_some()
    }
}

/// What followed from the news of a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Followed {
    /// The fleet should hear of it at once.
    pub urgent: bool,
    /// The local breaker opened by itself.
    pub opened: bool,
}

impl Gate {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(settings: &Settings, shared: bool) -> Self {
        let fleet = shared.then(|| View::new(settings.clone()));
        Self { local: Breaker::new(settings.clone()), fleet, in_flight: 0, moves: 0, results: false, broken: false }
    }

    /// May a call go?
    pub fn admit(&mut self, asker: Asker, clock: &SharedClock, now: Moment, dice: f64) -> Option<Leave> {
        let leave = self.ask(asker, clock, now, dice)?;
        self.in_flight += 1;
        Some(leave)
    }

    fn ask(&mut self, asker: Asker, clock: &SharedClock, now: Moment, dice: f64) -> Option<Leave> {
        let silent = self.fleet.as_ref().is_none_or(View::says_nothing);
        let epoch = self.epoch();
        if silent && self.local.admits_freely() {
            return Some(Leave { permit: Permit::free(self.local.generation(), now), epoch, ticket: None });
        }
        let ruling = self.fleet.as_mut().map_or(Ruling::Local, |view| view.rule(asker == Asker::Prober, now));
        if let Some(view) = self.fleet.as_ref().filter(|_| clock.is_set()) {
            let here = view.open_until().is_none_or(|until| until <= now);
            self.broken |= !here && !invariant_no_call_under_an_open_record(view.record(), &ruling, clock.stamp(now));
        }
        match ruling {
            Ruling::Refused(_) => return None,
            Ruling::Probe(ticket) => {
                let permit = Permit::free(self.local.generation(), now);
                return Some(Leave { permit, epoch, ticket: Some(ticket) });
            }
            Ruling::Local => {}
        }
        let moved = self.local.tick(now);
        self.moves += u64::from(moved.is_some());
        match self.local.admit(asker, self.in_flight, now, dice) {
            Admission::Granted(permit) => Some(Leave { permit, epoch, ticket: None }),
            Admission::Refused { .. } => None,
        }
    }

    fn epoch(&self) -> u64 {
        self.fleet.as_ref().map_or(0, |view| view.record().epoch)
    }

    /// A call is over; it went well, or the provider is to blame.
    pub fn over(&mut self, mut leave: Leave, news: News, now: Moment) -> Followed {
        self.in_flight = self.in_flight.saturating_sub(1);
        let followed = self.record(&mut leave, news, now);
        if leave.permit.is_over() {
            return followed;
        }
        let last = self.record(&mut leave, News::Succeeded, now);
        Followed { urgent: followed.urgent | last.urgent, opened: followed.opened | last.opened }
    }

    fn record(&mut self, leave: &mut Leave, news: News, now: Moment) -> Followed {
        let meaning = self.local.understand(&mut leave.permit, news);
        let Some(view) = &mut self.fleet else {
            return Followed { urgent: false, opened: self.judge(leave, meaning, now) };
        };
        let Some(ticket) = leave.ticket.take() else {
            let urgent = view.judge(leave.epoch, leave.permit.began, meaning, now);
            return Followed { urgent, opened: self.judge(leave, meaning, now) };
        };
        self.results = true;
        match meaning {
            Meaning::Started | Meaning::Answered => view.probed(ticket, true, now),
            Meaning::NotStarted | Meaning::Broke => view.probed(ticket, false, now),
            Meaning::Nothing | Meaning::Finished => view.give_back(ticket, now),
        }
        Followed { urgent: true, opened: false }
    }

    fn judge(&mut self, leave: &Leave, meaning: Meaning, now: Moment) -> bool {
        let moved = self.local.judge(&leave.permit, meaning, now);
        self.moves += u64::from(moved.is_some());
        moved.is_some_and(|moved| moved.to == State::Open)
    }

    /// Whether a call of a caller's would go now; as the sidecar asks before a retry.
    #[must_use]
    pub fn would_admit(&self, now: Moment) -> bool {
        match self.fleet.as_ref().filter(|view| view.decides(now)) {
            Some(_) => false,
            None => self.local.state() == State::Closed,
        }
    }

    /// Whether a leased probe is over of which the store has not been told.
    #[must_use]
    pub const fn has_results(&self) -> bool {
        self.results
    }

    /// What the store is to be told of leased probes that are over.
    pub fn take_results(&mut self) -> Vec<(Ticket, Option<bool>)> {
        self.results = false;
        self.fleet.as_mut().map(View::take_results).unwrap_or_default()
    }

    /// Whether it lets every call through.
    #[must_use]
    pub fn is_shut(&self, now: Moment) -> bool {
        !self.would_admit(now)
    }

    /// Whether the prober should send a probe, and when it should look again.
    pub fn wants_probe(&mut self, look_again: Moment, now: Moment) -> (bool, Option<Moment>) {
        let moved = self.local.tick(now);
        self.moves += u64::from(moved.is_some());
        match self.fleet.as_ref().filter(|view| view.decides(now)) {
            Some(view) => (view.has_ticket(now), Some(look_again)),
            None => (self.local.wants_probe(now), self.local.opens_until()),
        }
    }
}
