//! A provider as the hot path sees it: may this call go there now?
//!
//! Atomics around the rules' decisions. While all is well, asking costs two loads and no lock; the lock is
//! taken to judge a call and while a breaker is not plainly closed, for some tens of nanoseconds, and never
//! over a call.

pub mod limiter;
mod pass;
mod rates;

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use fusebox_rules::{
    breaker::{self, Asker, News, PROBE_LEASE, Transition},
    budget,
    error::ErrorKind,
    fleet::{Judges, Leave, Record, Report, SharedClock, Ticket, View, bucket::Unit},
    moment::Moment,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::{limiter::Limiter, rates::Rates};
pub use self::{
    pass::Pass,
    rates::{Bells, Left},
};
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
    judges: Mutex<Judges>,
    /// The breaker's generation while it admits freely; [`ASK`] while it must be asked.
    free: AtomicU64,
    /// The epoch of the shared breaker, as far as it is known here.
    epoch: AtomicU64,
    cool_until: AtomicU64,
    /// How long a provider is left alone that asks for it and does not say until when.
    cool_down_nanos: AtomicU64,
    key_refused_until: AtomicU64,
    /// Whether it is switched off: no call goes there, whatever the breaker says.
    off: AtomicBool,
    /// Whether the key was refused and has neither changed nor worked since.
    key_bad: AtomicBool,
    /// How often the key has changed: a refusal of an older one is no news.
    keys: AtomicU64,
    in_flight: AtomicU32,
    limiter: Arc<Limiter>,
    rates: Rates,
    moved: Notify,
    on_move: OnMove,
    /// What is rung to speak with the fleet; `None`: nothing here is shared.
    bells: Option<Bells>,
}

const ASK: u64 = u64::MAX;

/// Why a gate let a call not through, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What the call is told: `circuit_open`, `rate_limited` or `authentication`.
    pub kind: ErrorKind,
    /// When asking again is first worth it.
    pub retry_after: Option<Duration>,
    /// Which of the provider's rate limits has no room for the call; `None`: that is not why.
    pub limit: Option<Unit>,
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
    /// A gate that has seen nothing, and tells `on_move` of its breaker's moves. With bells to ring, it shares its
    /// breaker with the fleet, and what the provider allows.
    #[must_use]
    pub fn new(provider: &config::Provider, retries: &budget::Settings, on_move: OnMove, bells: Option<Bells>) -> Self {
        let now = clock::now();
        let mut judges = Judges::new(&provider.breaker, bells.is_some());
        // Shorter, and the news of a slow provider's recovery would never be heard.
        judges.local = judges.local.with_probe_lease(provider.timeouts.total.max(PROBE_LEASE));
        Self {
            free: AtomicU64::new(judges.free().unwrap_or(ASK)),
            epoch: AtomicU64::new(judges.epoch()),
            judges: Mutex::new(judges),
            cool_until: AtomicU64::new(0),
            cool_down_nanos: AtomicU64::new(nanos(provider.retry.base_delay)),
            key_refused_until: AtomicU64::new(0),
            off: AtomicBool::new(false),
            key_bad: AtomicBool::new(false),
            keys: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            limiter: Arc::default(),
            rates: Rates::new(&provider.rate_limit, retries, now),
            moved: Notify::new(),
            on_move,
            bells,
        }
    }

    /// Takes over what a new configuration says of anything but the breaker, whose state is kept.
    pub fn adopt(&self, provider: &config::Provider, retries: &budget::Settings) {
        self.cool_down_nanos.store(nanos(provider.retry.base_delay), Relaxed);
        self.rates.hold_to(&provider.rate_limit, retries, clock::now());
    }

    /// Whether a call may go there now that is thought to use so many `tokens`, in and out; they are asked for only where
    /// the provider limits them. Its pass must be told what became of the call.
    ///
    /// # Errors
    /// The provider is to be left alone, or its rate limits have no room.
    pub fn admit(self: &Arc<Self>, asker: Asker, tokens: impl FnOnce() -> u64) -> Result<Pass, Refusal> {
        let now = clock::now();
        if let Some(refusal) = self.left_alone(now) {
            return Err(refusal);
        }
        // Before the generation: a call let through while the breaker moves is one of before, not of after.
        let epoch = self.epoch.load(Acquire);
        let free = self.free.load(Acquire);
        let leave = match free {
            ASK => self.ask(asker, now)?,
            generation => Leave::free(generation, epoch, now),
        };
        self.in_flight.fetch_add(1, Relaxed);
        let mut pass = Pass::new(Arc::clone(self), leave, self.keys.load(Relaxed));
        // Last, so that what the breaker refuses takes nothing. Dropped here, the pass gives its leave back.
        match self.rates.take(tokens, now) {
            Ok(taken) => {
                pass.pays_with(taken);
                Ok(pass)
            }
            Err(short) => {
                if let Some(bells) = self.bells.as_ref().filter(|_| short.may_be_leased()) {
                    bells.need.notify_one();
                }
                let retry_after = Some(short.retry_after);
                Err(Refusal { kind: ErrorKind::RateLimited, retry_after, limit: Some(short.unit) })
            }
        }
    }

    /// Whether a call would be let through now, if the provider's rate limits have room; asking takes nothing.
    #[must_use]
    pub fn would_admit(&self) -> bool {
        let now = clock::now();
        if self.left_alone(now).is_some() {
            return false;
        }
        self.free.load(Relaxed) != ASK || self.judges.lock().would_admit(now)
    }

    /// Switches the provider off or on, for calls already on their way too.
    pub fn switch(&self, on: bool) {
        self.off.store(!on, Relaxed);
    }

    fn left_alone(&self, now: Moment) -> Option<Refusal> {
        if self.off.load(Relaxed) {
            return Some(Refusal { kind: ErrorKind::CircuitOpen, retry_after: None, limit: None });
        }
        let left = |until: &AtomicU64, kind| {
            let until = Moment::from_nanos(until.load(Relaxed));
            (until > now).then(|| Refusal { kind, retry_after: Some(until.since(now)), limit: None })
        };
        left(&self.key_refused_until, ErrorKind::Authentication)
            .or_else(|| left(&self.cool_until, ErrorKind::RateLimited))
    }

    fn ask(&self, asker: Asker, now: Moment) -> Result<Leave, Refusal> {
        let mut judges = self.judges.lock();
        let (leave, moved) = judges.admit(asker, self.in_flight.load(Relaxed), now, fastrand::f64());
        self.store(&judges);
        drop(judges);
        self.tell(moved);
        leave.map_err(|wait| Refusal { kind: ErrorKind::CircuitOpen, retry_after: Some(wait), limit: None })
    }

    fn record(&self, leave: &mut Leave, news: News) -> Option<Transition> {
        let mut judges = self.judges.lock();
        let followed = judges.record(leave, news, clock::now());
        self.store(&judges);
        drop(judges);
        self.tell(followed.moved);
        if let Some(bells) = self.bells.as_ref().filter(|_| followed.urgent) {
            bells.news.notify_one();
        }
        followed.moved
    }

    /// The new state stands before anyone is told of it.
    fn store(&self, judges: &Judges) {
        self.free.store(judges.free().unwrap_or(ASK), Release);
        self.epoch.store(judges.epoch(), Release);
    }

    fn tell(&self, moved: Option<Transition>) {
        if let Some(moved) = moved {
            (self.on_move)(&moved);
            self.moved.notify_waiters();
        }
    }

    /// Leaves the provider alone for `wait`. Of two such wishes the later end wins.
    fn cool_down(&self, wait: Option<Duration>) {
        let until = clock::now()
            + wait.unwrap_or_else(|| Duration::from_nanos(self.cool_down_nanos.load(Relaxed))).min(MAX_COOL_DOWN);
        self.cool_until(until);
        if let Some(bells) = &self.bells {
            bells.news.notify_one();
        }
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

    /// Whether its breaker is shared with the fleet.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.bells.is_some()
    }

    /// Looks at the shared breaker as it is held to here; `None`: it is not shared.
    pub fn with_view<T>(&self, look: impl FnOnce(&mut View) -> T) -> Option<T> {
        self.judges.lock().fleet.as_mut().map(look)
    }

    /// Holds to the fleet's record from now on, if it is newer than what is known.
    pub fn follow(&self, record: &Record, clock: &SharedClock) {
        let mut judges = self.judges.lock();
        let moved = judges.follow(record, clock, clock::now(), fastrand::f64());
        self.store(&judges);
        drop(judges);
        self.tell(moved);
        // A prober that waits looks again, even where the local breaker stays as it is.
        self.moved.notify_waiters();
    }

    /// What this sidecar has to report to the fleet.
    #[must_use]
    pub fn report(&self, clock: &SharedClock) -> Option<Report> {
        self.with_view(|view| view.report(clock, clock::now()))
    }

    /// Lays in a leased probe for whoever may send it.
    pub fn lay_in(&self, ticket: Ticket) {
        self.with_view(|view| view.lay_in(ticket, clock::now()));
        self.moved.notify_waiters();
    }

    /// Does what an operator says, where no fleet does so for all.
    pub fn force(&self, mode: breaker::Mode) {
        let mut judges = self.judges.lock();
        let moved = judges.local.force(mode, clock::now());
        self.store(&judges);
        drop(judges);
        self.tell(moved);
    }

    /// Leaves the provider alone until then, if it is not already for longer.
    pub fn cool_until(&self, until: Moment) {
        self.cool_until.fetch_max(until.as_nanos(), Relaxed);
    }

    /// Until when it is left alone at its own request; in the past: it is not.
    #[must_use]
    pub fn cools_until(&self) -> Moment {
        Moment::from_nanos(self.cool_until.load(Relaxed))
    }

    /// What there is to show.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let now = clock::now();
        let cool_until = Moment::from_nanos(self.cool_until.load(Relaxed));
        let (state, open_until) = self.judges.lock().standing(now);
        Standing {
            state,
            open_until,
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
                let mut judges = self.judges.lock();
                let now = clock::now();
                let moved = judges.local.tick(now);
                self.store(&judges);
                let (wants, until) = judges.wants_probe(now);
                drop(judges);
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
