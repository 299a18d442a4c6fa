//! A provider's circuit breaker: closed, open, half-open, and the ramp after it closes.
//!
//! It moves as [`LEGAL`] says and no other way. It decides; it does not call, wait, count calls in flight, or share
//! itself with anyone. A call asks to be admitted, is given a [`Permit`], and tells its news under that permit until
//! it is over. News under a permit of an older generation changes nothing.
//!
//! What opens it. A first token proves that the provider starts answers, and judges the call good at once; only the
//! end of an answer proves that it finishes them. So two runs are kept, and their sum is the failures in a row: calls
//! that did not start since one last did, and answers that broke since one last finished. A provider that always gives
//! a first token and then always breaks trips as soon as one that never answers, and hour-long streams that are still
//! well do not hide it; and a stream begun long ago that ends well does not hide a provider that starts no new ones.

mod invariants;
#[cfg(test)]
mod model;
mod permit;
mod probes;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::probes::Probes;
pub use self::{
    invariants::{
        invariant_a_closed_breaker_has_no_run_of_failures, invariant_half_open_is_undecided,
        invariant_only_an_open_breaker_waits, invariant_probes_are_few_and_only_while_half_open,
    },
    permit::{Admission, Asker, Meaning, News, Permit, Refusal},
    probes::MAX_PROBES,
};
use crate::{
    moment::Moment,
    window::{Judgement, Totals, Window},
};

/// Every move a breaker may make, and what may cause it.
pub const LEGAL: [(State, State, Reason); 14] = [
    (State::Closed, State::Open, Reason::ConsecutiveFailures),
    (State::Closed, State::Open, Reason::FailureRate),
    (State::Open, State::HalfOpen, Reason::OpenExpired),
    (State::HalfOpen, State::Open, Reason::ProbeFailed),
    (State::HalfOpen, State::Closed, Reason::Recovered),
    // An operator's word. Forced open and then let go, it has to prove itself first.
    (State::Closed, State::Open, Reason::Forced),
    (State::HalfOpen, State::Open, Reason::Forced),
    (State::Open, State::Closed, Reason::Forced),
    (State::HalfOpen, State::Closed, Reason::Forced),
    (State::Open, State::HalfOpen, Reason::Forced),
    // The fleet's word, which a shared breaker's local one follows while it is heard.
    (State::Closed, State::Open, Reason::Fleet),
    (State::HalfOpen, State::Open, Reason::Fleet),
    (State::Open, State::Closed, Reason::Fleet),
    (State::HalfOpen, State::Closed, Reason::Fleet),
];

/// How long a probe may stay out before its place is given to another and its news is no longer heard, unless
/// [`Breaker::with_probe_lease`] says otherwise.
pub const PROBE_LEASE: Duration = Duration::from_secs(30);

/// When to ask again if that depends on other calls, and nobody knows.
pub const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The share of calls let through when a ramp begins.
const RAMP_FROM: f64 = 0.1;

/// When a breaker trips, and how it recovers. A zero in a count is taken as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Failures in a row that open it.
    pub failure_threshold: u32,
    /// The share of failed calls in the window, from 0 to 1, that opens it.
    pub failure_rate: f64,
    /// Calls that the window must hold before the rate counts.
    pub minimum_calls: u32,
    /// How far back the rate looks.
    pub window: Duration,
    /// A first token later than this counts as a failure.
    pub slow_first_token: Option<Duration>,
    /// A stream slower than this counts as a failure.
    pub min_tokens_per_second: Option<f64>,
    /// How long it stays open before probes; doubled with each trip that follows a failed recovery.
    pub open_for: Duration,
    /// The longest it stays open.
    pub max_open_for: Duration,
    /// Probes in flight at once while half-open; at most [`MAX_PROBES`].
    pub half_open_max_calls: u32,
    /// Probes in a row that must succeed before it closes.
    pub success_threshold: u32,
    /// How long after closing the share of calls let through takes to grow from a tenth to all.
    pub ramp: Duration,
    /// Who probes while it is half-open.
    pub probe: Probe,
}

impl Default for Settings {
    /// What a configuration that says nothing of it has.
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            failure_rate: 0.5,
            minimum_calls: 20,
            window: Duration::from_secs(60),
            slow_first_token: None,
            min_tokens_per_second: None,
            open_for: Duration::from_secs(60),
            max_open_for: Duration::from_secs(600),
            half_open_max_calls: 3,
            success_threshold: 3,
            ramp: Duration::from_secs(30),
            probe: Probe::Active,
        }
    }
}

impl Settings {
    /// Whether a stream that gave `tokens` over `took`, counted from its first token, is to be told as [`News::Slow`].
    #[must_use]
    pub fn is_slow(&self, tokens: u32, took: Duration) -> bool {
        self.min_tokens_per_second.is_some_and(|least| f64::from(tokens) < least * took.as_secs_f64())
    }
}

/// Who finds out whether a provider has recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// The sidecar, with a small call of its own: no caller's call is spent on finding out.
    Active,
    /// The next caller's call.
    Passive,
}

/// What a breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Letting calls through; all of them, or after a recovery a growing share.
    Closed,
    /// Refusing calls.
    Open,
    /// Letting probes through, to find out.
    HalfOpen,
}

/// Who decides: the breaker or an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The breaker.
    Auto,
    /// It is open until someone says otherwise.
    ForcedOpen,
    /// It is closed until someone says otherwise. News is still judged.
    ForcedClosed,
}

/// A move that a breaker has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What it was doing.
    pub from: State,
    /// What it does now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// The generation that begins with this move.
    pub generation: u64,
    /// When.
    pub at: Moment,
}

/// Why a breaker moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a share of the window's calls failed.
    FailureRate,
    /// A probe failed.
    ProbeFailed,
    /// Enough probes in a row succeeded.
    Recovered,
    /// It had been open for as long as it had to be.
    OpenExpired,
    /// An operator said so.
    Forced,
    /// The fleet's shared breaker moved.
    Fleet,
}

/// A provider's circuit breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    settings: Settings,
    probe_lease: Duration,
    state: State,
    mode: Mode,
    generation: u64,
    /// Until when it is open; `None`: it is not, or is forced to be.
    until: Option<Moment>,
    /// When it closed, while the ramp since then is not over.
    ramp_since: Option<Moment>,
    /// Whether the ramp is one of many that began together: then few calls here are many there.
    ramps_with_fleet: bool,
    /// Recoveries that failed since it was last closed with its ramp over.
    failed_recoveries: u32,
    window: Window,
    /// Calls that failed before a first token, since one last got that far.
    unstarted: u32,
    /// Answers that broke or were too slow after their first token, since one last finished well.
    unfinished: u32,
    probes: Probes,
    /// Probes that succeeded since it became half-open.
    successes: u32,
}

impl Breaker {
    /// A closed breaker of generation 0 that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            window: Window::new(settings.window),
            settings,
            probe_lease: PROBE_LEASE,
            state: State::Closed,
            mode: Mode::Auto,
            generation: 0,
            until: None,
            ramp_since: None,
            ramps_with_fleet: false,
            failed_recoveries: 0,
            unstarted: 0,
            unfinished: 0,
            probes: Probes::default(),
            successes: 0,
        }
    }

    /// The same, whose probes may stay out for `lease`. It should be no shorter than the longest that a probe may take
    /// to its first token, or to its end if it is not streamed: else a provider that slow never recovers.
    #[must_use]
    pub fn with_probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = lease;
        self
    }

    /// Whether a call may go to the provider now, with `in_flight` calls there already. `dice` is from 0 to 1.
    ///
    /// Does not move the breaker: whoever asks while it is open calls [`Breaker::tick`] first.
    pub fn admit(&mut self, asker: Asker, in_flight: u32, now: Moment, dice: f64) -> Admission {
        self.end_ramp_if_over(now);
        match self.state {
            State::Closed => match self.ramp_since {
                Some(since) if !self.lets_some(in_flight) && dice >= self.share(since, now) => {
                    Admission::Refused { why: Refusal::Ramping, retry_after: ASK_AGAIN }
                }
                Some(_) | None => Admission::Granted(Permit::free(self.generation, now)),
            },
            State::Open => match self.until {
                Some(until) => Admission::Refused { why: Refusal::Open, retry_after: until.since(now) },
                None => Admission::Refused { why: Refusal::ForcedOpen, retry_after: self.settings.open_for },
            },
            State::HalfOpen => match self.lease_a_probe(asker, now) {
                Some(lease) => Admission::Granted(Permit::probe(self.generation, now, lease)),
                None => Admission::Refused { why: Refusal::ProbesOut, retry_after: ASK_AGAIN },
            },
        }
    }

    /// Hears what became of a call.
    pub fn record(&mut self, permit: &mut Permit, news: News, now: Moment) -> Option<Transition> {
        let meaning = self.understand(permit, news);
        self.judge(permit, meaning, now)
    }

    /// What `news` of a call means, given what was heard of it before. To be judged at once.
    pub fn understand(&self, permit: &mut Permit, news: News) -> Meaning {
        permit.hear(news, self.settings.slow_first_token)
    }

    /// Judges a call by what was understood of it.
    pub fn judge(&mut self, permit: &Permit, meaning: Meaning, now: Moment) -> Option<Transition> {
        self.end_ramp_if_over(now);
        if permit.generation != self.generation {
            return None;
        }
        match self.state {
            State::Closed => self.judge_call(permit, meaning, now),
            State::HalfOpen => self.judge_probe(permit, meaning, now),
            State::Open => None,
        }
    }

    /// Does what is due: an open breaker whose time is up becomes half-open, a ramp ends.
    pub fn tick(&mut self, now: Moment) -> Option<Transition> {
        self.end_ramp_if_over(now);
        match self.until {
            Some(until) if until <= now => Some(self.go(State::HalfOpen, Reason::OpenExpired, now)),
            Some(_) | None => None,
        }
    }

    /// Does what an operator says. Let go after it was forced closed, it opens at once if what it has seen says so.
    pub fn force(&mut self, mode: Mode, now: Moment) -> Option<Transition> {
        let was = std::mem::replace(&mut self.mode, mode);
        match (was, mode, self.state) {
            (Mode::Auto, Mode::Auto, _) | (Mode::ForcedOpen, Mode::ForcedOpen, _) => None,
            (_, Mode::ForcedOpen, State::Open) => {
                self.until = None;
                None
            }
            (_, Mode::ForcedOpen, State::Closed | State::HalfOpen) => Some(self.go(State::Open, Reason::Forced, now)),
            (_, Mode::ForcedClosed, State::Closed) => {
                self.end_ramp();
                None
            }
            (_, Mode::ForcedClosed, State::Open | State::HalfOpen) => Some(self.go(State::Closed, Reason::Forced, now)),
            (Mode::ForcedOpen, Mode::Auto, _) => Some(self.go(State::HalfOpen, Reason::Forced, now)),
            (Mode::ForcedClosed, Mode::Auto, _) => self.open_if_called_for(now),
        }
    }

    /// Opens until `until`, as the fleet's breaker did. Unless something else is heard, it then goes on by itself.
    pub fn open_with_fleet(&mut self, until: Moment, now: Moment) -> Option<Transition> {
        if self.mode != Mode::Auto {
            return None;
        }
        let moved = (self.state != State::Open).then(|| self.go(State::Open, Reason::Fleet, now));
        self.until = Some(until);
        moved
    }

    /// Closes as the fleet's breaker did; if that has recovered, with its ramp since `recovered`.
    pub fn close_with_fleet(&mut self, recovered: Option<Moment>, now: Moment) -> Option<Transition> {
        if self.mode != Mode::Auto || self.state == State::Closed {
            return None;
        }
        let moved = self.go(State::Closed, Reason::Fleet, now);
        (self.ramp_since, self.ramps_with_fleet) = (recovered, true);
        self.failed_recoveries = 0;
        self.end_ramp_if_over(now);
        Some(moved)
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Who decides.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How often it has moved; what happened in another generation is not heard.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Until when it is open; `None`: it is not, or an operator has opened it.
    #[must_use]
    pub const fn opens_until(&self) -> Option<Moment> {
        self.until
    }

    /// Whether any call may go, so that nobody needs to ask: closed, and not in a ramp. May change with any
    /// [`Breaker::record`], [`Breaker::tick`] and [`Breaker::force`], and with nothing else. Calls that are not asked
    /// for make their permit by [`Permit::free`].
    #[must_use]
    pub const fn admits_freely(&self) -> bool {
        matches!(self.state, State::Closed) && self.ramp_since.is_none()
    }

    /// Whether the prober should send a probe now. Always false under [`Probe::Passive`].
    #[must_use]
    pub fn wants_probe(&self, now: Moment) -> bool {
        self.state == State::HalfOpen
            && self.settings.probe == Probe::Active
            && self.probes.out(now) < self.max_probes()
    }

    /// Failures in a row, as the threshold counts them.
    #[must_use]
    pub const fn failures_in_a_row(&self) -> u32 {
        self.unstarted.saturating_add(self.unfinished)
    }

    /// The calls judged in the window and in this generation.
    #[must_use]
    pub fn totals(&self, now: Moment) -> Totals {
        self.window.totals(now)
    }

    fn lease_a_probe(&mut self, asker: Asker, now: Moment) -> Option<u64> {
        match (self.settings.probe, asker) {
            (Probe::Active, Asker::Caller) => None,
            (Probe::Active, Asker::Prober) | (Probe::Passive, _) => {
                self.probes.lease(self.max_probes(), now, now + self.probe_lease)
            }
        }
    }

    fn judge_call(&mut self, permit: &Permit, meaning: Meaning, now: Moment) -> Option<Transition> {
        match meaning {
            Meaning::Nothing => {}
            Meaning::Started => {
                self.window.judge(permit.began, Judgement::Good, now);
                self.unstarted = 0;
            }
            Meaning::Answered => {
                self.window.judge(permit.began, Judgement::Good, now);
                (self.unstarted, self.unfinished) = (0, 0);
            }
            Meaning::Finished => self.unfinished = 0,
            Meaning::NotStarted => {
                self.window.judge(permit.began, Judgement::Bad, now);
                self.unstarted = self.unstarted.saturating_add(1);
                return self.open_if_called_for(now);
            }
            Meaning::Broke => {
                self.window.rejudge(permit.began, now);
                self.unfinished = self.unfinished.saturating_add(1);
                return self.open_if_called_for(now);
            }
        }
        None
    }

    fn judge_probe(&mut self, permit: &Permit, meaning: Meaning, now: Moment) -> Option<Transition> {
        let lease = permit.lease().filter(|lease| self.probes.is_out(*lease, now))?;
        if permit.is_over() {
            self.probes.give_back(lease);
        }
        match meaning {
            Meaning::Nothing | Meaning::Finished => None,
            Meaning::Started | Meaning::Answered => {
                self.successes = self.successes.saturating_add(1);
                let enough = self.successes >= self.settings.success_threshold;
                enough.then(|| self.go(State::Closed, Reason::Recovered, now))
            }
            Meaning::NotStarted | Meaning::Broke => Some(self.go(State::Open, Reason::ProbeFailed, now)),
        }
    }

    fn open_if_called_for(&mut self, now: Moment) -> Option<Transition> {
        let reason = self.reason_to_open(now)?;
        match self.mode {
            Mode::Auto => Some(self.go(State::Open, reason, now)),
            Mode::ForcedOpen | Mode::ForcedClosed => None,
        }
    }

    fn reason_to_open(&self, now: Moment) -> Option<Reason> {
        if self.failures_in_a_row() >= self.settings.failure_threshold.max(1) {
            return Some(Reason::ConsecutiveFailures);
        }
        let Totals { calls, failures } = self.window.totals(now);
        let enough = failures > 0 && calls >= self.settings.minimum_calls;
        let too_many = f64::from(failures) >= self.settings.failure_rate * f64::from(calls);
        (enough && too_many).then_some(Reason::FailureRate)
    }

    /// The one place where the state changes.
    fn go(&mut self, to: State, reason: Reason, now: Moment) -> Transition {
        let from = std::mem::replace(&mut self.state, to);
        debug_assert!(LEGAL.contains(&(from, to, reason)), "{from:?} to {to:?} by {reason:?}");
        let recovering = from == State::HalfOpen || self.ramp_since.is_some();
        self.generation += 1;
        (self.until, self.ramp_since) = (None, None);
        self.window.clear();
        self.probes.clear();
        (self.unstarted, self.unfinished, self.successes) = (0, 0, 0);
        match (to, reason) {
            (_, Reason::Forced) => self.failed_recoveries = 0,
            (State::HalfOpen, _) => {}
            (State::Open, _) => {
                self.failed_recoveries = self.failed_recoveries.saturating_add(u32::from(recovering));
                self.until = Some(now + self.open_for());
            }
            (State::Closed, _) => {
                (self.ramp_since, self.ramps_with_fleet) = (Some(now), false);
                self.end_ramp_if_over(now);
            }
        }
        Transition { from, to, reason, generation: self.generation, at: now }
    }

    fn open_for(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failed_recoveries).unwrap_or(u32::MAX);
        self.settings.open_for.saturating_mul(doubled).min(self.settings.max_open_for)
    }

    /// Whether a call is let through in a ramp, whatever the dice say: with next to nothing under way it must begin.
    fn lets_some(&self, in_flight: u32) -> bool {
        !self.ramps_with_fleet && in_flight < self.max_probes()
    }

    fn share(&self, since: Moment, now: Moment) -> f64 {
        let over = now.since(since).as_secs_f64() / self.settings.ramp.as_secs_f64();
        RAMP_FROM + (1.0 - RAMP_FROM) * over
    }

    fn end_ramp_if_over(&mut self, now: Moment) {
        if self.ramp_since.is_some_and(|since| now.since(since) >= self.settings.ramp) {
            self.end_ramp();
        }
    }

    fn end_ramp(&mut self) {
        self.ramp_since = None;
        self.failed_recoveries = 0;
    }

    fn max_probes(&self) -> u32 {
        self.settings.half_open_max_calls.clamp(1, MAX_PROBES)
    }
}
