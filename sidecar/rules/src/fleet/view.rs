//! A shared breaker as one sidecar holds to it: the last record it heard, what it saw since, and the probes it leased.
//!
//! It rules over the local breaker while the shared one is open, and while it is half-open and the store is heard.
//! Otherwise the local one decides, which follows each move of the shared one, so that it is as it should be when
//! nothing is heard any more.

use std::time::Duration;

use super::{Record, Report, SharedClock, Tracker};
use crate::{
    breaker::{ASK_AGAIN, Breaker, Meaning, Settings, State, Transition},
    moment::Moment,
};

/// How long a sidecar whose probe failed leases no other in the same epoch: a sick pod must not answer for all.
pub const PROBE_REST: Duration = Duration::from_secs(5);

/// Without a word from the store for so long, a half-open breaker is left to each sidecar.
const HEARD_LATELY: Duration = Duration::from_secs(3);

/// Leave to send one probe, leased from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Names the lease.
    pub token: u64,
    /// The epoch that it is for.
    pub epoch: u64,
    /// When the lease ends, and the ticket with it.
    pub expires: Moment,
}

/// What the shared breaker says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Nothing: the local breaker decides.
    Local,
    /// It may go, as a probe.
    Probe(Ticket),
    /// It may not, and asking again is first worth it after this.
    Refused(Duration),
}

/// One sidecar's view of one shared breaker.
#[derive(Debug, Clone)]
pub struct View {
    settings: Settings,
    record: Record,
    /// The record's end of being open, in this process's time.
    until: Option<Moment>,
    heard: Option<Moment>,
    tracker: Tracker,
    ticket: Option<Ticket>,
    /// Until when no probe is leased after one has failed.
    rest_until: Moment,
    /// What became of probes, by their token, until the store has been told.
    results: Vec<(Ticket, bool)>,
}

impl View {
    /// That of a sidecar which has heard nothing yet: closed.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            tracker: Tracker::new(0, settings.window),
            settings,
            record: Record::default(),
            until: None,
            heard: None,
            ticket: None,
            rest_until: Moment::ZERO,
            results: Vec::new(),
        }
    }

    /// The record that it holds to.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// When the breaker trips.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The store answered. What it says is in [`View::adopt`].
    pub const fn heard(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// Holds to `record` from now on, and lets `local` follow it, unless it is no newer than what is known.
    pub fn adopt(
        &mut self,
        record: &Record,
        clock: &SharedClock,
        local: &mut Breaker,
        now: Moment,
    ) -> Option<Transition> {
        if record.epoch <= self.record.epoch {
            return None;
        }
        self.record = record.clone();
        self.until = record.until.map(|until| clock.moment(until));
        self.tracker = Tracker::new(record.epoch, self.settings.window);
        self.ticket = None;
        self.rest_until = Moment::ZERO;
        self.results.clear();
        if local.mode() != record.mode {
            return local.force(record.mode, now);
        }
        match record.state {
            State::Open => local.open_with_fleet(self.until.unwrap_or(Moment::NEVER), now),
            // Its local breaker finds out for itself, should nothing more be heard.
            State::HalfOpen if local.state() == State::Closed => local.open_with_fleet(now, now),
            State::HalfOpen => None,
            State::Closed => {
                let ramping = record.is_ramping(&self.settings, clock.stamp(now));
                local.close_with_fleet(ramping.then(|| clock.moment(record.since)), now)
            }
        }
    }

    /// Whether nobody need ask: it says nothing about calls.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.record.state == State::Closed
    }

    /// May a call go? `may_probe` is whether it would do as a probe. Takes the ticket if it grants one.
    pub fn rule(&mut self, may_probe: bool, now: Moment) -> Ruling {
        if !self.decides(now) {
            return Ruling::Local;
        }
        match (self.record.state, self.until) {
            (State::HalfOpen, _) => match self.ticket.take_if(|ticket| may_probe || ticket.expires <= now) {
                Some(ticket) if now < ticket.expires => Ruling::Probe(ticket),
                Some(_) | None => Ruling::Refused(ASK_AGAIN),
            },
            (_, Some(until)) if now < until => Ruling::Refused(until.since(now)),
            // Its time is up, and the half-open record is on its way.
            (_, Some(_)) => Ruling::Refused(ASK_AGAIN),
            (_, None) => Ruling::Refused(self.settings.open_for),
        }
    }

    /// Takes in what was understood of a call admitted in `epoch`. Says whether the store should hear of it at once.
    pub fn judge(&mut self, epoch: u64, began: Moment, meaning: Meaning, now: Moment) -> bool {
        self.tracker.judge(epoch, began, meaning, now)
    }

    /// Takes in what became of a probe: good, or bad. One of which nothing can be said is [`View::give_back`]'s.
    pub fn probed(&mut self, ticket: Ticket, good: bool, now: Moment) {
        if ticket.epoch != self.record.epoch {
            return;
        }
        if !good {
            self.rest_until = now + PROBE_REST;
        }
        self.results.push((ticket, good));
    }

    /// A probe was not sent, or says nothing: another may be.
    pub fn give_back(&mut self, ticket: Ticket, now: Moment) {
        if ticket.epoch == self.record.epoch && now < ticket.expires {
            self.ticket = Some(ticket);
        }
    }

    /// Whether a probe should be leased now.
    #[must_use]
    pub fn wants_ticket(&self, now: Moment) -> bool {
        self.record.state == State::HalfOpen
            && self.ticket.as_ref().is_none_or(|ticket| ticket.expires <= now)
            && self.rest_until <= now
    }

    /// Whether a ticket lies here for the sidecar's own probe.
    #[must_use]
    pub fn has_ticket(&self, now: Moment) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| now < ticket.expires)
    }

    /// Lays in a leased ticket.
    pub fn lay_in(&mut self, ticket: Ticket) {
        if ticket.epoch == self.record.epoch {
            self.ticket = Some(ticket);
        }
    }

    /// What became of probes since this was last asked.
    pub fn take_results(&mut self) -> Vec<(Ticket, bool)> {
        std::mem::take(&mut self.results)
    }

    /// What there is to report.
    #[must_use]
    pub fn report(&self, clock: &SharedClock, now: Moment) -> Report {
        self.tracker.report(clock, now)
    }

    /// Whether it decides now, and not the local breaker.
    #[must_use]
    pub fn decides(&self, now: Moment) -> bool {
        match self.record.state {
            State::Closed => false,
            State::Open => self.until.is_none_or(|until| {
                now < until || (self.is_heard(now) && now.since(until) < HEARD_LATELY)
            }),
            State::HalfOpen => self.is_heard(now),
        }
    }

    /// Until when it is open, in this process's time.
    #[must_use]
    pub const fn open_until(&self) -> Option<Moment> {
        self.until
    }

    fn is_heard(&self, now: Moment) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < HEARD_LATELY)
    }
}
