//! The fleet, its provider and its store, moved from event to event.

mod calls;
mod sync;

use std::{rc::Rc, time::Duration};

use fusebox_rules::{
    breaker::{self, State},
    error::ErrorKind,
    fleet::{Leave, Record, Stamp, pace},
    moment::Moment,
};

use crate::{
    agenda::Agenda,
    dice::Dice,
    provider::{Health, Provider},
    redis::{Answer, Question, Redis},
    sidecar::{Sharing, Sidecar},
    watch::Watch,
};

/// What the scene does to the fleet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The provider is so from now on.
    Provider(Health),
    /// So many times as many calls come as at first.
    Load(f64),
    /// This sidecar's own calls fail, whatever the provider does.
    Sicken(usize),
    /// The store answers nobody.
    StoreGoes,
    /// It does again.
    StoreComes,
    /// Another server takes over, which does not know the last record; and answers.
    StoreFailsOver,
    /// From now on it is noted who shuts its gate first.
    NoteShut,
    /// From now on it is noted who opens it first.
    NoteLet,
}

/// What history is to be lived.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sidecars.
    pub sidecars: usize,
    /// Calls a second that callers make at each.
    pub calls: f64,
    /// What they share.
    pub sharing: Sharing,
    /// When breakers trip.
    pub settings: breaker::Settings,
    /// How long it is.
    pub lasts: Duration,
    /// What happens, and when.
    pub steps: Vec<(Duration, Step)>,
    /// Whether the store's first server dies as soon as it has told of the first opening, and one takes over 5 s later
    /// that never heard of it.
    pub loses_first_opening: bool,
    /// Of chance.
    pub seed: u64,
}

#[derive(Debug)]
enum Event {
    /// A caller calls.
    Call(usize),
    /// A call tries again.
    Retry(Box<Call>),
    /// An attempt is over.
    Over(Box<Flight>),
    /// A prober looks, if this is still its turn.
    Prober(usize, u32),
    /// A prober has rested.
    Rested(usize),
    /// A request reaches the store.
    Arrive(Box<Request>),
    /// An answer comes back.
    Answered(Box<(usize, Moment, Stamp, Answer)>),
    /// A request was not answered in time.
    Lost(usize, bool),
    /// A hint comes.
    Hint(usize, Rc<Record>),
    /// Something may have been missed.
    Look(usize),
    /// A wait of the loop with the store is over, if this is still its turn.
    Wake(usize, u32),
    /// A heartbeat is due.
    Beat(usize),
    Step(Step),
    Second,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    side: usize,
    began: Moment,
    retries: u32,
}

#[derive(Debug)]
struct Flight {
    /// `None`: a probe of the sidecar's own.
    call: Option<Call>,
    side: usize,
    leave: Leave,
    began: Moment,
    failed: Option<ErrorKind>,
}

#[derive(Debug)]
struct Request {
    side: usize,
    sent: Moment,
    question: Question,
}

/// All of it.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    now: Moment,
    agenda: Agenda<Event>,
    dice: Dice,
    load: f64,
    /// The sidecars.
    pub sides: Vec<Sidecar>,
    /// The store.
    pub redis: Redis,
    provider: Provider,
    is_dead: bool,
    notes_shut: bool,
    notes_let: bool,
    lost_opening: bool,
    /// What is counted.
    pub watch: Watch,
    /// Events that happened.
    pub events: u64,
}

impl World {
    /// The beginning of the history that `plan` says.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let sides: Vec<Sidecar> =
            (0..plan.sidecars).map(|number| Sidecar::new(number, &plan.settings, plan.sharing)).collect();
        let mut world = Self {
            now: Moment::ZERO,
            agenda: Agenda::default(),
            dice: Dice::new(plan.seed),
            load: 1.0,
            sides,
            redis: Redis::new(plan.settings.clone()),
            provider: Provider::new(),
            is_dead: false,
            notes_shut: false,
            notes_let: false,
            lost_opening: false,
            watch: Watch::default(),
            events: 0,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for side in 0..self.sides.len() {
            let first = self.dice.until_next(self.plan.calls);
            self.put(first, Event::Call(side));
            if self.plan.sharing == Sharing::Fleet {
                let (sync, beat) = (pace::IDLE.mul_f64(self.dice.share()), pace::beats(0).mul_f64(self.dice.share()));
                self.put(sync, Event::Wake(side, 0));
                self.put(beat, Event::Beat(side));
            }
        }
        for (after, step) in std::mem::take(&mut self.plan.steps) {
            self.put(after, Event::Step(step));
        }
        self.put(Duration::from_secs(1), Event::Second);
    }

    /// Lives it to its end.
    pub fn run(&mut self) {
        let end = Moment::ZERO + self.plan.lasts;
        while let Some((at, event)) = self.agenda.next_by(end) {
            self.now = at;
            self.events += 1;
            self.happen(event);
        }
        let broken = self.sides.iter().any(|side| side.gate.broken);
        self.watch.check(!broken, "a call was let through under an open record");
        self.watch.broken.append(&mut self.redis.broken);
    }

    fn put(&mut self, after: Duration, event: Event) {
        self.agenda.put(self.now + after, event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Call(side) => self.call(side),
            Event::Retry(call) => self.attempt(*call),
            Event::Over(flight) => self.over(*flight),
            Event::Prober(side, turn) if self.sides[side].prober_turn == turn => self.look_for_probe(side),
            Event::Prober(..) => {}
            Event::Rested(side) => self.rested(side),
            Event::Arrive(request) => self.arrive(&request),
            Event::Answered(answered) => {
                let (side, sent, stamp, answer) = *answered;
                self.answered(side, sent, stamp, answer);
            }
            Event::Lost(side, beat) => self.lost(side, beat),
            Event::Hint(side, record) => self.hint(side, &record),
            Event::Look(side) => self.ring(side),
            Event::Wake(side, turn) => self.wake(side, turn),
            Event::Beat(side) => self.send(side, Question::Beat),
            Event::Step(step) => self.step(step),
            Event::Second => self.second(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Provider(health) => {
                self.provider.become_so(health, self.now);
                self.is_dead = health == Health::Dead;
            }
            Step::Load(load) => self.load = load,
            Step::Sicken(side) => self.sides[side].sick = true,
            Step::StoreGoes => self.redis.go(),
            Step::StoreComes => self.store_comes(),
            Step::StoreFailsOver => {
                self.redis.lose_last_record();
                self.store_comes();
            }
            Step::NoteShut => self.notes_shut = true,
            Step::NoteLet => self.notes_let = true,
        }
    }

    fn second(&mut self) {
        for side in 0..self.sides.len() {
            self.note(side);
        }
        let shut = self.sides.iter().filter(|side| side.gate.is_shut(self.now)).count();
        self.watch.shut.push(shut as u64);
        self.put(Duration::from_secs(1), Event::Second);
    }

    /// Notes when a sidecar's gate shut, or let calls through again.
    fn note(&mut self, side: usize) {
        if !self.notes_shut && !self.notes_let {
            return;
        }
        let now = self.now;
        let side = &mut self.sides[side];
        let shut = side.gate.is_shut(now);
        if self.notes_shut && shut {
            side.shut_at.get_or_insert(now);
        }
        if self.notes_let && !shut {
            side.let_at.get_or_insert(now);
        }
    }

    /// What the shared breaker does, and how often it has opened.
    #[must_use]
    pub fn openings(&self) -> usize {
        self.redis.records().filter(|record| record.state == State::Open).count()
    }
}
