//! A provider as the hot path sees it: may this call go there now?
//!
//! Atomics around the rules' decisions. While all is well, asking costs two loads and no lock; the lock is
//! taken to judge a call and while a breaker is not plainly closed, for some tens of nanoseconds, and never
//! over a call.

pub mod limiter;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_rules::{
    breaker::{self, Admission, Asker, Breaker, News, PROBE_LEASE, Permit, Transition},
    budget::{self, Budget, Payment},
    error::{Blame, ErrorKind},
    moment::Moment,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::limiter::Limiter;
use crate::{clock, config};

/// A provider is never left alone for longer on its own word.
const MAX_COOL_DOWN: Duration = Duration::from_secs(3600);

/// A provider that refused its key is asked again only with another, or after this long: some have refused good keys
/// for a while, and no operator should have to find that out.
const KEY_RECHECK: Duration = Duration::from_secs(300);

/// Hears of every move that a breaker makes.
pub type OnMove = Box<dyn Fn(&Transition) + Send + Sync>;

/// One provider's gate. Survives a reload of the configuration.
pub struct Gate {
    breaker: Mutex<Breaker>,
    /// The breaker's generation while it admits freely; [`ASK`] while it must be asked.
    free: AtomicU64,
    cool_until: AtomicU64,
    /// How long a provider is left alone that asks for it and does not say until when.
    cool_down_nanos: AtomicU64,
    key_refused_until: AtomicU64,
    /// Whether the key was refused and has neither changed nor worked since.
    key_bad: AtomicBool,
    /// How often the key has changed: a refusal of an older one is no news.
    keys: AtomicU64,
    in_flight: AtomicU32,
    limiter: Arc<Limiter>,
    budget: Mutex<Budget>,
    /// Whether it is callers' calls that find out if the provider has recovered.
    callers_probe: bool,
    moved: Notify,
    on_move: OnMove,
}

const ASK: u64 = u64::MAX;

/// Why a gate let a call not through, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the call is told: `circuit_open`, `rate_limited` or `authentication`.
    pub kind: ErrorKind,
    /// When asking again is first worth it.
    pub retry_after: Option<Duration>,
}

/// What a gate shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What the breaker is doing.
    pub state: breaker::State,
    /// Until when it is open.
    pub open_until: Option<Moment>,
    /// How long the provider is still left alone at its own request.
    pub cooling: Option<Duration>,
    /// Whether it refused its key, which has neither changed nor worked since. A while after, calls may try it again.
    pub key_refused: bool,
    /// Calls there now.
    pub in_flight: u32,
}

impl Gate {
    /// A gate that has seen nothing, and tells `on_move` of its breaker's moves.
    #[must_use]
    pub fn new(provider: &config::Provider, retries: &budget::Settings, on_move: OnMove) -> Self {
        let now = clock::now();
        let settings = provider.breaker.clone();
        let callers_probe = settings.probe == breaker::Probe::Passive;
        // Shorter, and the news of a slow provider's recovery would never be heard.
        let lease = provider.timeouts.total.max(PROBE_LEASE);
        let breaker = Breaker::new(settings).with_probe_lease(lease);
        Self {
            free: AtomicU64::new(breaker.generation()),
            breaker: Mutex::new(breaker),
            cool_until: AtomicU64::new(0),
            cool_down_nanos: AtomicU64::new(nanos(provider.retry.base_delay)),
            key_refused_until: AtomicU64::new(0),
            key_bad: AtomicBool::new(false),
            keys: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            limiter: Arc::default(),
            budget: Mutex::new(Budget::new(retries, now)),
            callers_probe,
            moved: Notify::new(),
            on_move,
        }
    }

    /// Takes over what a new configuration says of anything but the breaker, whose state is kept.
    pub fn adopt(&self, provider: &config::Provider, retries: &budget::Settings) {
        self.cool_down_nanos.store(nanos(provider.retry.base_delay), Relaxed);
        *self.budget.lock() = Budget::new(retries, clock::now());
    }

    /// Whether a call may go there now. Its pass must be told what became of the call.
    ///
    /// # Errors
    /// The provider is to be left alone.
    pub fn admit(self: &Arc<Self>, asker: Asker) -> Result<Pass, Refusal> {
        let now = clock::now();
        if let Some(refusal) = self.left_alone(now) {
            return Err(refusal);
        }
        let free = self.free.load(Relaxed);
        let permit = if free == ASK { self.ask(asker, now)? } else { Permit::free(free, now) };
        self.in_flight.fetch_add(1, Relaxed);
        Ok(Pass { gate: Arc::clone(self), permit, keyed: self.keys.load(Relaxed), judged: false })
    }

    /// Whether a call would be let through now; asking takes nothing.
    #[must_use]
    pub fn would_admit(&self) -> bool {
        let now = clock::now();
        if self.left_alone(now).is_some() {
            return false;
        }
        if self.free.load(Relaxed) != ASK {
            return true;
        }
        let breaker = self.breaker.lock();
        match breaker.state() {
            breaker::State::Closed => true,
            breaker::State::Open => self.callers_probe && breaker.opens_until().is_some_and(|until| until <= now),
            breaker::State::HalfOpen => self.callers_probe,
        }
    }

    fn left_alone(&self, now: Moment) -> Option<Refusal> {
        let left = |until: &AtomicU64, kind| {
            let until = Moment::from_nanos(until.load(Relaxed));
            (until > now).then(|| Refusal { kind, retry_after: Some(until.since(now)) })
        };
        left(&self.key_refused_until, ErrorKind::Authentication)
            .or_else(|| left(&self.cool_until, ErrorKind::RateLimited))
    }

    fn ask(&self, asker: Asker, now: Moment) -> Result<Permit, Refusal> {
        let mut breaker = self.breaker.lock();
        let moved = breaker.tick(now);
        let admission = breaker.admit(asker, self.in_flight.load(Relaxed), now, fastrand::f64());
        self.store(&breaker);
        drop(breaker);
        self.tell(moved);
        match admission {
            Admission::Granted(permit) => Ok(permit),
            Admission::Refused { retry_after, .. } => {
                Err(Refusal { kind: ErrorKind::CircuitOpen, retry_after: Some(retry_after) })
            }
        }
    }

    fn record(&self, permit: &mut Permit, news: News) -> Option<Transition> {
        let mut breaker = self.breaker.lock();
        let moved = breaker.record(permit, news, clock::now());
        self.store(&breaker);
        drop(breaker);
        self.tell(moved);
        moved
    }

    /// The new state stands before anyone is told of it.
    fn store(&self, breaker: &Breaker) {
        self.free.store(if breaker.admits_freely() { breaker.generation() } else { ASK }, Relaxed);
    }

    fn tell(&self, moved: Option<Transition>) {
        if let Some(moved) = moved {
            (self.on_move)(&moved);
            self.moved.notify_waiters();
        }
    }

    /// Notes that a call came, which pays for a share of a retry.
    pub fn deposit(&self) {
        self.budget.lock().deposit(clock::now());
    }

    /// Whether one more retry is paid for; takes it.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        self.budget.lock().withdraw(clock::now()) == Payment::Paid
    }

    /// Leaves the provider alone for `wait`. Of two such wishes the later end wins.
    fn cool_down(&self, wait: Option<Duration>) {
        let until = clock::now()
            + wait.unwrap_or_else(|| Duration::from_nanos(self.cool_down_nanos.load(Relaxed))).min(MAX_COOL_DOWN);
        self.cool_until.fetch_max(until.as_nanos(), Relaxed);
    }

    fn key_refused(&self, keyed: u64) {
        if keyed != self.keys.load(Relaxed) {
            return;
        }
        self.key_bad.store(true, Relaxed);
        self.key_refused_until.store((clock::now() + KEY_RECHECK).as_nanos(), Relaxed);
    }

    /// A call sent with the key was answered.
    fn key_worked(&self, keyed: u64) {
        if self.key_bad.load(Relaxed) && keyed == self.keys.load(Relaxed) {
            self.key_bad.store(false, Relaxed);
        }
    }

    /// Hears that the provider's key has changed.
    pub fn key_changed(&self) {
        self.keys.fetch_add(1, Relaxed);
        self.key_refused_until.store(0, Relaxed);
        self.key_bad.store(false, Relaxed);
    }

    /// Calls there now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How many calls it may have, and who waits for a place.
    #[must_use]
    pub const fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    /// What there is to show.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let now = clock::now();
        let cool_until = Moment::from_nanos(self.cool_until.load(Relaxed));
        let breaker = self.breaker.lock();
        Standing {
            state: breaker.state(),
            open_until: breaker.opens_until(),
            cooling: (cool_until > now).then(|| cool_until.since(now)),
            key_refused: self.key_bad.load(Relaxed),
            in_flight: self.in_flight(),
        }
    }

    /// Waits until the breaker is half-open and wants a probe of the sidecar's own.
    pub async fn wants_probe(&self) {
        loop {
            let moved = self.moved.notified();
            let due = {
                let mut breaker = self.breaker.lock();
                let now = clock::now();
                let moved = breaker.tick(now);
                self.store(&breaker);
                let (wants, until) = (breaker.wants_probe(now), breaker.opens_until());
                drop(breaker);
                self.tell(moved);
                if wants {
                    return;
                }
                until
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = moved => {}
                        () = tokio::time::sleep_until(clock::at(due)) => {}
                    }
                }
                None => moved.await,
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gate").field(&self.standing()).finish()
    }
}

/// Leave for one call to go to the provider. Dropped without a word it judges nothing: a probe's place is free again.
#[derive(Debug)]
pub struct Pass {
    gate: Arc<Gate>,
    permit: Permit,
    /// Which of the provider's keys the call was sent with.
    keyed: u64,
    judged: bool,
}

impl Pass {
    /// The first token came, this long after the call was sent. Says if that moved the breaker, as do the others.
    pub fn first_token(&mut self, took: Duration) -> Option<Transition> {
        self.gate.key_worked(self.keyed);
        self.gate.limiter.first_token(took);
        self.gate.record(&mut self.permit, News::FirstToken { took })
    }

    /// The answer is complete and good.
    pub fn succeeded(mut self) -> Option<Transition> {
        self.gate.key_worked(self.keyed);
        self.judge(News::Succeeded)
    }

    /// The answer is complete and came too slowly.
    pub fn slow(mut self) -> Option<Transition> {
        self.judge(News::Slow)
    }

    /// The call failed; the table says what that says of the provider.
    pub fn failed(mut self, kind: ErrorKind, wait: Option<Duration>) -> Option<Transition> {
        self.gate.limiter.failed(kind);
        match kind.row().blame {
            Blame::Breaker => return self.judge(News::Failed),
            Blame::CoolDown => self.gate.cool_down(wait),
            Blame::Key => self.gate.key_refused(self.keyed),
            Blame::None => {}
        }
        None
    }

    fn judge(&mut self, news: News) -> Option<Transition> {
        self.judged = true;
        self.gate.record(&mut self.permit, news)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.judged {
            let _ = self.gate.record(&mut self.permit, News::Unused);
        }
        self.gate.in_flight.fetch_sub(1, Relaxed);
    }
}
