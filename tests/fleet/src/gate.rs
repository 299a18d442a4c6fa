//! One sidecar's gate: the rules' judges, asked and told as the sidecar's own gate does, and what the simulation wants to
//! know of it.

use fusebox_rules::{
    breaker::{Asker, News, Settings, State, Transition},
    fleet::{
        Judges, Leave, Record, Ruling, SharedClock, Ticket, View, invariants::invariant_no_call_under_an_open_record,
    },
    moment::Moment,
};

/// One gate.
#[derive(Debug)]
pub struct Gate {
    /// Both breakers.
    pub judges: Judges,
    /// Calls at the provider now.
    pub in_flight: u32,
    /// How often the local breaker moved, of itself or with the fleet: whoever waits for that looks again.
    pub moves: u64,
    /// Whether a call was let through that the shared breaker forbids.
    pub broken: bool,
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
        Self { judges: Judges::new(settings, shared), in_flight: 0, moves: 0, broken: false }
    }

    /// The shared breaker as it is held to here.
    #[must_use]
    pub const fn view(&self) -> Option<&View> {
        self.judges.fleet.as_ref()
    }

    /// May a call go?
    pub fn admit(&mut self, asker: Asker, clock: &SharedClock, now: Moment, dice: f64) -> Option<Leave> {
        let leave = match self.judges.free() {
            Some(generation) => Leave::free(generation, self.judges.epoch(), now),
            None => self.ask(asker, clock, now, dice)?,
        };
        self.in_flight += 1;
        Some(leave)
    }

    fn ask(&mut self, asker: Asker, clock: &SharedClock, now: Moment, dice: f64) -> Option<Leave> {
        let (leave, moved) = self.judges.admit(asker, self.in_flight, now, dice);
        self.note(moved);
        let leave = leave.ok()?;
        if let Some(view) = self.view().filter(|_| clock.is_set()) {
            let here = view.open_until().is_none_or(|until| until <= now);
            let holds = invariant_no_call_under_an_open_record(view.record(), &Ruling::Local, clock.stamp(now));
            self.broken |= !here && !holds;
        }
        Some(leave)
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
        let followed = self.judges.record(leave, news, now);
        self.note(followed.moved);
        Followed { urgent: followed.urgent, opened: followed.moved.is_some_and(|moved| moved.to == State::Open) }
    }

    /// Holds to the fleet's record from now on.
    pub fn follow(&mut self, record: &Record, clock: &SharedClock, now: Moment, dice: f64) {
        let before = self.judges.epoch();
        let moved = self.judges.follow(record, clock, now, dice);
        self.note(moved);
        // The prober is woken by every record, whether the local breaker moves by it or not.
        self.moves += u64::from(moved.is_none() && self.judges.epoch() != before);
    }

    /// Whether a leased probe is over of which the store has not been told.
    #[must_use]
    pub fn has_results(&self) -> bool {
        self.view().is_some_and(View::has_results)
    }

    /// What the store is to be told of leased probes that are over.
    pub fn take_results(&mut self) -> Vec<(Ticket, Option<bool>)> {
        self.judges.fleet.as_mut().map(View::take_results).unwrap_or_default()
    }

    /// Whether it lets no call of a caller's through.
    #[must_use]
    pub fn is_shut(&self, now: Moment) -> bool {
        !self.judges.would_admit(now)
    }

    /// Whether the prober should send a probe, and when it should look again.
    pub fn wants_probe(&mut self, now: Moment) -> (bool, Option<Moment>) {
        let moved = self.judges.local.tick(now);
        self.note(moved);
        self.judges.wants_probe(now)
    }

    fn note(&mut self, moved: Option<Transition>) {
        self.moves += u64::from(moved.is_some());
    }
}
