//! The fleet and its store at one moment, and each step that either may take.

use std::{
    hash::{Hash, Hasher},
    time::Duration,
};

use fusebox_rules::{
    breaker::{Breaker, Meaning, Mode, Probe, Settings, State},
    fleet::{
        Record, Ruling, SharedClock, Stamp, Ticket, View, force,
        invariants::{invariant_epochs_grow, invariant_only_an_open_record_waits},
        judge,
    },
    moment::Moment,
};
use fusebox_store::{
    Memory, Operation,
    breaker::{Commit, Committed, Condition, Lease, Probed, Report, Seen},
};

use super::checks;

const PROVIDER: &str = "vllm";
const NAMES: [&str; 3] = ["one", "two", "three"];
/// Seconds shown by the store's clock when the history begins, in milliseconds; so that zero is apart.
const START: u64 = 1_000_000;
/// How long a probe's lease lasts, in seconds, which are the steps of time.
pub(crate) const LEASE: u64 = 2;
/// Calls of one kind in one epoch that a sidecar sees, at most: more change nothing.
const ENOUGH: u32 = 2;

pub(crate) const SETTINGS: Settings = Settings {
    failure_threshold: 2,
    failure_rate: 1.0,
    minimum_calls: 1_000,
    window: Duration::from_secs(1_000),
    slow_first_token: None,
    min_tokens_per_second: None,
    open_for: Duration::from_secs(2),
    max_open_for: Duration::from_secs(4),
    half_open_max_calls: 1,
    success_threshold: 1,
    ramp: Duration::from_secs(2),
    probe: Probe::Active,
};

/// What is modelled, and within which bounds.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    pub(crate) sidecars: usize,
    pub(crate) begin: Begin,
    /// Losses, crashes and clocks that go wrong in one history, at most.
    pub(crate) faults: u8,
    /// Whether an operator may force the breaker, once and once more.
    pub(crate) operator: bool,
    /// What is done wrongly on purpose.
    pub(crate) flaw: Flaw,
    /// What some history must come to.
    pub(crate) reach: Option<checks::Reached>,
}

/// What all sidecars hold to at first.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    Closed,
    Open,
    HalfOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// The next epoch is the last one and one.
    EpochsCountUp,
    /// Every failure counts, whoever saw it.
    NoBalance,
    /// A commit replaces whatever is older.
    NoCondition,
    /// Tickets end a second after their leases.
    LongTickets,
    /// The store never ends a lease by itself.
    EndlessLeases,
}

/// Whether a message gets through; a request that does not is as if never sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    ReplyLost,
    RequestLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// A call at a sidecar, if it lets it through, and whether it goes well.
    Call(usize, bool),
    /// A sidecar tells what it knows and hears what there is; what follows from it is sent later.
    Sync(usize, Fate),
    /// What followed from a sidecar's last sync arrives, at last.
    Send(usize, Fate),
    /// A sidecar uses its ticket.
    Probe(usize),
    /// What became of its probe; `None` if nobody will ever know.
    Probed(usize, Option<bool>),
    Tick,
    Crash(usize),
    /// A sidecar's notion of the store's time is off by so many seconds from now on.
    Skew(usize, i8),
    /// The store comes back empty, after a second.
    Lose,
    /// Another server takes over after a second, and never heard of the last write.
    FailOver,
    /// An operator's word, which a sidecar is to put in place.
    Force(Mode),
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct World {
    /// Seconds since the beginning.
    pub(crate) now: u64,
    pub(crate) store: Kept,
    /// The store before its last write.
    former: Kept,
    pub(crate) sides: Vec<Side>,
    /// Every record that ever was in place.
    pub(crate) history: Vec<Record>,
    tokens: u64,
    faults: u8,
    words: u8,
    /// How often the store may have lost leases.
    pub(crate) losses: u32,
    /// Which sidecars ever saw a call fail.
    pub(crate) failed: u8,
    /// Which sidecars ever told of a probe that failed, with one more for those that crashed; and when the first did.
    pub(crate) probes_failed: (u8, u64),
    /// What a step has shown to be broken.
    pub(crate) broken: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Hash)]
pub(crate) struct Side {
    pub(crate) view: View,
    local: Local,
    pub(crate) skew: i8,
    /// What follows from its last sync, and has not arrived yet.
    pending: Option<Pending>,
    /// Its probe that is out.
    pub(crate) probe: Option<Ticket>,
}

#[derive(Debug, Clone, PartialEq, Hash)]
enum Pending {
    Commit { record: Record, judged: Option<u64> },
    Lease { epoch: u64, asked: u64 },
}

/// A store. Nothing but breakers is kept in it here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Memory);

impl Kept {
    pub(crate) fn run<O: Operation>(&mut self, operation: &O, now: Stamp) -> O::Reply {
        let reply = self.0.run(operation, now);
        self.0.take_news();
        reply
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.0.breakers() == other.0.breakers()
    }
}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.breakers().hash(state);
    }
}

/// The local breaker, which only follows here.
#[derive(Debug, Clone)]
struct Local(Breaker);

impl PartialEq for Local {
    fn eq(&self, other: &Self) -> bool {
        let of = |local: &Self| (local.0.state(), local.0.mode(), local.0.opens_until());
        of(self) == of(other)
    }
}

impl Hash for Local {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.state(), self.0.mode(), self.0.opens_until()).hash(state);
    }
}

pub(crate) fn moment(secs: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(secs)
}

pub(crate) fn stamp(secs: u64) -> Stamp {
    Stamp::from_millis(START + secs * 1_000)
}

impl Fleet {
    pub(crate) fn new(sidecars: usize, begin: Begin) -> Self {
        Self { sidecars, begin, faults: 2, operator: false, flaw: Flaw::None, reach: None }
    }

    pub(crate) fn begin(&self) -> World {
        let mut world = World {
            now: 2,
            store: Kept::default(),
            former: Kept::default(),
            sides: vec![Side::new(0); self.sidecars],
            history: vec![Record::default()],
            tokens: 0,
            faults: self.faults,
            words: if self.operator { 2 } else { 0 },
            losses: 0,
            failed: 0,
            probes_failed: (0, u64::MAX),
            broken: None,
        };
        let all = |world: &mut World| {
            for side in (0..self.sidecars).chain(0..self.sidecars) {
                self.take(world, Action::Sync(side, Fate::Answered));
                if matches!(world.sides[side].pending, Some(Pending::Commit { .. })) {
                    self.take(world, Action::Send(side, Fate::Answered));
                }
                world.sides[side].pending = None;
            }
        };
        let failures = if matches!(self.begin, Begin::Closed) { 0 } else { self.sidecars * 2 };
        for at in 0..failures {
            self.take(&mut world, Action::Call(at % self.sidecars, false));
        }
        all(&mut world);
        if matches!(self.begin, Begin::HalfOpen) {
            world.now += SETTINGS.open_for.as_secs();
            all(&mut world);
        }
        let expected = match self.begin {
            Begin::Closed => State::Closed,
            Begin::Open => State::Open,
            Begin::HalfOpen => State::HalfOpen,
        };
        assert!(world.sides.iter().all(|side| side.view.record().state == expected), "{world:?}");
        world.former = world.store.clone();
        world
    }

    pub(crate) fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        for (at, side) in world.sides.iter().enumerate() {
            if side.lets_call_through(world.now) && side.view.record().state == State::Closed {
                let seen = side.view.report(&side.clock(world.now), moment(world.now));
                actions.extend((seen.failures < ENOUGH).then_some(Action::Call(at, false)));
                actions.extend((seen.calls - seen.failures < 1 || seen.run > 0).then_some(Action::Call(at, true)));
            }
            actions.extend([Fate::Answered, Fate::ReplyLost].map(|fate| Action::Sync(at, fate)));
            if side.pending.is_some() {
                let fates = [Fate::Answered, Fate::ReplyLost, Fate::RequestLost];
                actions.extend(fates.map(|fate| Action::Send(at, fate)));
            }
            if side.probe.is_some() {
                actions.extend([Some(true), Some(false), None].map(|good| Action::Probed(at, good)));
            } else if side.view.has_ticket(moment(world.now)) {
                actions.push(Action::Probe(at));
            }
            if world.faults > 0 {
                actions.push(Action::Crash(at));
                actions.extend([-1, 1].map(|by| Action::Skew(at, by)));
            }
        }
        actions.push(Action::Tick);
        if world.faults > 0 {
            actions.extend([Action::Lose, Action::FailOver]);
        }
        if world.words > 0 {
            actions.extend([Mode::ForcedOpen, Mode::ForcedClosed, Mode::Auto].map(Action::Force));
        }
    }

    pub(crate) fn take(&self, world: &mut World, action: Action) {
        if matches!(action, Action::Crash(_) | Action::Skew(..) | Action::Lose | Action::FailOver) {
            world.faults -= 1;
        }
        let now = moment(world.now);
        match action {
            Action::Call(at, good) => {
                let view = &mut world.sides[at].view;
                let meaning = if good { Meaning::Answered } else { Meaning::NotStarted };
                view.judge(view.record().epoch, now, meaning, now);
                world.failed |= u8::from(!good) << at;
            }
            Action::Sync(at, fate) => self.sync(world, at, fate),
            Action::Send(at, fate) => self.send(world, at, fate),
            Action::Probe(at) => {
                let side = &mut world.sides[at];
                if let Ruling::Probe(ticket) = side.view.rule(true, now) {
                    side.probe = Some(ticket);
                }
            }
            Action::Probed(at, good) => {
                let side = &mut world.sides[at];
                if let (Some(ticket), Some(good)) = (side.probe.take(), good) {
                    side.view.probed(ticket, good, now);
                    if !good {
                        world.failed |= 1 << at;
                        world.probes_failed.0 |= 1 << at;
                        world.probes_failed.1 = world.probes_failed.1.min(world.now);
                    }
                }
            }
            Action::Tick => world.now += 1,
            Action::Crash(at) => {
                world.sides[at] = Side::new(world.sides[at].skew);
                world.probes_failed.0 |= 1 << 7;
            }
            Action::Skew(at, by) => world.sides[at].skew += by,
            Action::Lose => {
                world.store = Kept::default();
                world.losses += 1;
                world.now += 1;
            }
            Action::FailOver => {
                world.store = world.former.clone();
                world.losses += 1;
                world.now += 1;
            }
            Action::Force(mode) => {
                world.words -= 1;
                let record = world.sides[0].view.record();
                if let Some(next) = force(record, mode, &SETTINGS, stamp(world.now)) {
                    let pending = Pending::Commit { judged: Some(record.epoch), record: self.amend(record, next) };
                    world.sides[0].pending = Some(pending);
                }
            }
        }
        if world.faults == 0 && world.former != Kept::default() {
            // Never asked for again; and so fewer states.
            world.former = Kept::default();
        }
    }

    fn sync(&self, world: &mut World, at: usize, fate: Fate) {
        let now = moment(world.now);
        let results = world.sides[at].view.take_results();
        for (ticket, good) in &results {
            world.ask(&Probed { provider: PROVIDER, epoch: ticket.epoch, token: ticket.token, good: *good });
        }
        let report = world.sides[at].view.report(&world.sides[at].clock(world.now), now);
        let report = Report { provider: PROVIDER, sidecar: NAMES[at], report, window: SETTINGS.window };
        let seen = world.ask(&report);
        if fate != Fate::Answered {
            world.sides[at].view.untold(results);
            return;
        }
        world.adopt(at, &seen.record);
        let clock = world.sides[at].clock(world.now);
        world.sides[at].view.hear_of_good(seen.record.epoch, seen.evidence.good_at, &clock);
        world.sides[at].pending = self.follows(&world.sides[at].view, &seen, world.now);
    }

    /// What a sidecar has to say to what it heard.
    fn follows(&self, view: &View, seen: &Seen, now: u64) -> Option<Pending> {
        if seen.record.epoch < view.record().epoch {
            return Some(Pending::Commit { record: view.record().clone(), judged: None });
        }
        let live = if self.flaw == Flaw::NoBalance { 1 } else { u32::try_from(self.sidecars).unwrap() };
        if let Some(next) = judge(&seen.record, &seen.evidence, &SETTINGS, live, stamp(now)) {
            let record = self.amend(&seen.record, next);
            return Some(Pending::Commit { record, judged: Some(seen.record.epoch) });
        }
        view.wants_ticket(moment(now)).then_some(Pending::Lease { epoch: seen.record.epoch, asked: now })
    }

    fn amend(&self, before: &Record, next: Record) -> Record {
        match self.flaw {
            Flaw::EpochsCountUp => Record { epoch: before.epoch + 1, ..next },
            _ => next,
        }
    }

    fn send(&self, world: &mut World, at: usize, fate: Fate) {
        let Some(pending) = world.sides[at].pending.take() else { return };
        if fate == Fate::RequestLost {
            return;
        }
        match pending {
            Pending::Commit { record, judged } => {
                let condition = match judged {
                    Some(epoch) if self.flaw != Flaw::NoCondition => Condition::Replaces(epoch),
                    _ => Condition::IsNewer,
                };
                let held = world.commit(record, judged, condition);
                if fate == Fate::Answered {
                    world.adopt(at, &held);
                }
            }
            Pending::Lease { epoch, asked } => {
                world.tokens += 1;
                let token = world.tokens;
                let granted = world.ask(&self.lease(epoch, token)).granted;
                if granted && fate == Fate::Answered {
                    let lasts = LEASE + u64::from(self.flaw == Flaw::LongTickets);
                    let ticket = Ticket { token, epoch, expires: moment(asked + lasts) };
                    world.sides[at].view.lay_in(ticket, moment(world.now));
                }
            }
        }
    }

    pub(crate) fn lease(&self, epoch: u64, token: u64) -> Lease<'static> {
        let lasts = if self.flaw == Flaw::EndlessLeases { 1_000_000 } else { LEASE };
        let most = SETTINGS.half_open_max_calls;
        Lease { provider: PROVIDER, epoch, token, most, lasts: Duration::from_secs(lasts) }
    }
}

impl Fleet {
    /// How many seconds it takes from here until all hold to one record that is closed, or forced, once nothing goes
    /// wrong any more and the provider is well. Probes that are out are never heard of again. `None`: over `most`.
    pub(crate) fn heals_within(&self, world: &World, most: u64) -> Option<u64> {
        let mut world = world.clone();
        for side in &mut world.sides {
            side.probe = None;
        }
        for secs in 0..=most {
            for at in (0..self.sidecars).chain(0..self.sidecars) {
                let steps = [Action::Send(at, Fate::Answered), Action::Sync(at, Fate::Answered)];
                steps.into_iter().chain([steps[0]]).for_each(|step| self.take(&mut world, step));
                if world.sides[at].view.has_ticket(moment(world.now)) {
                    self.take(&mut world, Action::Probe(at));
                    self.take(&mut world, Action::Probed(at, Some(true)));
                    steps.into_iter().rev().for_each(|step| self.take(&mut world, step));
                }
            }
            let record = world.record();
            let done = record.state == State::Closed || record.mode != Mode::Auto;
            if done && world.sides.iter().all(|side| *side.view.record() == record && side.pending.is_none()) {
                return Some(secs);
            }
            self.take(&mut world, Action::Tick);
        }
        None
    }

    /// The same world, in which no lease is out.
    pub(crate) fn without_leases(&self, world: &World) -> World {
        let mut world = world.clone();
        for token in 1..=world.tokens {
            world.ask(&Probed { provider: PROVIDER, epoch: 0, token, good: None });
        }
        world
    }
}

impl Side {
    fn new(skew: i8) -> Self {
        let (view, local) = (View::new(SETTINGS), Local(Breaker::new(SETTINGS)));
        Self { view, local, skew, pending: None, probe: None }
    }

    /// The store's time as this sidecar has it.
    pub(crate) fn clock(&self, now: u64) -> SharedClock {
        let mut clock = SharedClock::default();
        clock.hear(moment(now), moment(now), stamp(now.saturating_add_signed(self.skew.into())));
        clock
    }

    /// Whether a caller's call would go to the provider.
    pub(crate) fn lets_call_through(&self, now: u64) -> bool {
        let (mut view, mut local) = (self.view.clone(), self.local.0.clone());
        local.tick(moment(now));
        matches!(view.rule(false, moment(now)), Ruling::Local) && local.state() == State::Closed
    }
}

impl World {
    /// The record that the store holds.
    pub(crate) fn record(&self) -> Record {
        let nothing = Record { epoch: 0, ..Record::default() };
        let look = Commit { provider: PROVIDER, record: nothing, condition: Condition::IsNewer };
        self.store.clone().run(&look, stamp(self.now)).record
    }

    fn ask<O: Operation>(&mut self, operation: &O) -> O::Reply {
        let before = self.store.clone();
        let reply = self.store.run(operation, stamp(self.now));
        if self.store != before {
            self.former = before;
        }
        reply
    }

    /// The record that holds afterwards. `judged` is the epoch that it was judged from.
    fn commit(&mut self, record: Record, judged: Option<u64>, condition: Condition) -> Record {
        let before = self.record();
        let Committed { won, record } = self.ask(&Commit { provider: PROVIDER, record, condition });
        if won {
            if !invariant_epochs_grow(&before, &record) || !invariant_only_an_open_record_waits(&record) {
                self.broken = Some(checks::EPOCHS_GROW);
            }
            if judged.is_some_and(|epoch| epoch != before.epoch) {
                self.broken = Some(checks::FROM_ITS_OWN);
            }
            if !self.history.contains(&record) {
                self.history.push(record.clone());
            }
        }
        record
    }

    fn adopt(&mut self, at: usize, record: &Record) {
        let (now, clock) = (moment(self.now), self.sides[at].clock(self.now));
        let side = &mut self.sides[at];
        let before = side.view.record().clone();
        side.view.heard(2, now);
        side.view.adopt(record, &clock, &mut side.local.0, now, 0.0);
        if !invariant_epochs_grow(&before, side.view.record()) {
            self.broken = Some(checks::EPOCHS_GROW);
        }
    }
}
