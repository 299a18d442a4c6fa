//! The breaker beside a naive model of it that forgets nothing and recomputes everything from its diary, over random
//! interleavings of calls, news, ticks and an operator.

use proptest::prelude::*;

use super::*;
use crate::window::BUCKETS;

const LEASE: Duration = Duration::from_secs(7);

/// What may happen. Permits are named by when they were granted, counted backwards.
#[derive(Debug, Clone)]
enum Step {
    Admit {
        asker: Asker,
        in_flight: u32,
        dice: f64,
    },
    /// A permit that the fast path makes without asking.
    Free,
    Tell {
        permit: usize,
        news: News,
    },
    Wait {
        millis: u64,
    },
    Tick,
    Force(Mode),
}

/// A call as the model knows it.
#[derive(Debug)]
struct Call {
    epoch: usize,
    began: Moment,
    probe: bool,
    news: Vec<(Moment, News)>,
}

/// What happened in one stretch between two moves, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Entry {
    Early(Moment),
    Token(Moment),
    Whole(Moment),
    End,
    Break(Moment),
}

/// The model: which moves were made, and a diary of the current stretch.
struct Model {
    settings: Settings,
    moves: Vec<(State, Reason, Moment)>,
    mode: Mode,
    diary: Vec<Entry>,
    /// The moves whose ramps an operator ended.
    ramps_cut_short: Vec<usize>,
}

impl Model {
    fn new(settings: Settings) -> Self {
        Self { settings, moves: vec![], mode: Mode::Auto, diary: vec![], ramps_cut_short: vec![] }
    }

    fn state(&self) -> State {
        self.moves.last().map_or(State::Closed, |(state, ..)| *state)
    }

    fn go(&mut self, to: State, reason: Reason, now: Moment) {
        self.moves.push((to, reason, now));
        self.diary.clear();
    }

    /// Whether the stretch of move number `index` was a ramp that was not over at `end`.
    fn ramps(&self, index: usize, end: Moment) -> bool {
        let (_, reason, since) = self.moves[index];
        let cut_short = self.ramps_cut_short.contains(&index);
        reason == Reason::Recovered && end.since(since) < self.settings.ramp && !cut_short
    }

    fn ramps_now(&self, now: Moment) -> bool {
        self.moves.len().checked_sub(1).is_some_and(|last| self.ramps(last, now))
    }

    /// Walks back over the moves to the last time that all was well.
    fn failed_recoveries(&self) -> u32 {
        let mut failed = 0;
        for index in (0..self.moves.len()).rev() {
            let (state, reason, at) = self.moves[index];
            if reason == Reason::Forced {
                break;
            }
            if state == State::Open {
                let before = index.checked_sub(1);
                let was_half_open = before.is_some_and(|before| self.moves[before].0 == State::HalfOpen);
                let was_ramping = before.is_some_and(|before| self.ramps(before, at));
                if !was_half_open && !was_ramping {
                    break;
                }
                failed += 1;
            }
        }
        failed
    }

    fn opens_until(&self) -> Option<Moment> {
        let (state, reason, at) = *self.moves.last()?;
        let waits = state == State::Open && reason != Reason::Forced && self.mode == Mode::Auto;
        let factor = 2_f64.powi(self.failed_recoveries().try_into().unwrap());
        let secs = (self.settings.open_for.as_secs_f64() * factor).min(self.settings.max_open_for.as_secs_f64());
        waits.then(|| at + Duration::from_secs_f64(secs))
    }

    fn in_a_row(&self) -> usize {
        let early = |entry: &&Entry| !matches!(entry, Entry::Token(_) | Entry::Whole(_));
        let broken = |entry: &&Entry| !matches!(entry, Entry::End | Entry::Whole(_));
        let count =
            |entries: &mut dyn Iterator<Item = &Entry>, what: fn(&Entry) -> bool| entries.filter(|e| what(e)).count();
        count(&mut self.diary.iter().rev().take_while(early), |entry| matches!(entry, Entry::Early(_)))
            + count(&mut self.diary.iter().rev().take_while(broken), |entry| matches!(entry, Entry::Break(_)))
    }

    fn totals(&self, now: Moment) -> (usize, usize) {
        let width = self.settings.window.as_nanos() / BUCKETS as u128;
        let part = |moment: Moment| u128::from(moment.as_nanos()) / width;
        let inside = |began: &Moment| part(*began) + BUCKETS as u128 > part(now);
        let good = self.diary.iter().filter(|e| matches!(e, Entry::Token(b) | Entry::Whole(b) if inside(b))).count();
        let bad = self.diary.iter().filter(|e| matches!(e, Entry::Early(b) if inside(b))).count();
        let broken = self.diary.iter().filter(|e| matches!(e, Entry::Break(b) if inside(b))).count();
        (good + bad, bad + broken)
    }

    fn should_open(&self, now: Moment) -> Option<Reason> {
        let (calls, failures) = self.totals(now);
        if self.in_a_row() >= self.settings.failure_threshold as usize {
            Some(Reason::ConsecutiveFailures)
        } else if failures > 0
            && calls >= self.settings.minimum_calls as usize
            && failures as f64 / calls as f64 >= self.settings.failure_rate
        {
            Some(Reason::FailureRate)
        } else {
            None
        }
    }

    fn out(&self, calls: &[Call], now: Moment) -> usize {
        calls.iter().filter(|call| self.state() == State::HalfOpen && self.is_out(call, now)).count()
    }

    fn is_out(&self, call: &Call, now: Moment) -> bool {
        call.probe
            && call.epoch == self.moves.len()
            && call.began + LEASE > now
            && !call.news.iter().any(|(_, n)| last(*n))
    }

    fn admits(&self, calls: &[Call], asker: Asker, in_flight: u32, now: Moment, dice: f64) -> Result<bool, Refusal> {
        match self.state() {
            State::Open if self.mode == Mode::ForcedOpen => Err(Refusal::ForcedOpen),
            State::Open => Err(Refusal::Open),
            State::Closed if self.ramps_now(now) && in_flight >= self.settings.half_open_max_calls => {
                let since = self.moves.last().unwrap().2;
                let share = 0.1 + 0.9 * (now.since(since).as_secs_f64() / self.settings.ramp.as_secs_f64());
                if dice < share { Ok(false) } else { Err(Refusal::Ramping) }
            }
            State::Closed => Ok(false),
            State::HalfOpen if asker == Asker::Caller && self.settings.probe == Probe::Active => {
                Err(Refusal::ProbesOut)
            }
            State::HalfOpen if self.out(calls, now) >= self.settings.half_open_max_calls as usize => {
                Err(Refusal::ProbesOut)
            }
            State::HalfOpen => Ok(true),
        }
    }

    /// What one more piece of news of a call means, from all that was told before.
    fn entry(&self, call: &Call, news: News) -> Option<Entry> {
        let told = |what: fn(&News) -> bool| call.news.iter().any(|(_, news)| what(news));
        let token = call.news.iter().find_map(|(_, news)| match news {
            News::FirstToken { took } => Some(*took),
            _ => None,
        });
        let late = |took: Duration| self.settings.slow_first_token.is_some_and(|slow| took > slow);
        if told(|news| last(*news)) || token.is_some_and(late) {
            return None;
        }
        match (token, news) {
            (_, News::Unused) | (Some(_), News::FirstToken { .. }) => None,
            (None, News::FirstToken { took }) => {
                Some(if late(took) { Entry::Early(call.began) } else { Entry::Token(call.began) })
            }
            (None, News::Succeeded) => Some(Entry::Whole(call.began)),
            (Some(_), News::Succeeded) => Some(Entry::End),
            (None, News::Failed | News::Slow) => Some(Entry::Early(call.began)),
            (Some(_), News::Failed | News::Slow) => Some(Entry::Break(call.began)),
        }
    }

    fn hear(&mut self, call: &Call, news: News, now: Moment) {
        let entry = self.entry(call, news);
        if call.epoch != self.moves.len() || (self.state() == State::HalfOpen && !self.is_out(call, now)) {
            return;
        }
        let Some(entry) = entry else { return };
        self.diary.push(entry);
        let bad = matches!(entry, Entry::Early(_) | Entry::Break(_));
        match self.state() {
            State::Open => {}
            State::Closed if bad && self.mode == Mode::Auto => {
                if let Some(reason) = self.should_open(now) {
                    self.go(State::Open, reason, now);
                }
            }
            State::Closed => {}
            State::HalfOpen if bad => self.go(State::Open, Reason::ProbeFailed, now),
            State::HalfOpen => {
                let good = self.diary.iter().filter(|entry| matches!(entry, Entry::Token(_) | Entry::Whole(_))).count();
                if good >= self.settings.success_threshold as usize {
                    self.go(State::Closed, Reason::Recovered, now);
                }
            }
        }
    }

    fn force(&mut self, mode: Mode, now: Moment) {
        let was = std::mem::replace(&mut self.mode, mode);
        let wanted = match mode {
            Mode::ForcedOpen => State::Open,
            Mode::ForcedClosed => State::Closed,
            Mode::Auto if was == Mode::ForcedOpen => State::HalfOpen,
            Mode::Auto => self.state(),
        };
        if wanted != self.state() {
            self.go(wanted, Reason::Forced, now);
        } else if mode == Mode::ForcedClosed {
            self.ramps_cut_short.extend(self.moves.len().checked_sub(1));
        } else if was == Mode::ForcedClosed
            && let Some(reason) = self.should_open(now)
        {
            self.go(State::Open, reason, now);
        }
    }
}

fn last(news: News) -> bool {
    !matches!(news, News::FirstToken { .. })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let asker = prop_oneof![Just(Asker::Caller), Just(Asker::Prober)];
    let news = prop_oneof![
        3 => (0_u64..6).prop_map(|secs| News::FirstToken { took: Duration::from_secs(secs) }),
        4 => Just(News::Succeeded),
        5 => Just(News::Failed),
        1 => Just(News::Slow),
        1 => Just(News::Unused),
    ];
    let mode = prop_oneof![3 => Just(Mode::Auto), 1 => Just(Mode::ForcedOpen), 1 => Just(Mode::ForcedClosed)];
    let step = prop_oneof![
        20 => (asker, 0_u32..5, 0.0..1.0).prop_map(|(asker, in_flight, dice)| Step::Admit { asker, in_flight, dice }),
        5 => Just(Step::Free),
        30 => (0_usize..6, news).prop_map(|(permit, news)| Step::Tell { permit, news }),
        12 => (0_u64..9_000).prop_map(|millis| Step::Wait { millis }),
        12 => Just(Step::Tick),
        1 => mode.prop_map(Step::Force),
    ];
    prop::collection::vec(step, 0..250)
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let trips = (1_u32..5, 0.1..1.0, 1_u32..8, 10_u64..40, prop::option::of(1_u64..5));
    let recovers = (1_u64..8, 1_u64..40, 1_u32..4, 1_u32..4, 0_u64..15, any::<bool>());
    (trips, recovers).prop_map(
        |((row, rate, calls, window, slow), (open, longest, probes, successes, ramp, active))| Settings {
            failure_threshold: row,
            failure_rate: rate,
            minimum_calls: calls,
            window: Duration::from_secs(window),
            slow_first_token: slow.map(Duration::from_secs),
            min_tokens_per_second: None,
            open_for: Duration::from_secs(open),
            max_open_for: Duration::from_secs(longest),
            half_open_max_calls: probes,
            success_threshold: successes,
            ramp: Duration::from_secs(ramp),
            probe: if active { Probe::Active } else { Probe::Passive },
        },
    )
}

/// The breaker and its model, side by side.
struct Pair {
    breaker: Breaker,
    model: Model,
    permits: Vec<Permit>,
    calls: Vec<Call>,
    now: Moment,
}

impl Pair {
    fn new(settings: Settings) -> Self {
        let breaker = Breaker::new(settings.clone()).with_probe_lease(LEASE);
        Self { breaker, model: Model::new(settings), permits: vec![], calls: vec![], now: Moment::ZERO }
    }

    fn remember(&mut self, permit: Permit) {
        let (epoch, began, probe) = (self.model.moves.len(), self.now, permit.is_probe());
        self.calls.push(Call { epoch, began, probe, news: vec![] });
        self.permits.push(permit);
    }

    /// Takes `step` in both; the breaker's move, if it made one.
    fn take(&mut self, step: &Step) -> Result<Option<Transition>, TestCaseError> {
        match *step {
            Step::Admit { asker, in_flight, dice } => {
                let expected = self.model.admits(&self.calls, asker, in_flight, self.now, dice);
                match self.breaker.admit(asker, in_flight, self.now, dice) {
                    Admission::Granted(permit) => {
                        prop_assert_eq!(expected, Ok(permit.is_probe()));
                        self.remember(permit);
                    }
                    Admission::Refused { why, .. } => prop_assert_eq!(expected, Err(why)),
                }
                Ok(None)
            }
            Step::Free if self.breaker.admits_freely() => {
                self.remember(Permit::free(self.breaker.generation(), self.now));
                Ok(None)
            }
            Step::Free => Ok(None),
            Step::Tell { permit, news } => {
                let Some(index) = self.permits.len().checked_sub(permit + 1) else { return Ok(None) };
                let moved = self.breaker.record(&mut self.permits[index], news, self.now);
                self.model.hear(&self.calls[index], news, self.now);
                self.calls[index].news.push((self.now, news));
                Ok(moved)
            }
            Step::Wait { millis } => {
                self.now = self.now + Duration::from_millis(millis);
                Ok(None)
            }
            Step::Tick => {
                if self.model.opens_until().is_some_and(|until| until <= self.now) {
                    self.model.go(State::HalfOpen, Reason::OpenExpired, self.now);
                }
                Ok(self.breaker.tick(self.now))
            }
            Step::Force(mode) => {
                self.model.force(mode, self.now);
                Ok(self.breaker.force(mode, self.now))
            }
        }
    }

    fn compare(&self, moved: Option<Transition>, before: (State, u64, usize)) -> Result<(), TestCaseError> {
        let (state, generation, moves) = before;
        if let Some(moved) = moved {
            prop_assert_eq!((moved.from, moved.generation, moved.at), (state, generation + 1, self.now));
            prop_assert!(LEGAL.contains(&(moved.from, moved.to, moved.reason)), "{moved:?}");
            prop_assert_eq!(self.model.moves.last(), Some(&(moved.to, moved.reason, moved.at)));
        }
        prop_assert_eq!(self.model.moves.len(), moves + usize::from(moved.is_some()));
        prop_assert_eq!(self.breaker.generation(), generation + u64::from(moved.is_some()));
        prop_assert_eq!(self.breaker.state(), self.model.state());
        prop_assert_eq!(self.breaker.opens_until(), self.model.opens_until());
        if self.model.state() == State::Closed {
            let totals = self.breaker.totals(self.now);
            prop_assert_eq!((totals.calls as usize, totals.failures as usize), self.model.totals(self.now));
            prop_assert_eq!(self.breaker.failures_in_a_row() as usize, self.model.in_a_row());
        }
        let mut ticked = self.breaker.clone();
        let due = ticked.tick(self.now).is_some();
        let free = self.model.state() == State::Closed && !self.model.ramps_now(self.now);
        prop_assert_eq!(!due && ticked.admits_freely(), free);
        let places = self.model.out(&self.calls, self.now) < self.model.settings.half_open_max_calls as usize;
        let wants = self.model.state() == State::HalfOpen && self.model.settings.probe == Probe::Active && places;
        prop_assert_eq!(self.breaker.wants_probe(self.now), wants);
        prop_assert!(invariant_probes_are_few_and_only_while_half_open(&self.breaker));
        prop_assert!(invariant_only_an_open_breaker_waits(&self.breaker));
        prop_assert!(invariant_a_closed_breaker_has_no_run_of_failures(&self.breaker));
        prop_assert!(invariant_half_open_is_undecided(&self.breaker));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn the_breaker_does_what_its_model_does_and_nothing_illegal(settings in any_settings(), steps in steps()) {
        let mut pair = Pair::new(settings);
        for step in steps {
            let before = (pair.breaker.state(), pair.breaker.generation(), pair.model.moves.len());
            let moved = pair.take(&step)?;
            pair.compare(moved, before)?;
        }
    }
}
