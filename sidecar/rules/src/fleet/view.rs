//! A shared breaker as one sidecar holds to it: the last record it heard, what it saw since, and the probes it leased.
//!
//! It rules over the local breaker while the shared one is open, and while it is half-open and the store is heard.
//! Otherwise the local one decides, which follows each move of the shared one, so that it is as it should be when
//! nothing is heard any more.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use super::{Reason, Record, Report, SharedClock, Stamp, Tracker, pace};
use crate::{
    breaker::{ASK_AGAIN, Breaker, MAX_PROBES, Meaning, Mode, Probe, Settings, State, Transition},
    moment::Moment,
};

/// How long a sidecar whose probe failed leases no other in the same epoch: a sick pod must not answer for all.
pub const PROBE_REST: Duration = Duration::from_secs(5);

/// The share of an open breaker's rest by which the local one that follows it may wait longer: without the store, sidecars
/// would all probe as its time is up.
const SPREAD_ALONE: f64 = 0.2;

/// Without a call that would probe for so long, a sidecar leases none: a ticket that nobody uses is kept from another.
const ASKED_LATELY: Duration = Duration::from_secs(3);

/// Leave to send one probe, leased from the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    settings: Settings,
    record: Record,
    /// The record's end of being open, in this process's time.
    until: Option<Moment>,
    heard: Option<Moment>,
    /// Without a word from the store for so long, a breaker that is not closed is left to each sidecar.
    silence: Duration,
    /// When a call last came that would have gone as a probe.
    asked: Option<Moment>,
    tracker: Tracker,
    ticket: Option<Ticket>,
    /// Until when no probe is leased after one has failed.
    rest_until: Moment,
    /// Leases that are over, and whether the probe did well if that can be said, until the store has been told.
    results: Vec<(Ticket, Option<bool>)>,
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
            silence: pace::silence(0),
            asked: None,
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

    /// The store answered one of `live` sidecars. What it says is in [`View::adopt`].
    pub fn heard(&mut self, live: u32, now: Moment) {
        self.heard = Some(now);
        self.silence = pace::silence(live);
    }

    /// Holds to `record` from now on, and lets `local` follow it, unless it is older than what is known. Of two records
    /// of one epoch the one told last holds: they come of a write that the store lost, and its word heals that.
    /// Returns the last move of `local`. `dice` is from 0 to 1.
    pub fn adopt(
        &mut self,
        record: &Record,
        clock: &SharedClock,
        local: &mut Breaker,
        now: Moment,
        dice: f64,
    ) -> Option<Transition> {
        if record.epoch < self.record.epoch || *record == self.record {
            return None;
        }
        self.record = record.clone();
        self.until = ends(record, clock, now);
        self.tracker = Tracker::new(record.epoch, self.settings.window);
        self.rest_until = Moment::ZERO;
        if let Some(unused) = self.ticket.take() {
            self.tell(unused, None);
        }
        self.lead(local, clock, now, dice)
    }

    /// Brings `local` to where the record is, whatever moves between it has missed.
    fn lead(&self, local: &mut Breaker, clock: &SharedClock, now: Moment, dice: f64) -> Option<Transition> {
        let (record, was) = (&self.record, local.mode());
        let forced = if was == record.mode { None } else { local.force(record.mode, now) };
        if record.mode != Mode::Auto {
            return forced;
        }
        let followed = match record.state {
            State::Open => {
                let alone = |until: Moment| until + until.since(now).mul_f64(SPREAD_ALONE * dice);
                local.open_with_fleet(self.until.map_or(Moment::NEVER, alone), now)
            }
            // Its local breaker finds out for itself, should nothing more be heard.
            State::HalfOpen if local.state() == State::Closed => local.open_with_fleet(now, now),
            State::HalfOpen => None,
            // Just let go after it was forced closed: it has been opened if what this sidecar saw says so.
            State::Closed if was == Mode::ForcedClosed && record.reason == Reason::Forced => None,
            State::Closed => {
                let ramping = clock.is_set() && record.is_ramping(&self.settings, clock.stamp(now));
                // A ramp that began later than now never grows: the store's clock was set back.
                local.close_with_fleet(ramping.then(|| clock.moment(record.since).min(now)), now)
            }
        };
        followed.or(forced)
    }

    /// Whether nobody need ask: it says nothing about calls.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        self.record.state == State::Closed
    }

    /// May a call go? `may_probe` is whether it would go as a probe. Takes the ticket if it grants one.
    pub fn rule(&mut self, may_probe: bool, now: Moment) -> Ruling {
        if may_probe && self.record.state != State::Closed {
            self.asked = Some(now);
        }
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

    /// Others saw a call go well at `good_at`, in `epoch`: see [`Tracker::hear_of_good`].
    pub fn hear_of_good(&mut self, epoch: u64, good_at: Stamp, clock: &SharedClock) {
        if epoch == self.record.epoch && clock.is_set() && good_at > Stamp::default() {
            self.tracker.hear_of_good(clock.moment(good_at));
        }
    }

    /// Takes in what became of a probe: good, or bad. One of which nothing can be said is [`View::give_back`]'s. That of
    /// an epoch gone by proves nothing, but its lease is over; and so it is with one that fails while the sidecar rests
    /// after another: both may come of the sidecar itself, and together they would open everybody's breaker again.
    pub fn probed(&mut self, ticket: Ticket, good: bool, now: Moment) {
        let says_nothing = !good && now < self.rest_until;
        if !good && !says_nothing && ticket.epoch == self.record.epoch {
            self.rest_until = now + PROBE_REST;
            if let Some(unused) = self.ticket.take() {
                self.tell(unused, None);
            }
        }
        self.tell(ticket, (!says_nothing).then_some(good));
    }

    /// A probe was not sent, or says nothing: another may be, here or elsewhere.
    pub fn give_back(&mut self, ticket: Ticket, now: Moment) {
        let usable = ticket.epoch == self.record.epoch && now < ticket.expires && self.rest_until <= now;
        if usable && !self.has_ticket(now) {
            self.ticket = Some(ticket);
        } else {
            self.tell(ticket, None);
        }
    }

    /// Whether a probe should be leased now: where callers' calls probe, only if there are some.
    #[must_use]
    pub fn wants_ticket(&self, now: Moment) -> bool {
        self.record.state == State::HalfOpen
            && !self.has_ticket(now)
            && self.rest_until <= now
            && match self.settings.probe {
                Probe::Active => true,
                Probe::Passive => self.asked.is_some_and(|asked| now.since(asked) < ASKED_LATELY),
            }
    }

    /// Whether a ticket lies here for the sidecar's own probe.
    #[must_use]
    pub fn has_ticket(&self, now: Moment) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| now < ticket.expires)
    }

    /// Lays in a leased ticket. Its end should be counted from when it was asked for, so that it is none later than
    /// the store's.
    pub fn lay_in(&mut self, ticket: Ticket, now: Moment) {
        self.give_back(ticket, now);
    }

    /// Whether there is something to tell of probes.
    #[must_use]
    pub const fn has_results(&self) -> bool {
        !self.results.is_empty()
    }

    /// Leases that are over since this was last asked, and whether the probe did well, if that can be said. What could
    /// not be told to the store is put back by [`View::untold`].
    pub fn take_results(&mut self) -> Vec<(Ticket, Option<bool>)> {
        std::mem::take(&mut self.results)
    }

    /// The store could not be told: to be told again. Told twice, it counts once.
    pub fn untold(&mut self, results: Vec<(Ticket, Option<bool>)>) {
        for (ticket, good) in results {
            self.tell(ticket, good);
        }
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
            State::Open => {
                self.until.is_none_or(|until| now < until || (self.is_heard(now) && now.since(until) < self.silence))
            }
            State::HalfOpen => self.is_heard(now),
        }
    }

    /// Until when it is open, in this process's time.
    #[must_use]
    pub const fn open_until(&self) -> Option<Moment> {
        self.until
    }

    /// More than may be out are not kept: their leases end by themselves.
    fn tell(&mut self, ticket: Ticket, good: Option<bool>) {
        if self.results.len() < MAX_PROBES as usize {
            self.results.push((ticket, good));
        }
    }

    fn is_heard(&self, now: Moment) -> bool {
        self.heard.is_some_and(|heard| now.since(heard) < self.silence)
    }
}

/// All but the settings, which stay as they are.
impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.record, self.until, self.heard, self.asked, &self.tracker).hash(state);
        (&self.ticket, self.rest_until, &self.results).hash(state);
    }
}

/// When an open record's time is up by this process's clock: no later than if it had been opened just now, whatever the
/// store's clock says, or if none was told yet.
fn ends(record: &Record, clock: &SharedClock, now: Moment) -> Option<Moment> {
    let latest = now + record.lasts();
    record.until.map(|until| if clock.is_set() { clock.moment(until).min(latest) } else { latest })
}

#[cfg(test)]
mod tests;
