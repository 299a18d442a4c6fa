//! One sidecar's small state: its gate, and where it is in its loops with the store.

use std::time::Duration;

use fusebox_rules::{
    breaker::{Breaker, Mode, Settings, State},
    budget::{self, Budget},
    fleet::{Record, SharedClock, Ticket, pace},
    moment::Moment,
};

use crate::{dice::Dice, gate::Gate, trial::Trial};

// The sidecar's own numbers, from its `fleet` and `health` rooms.
/// Between two heartbeats.
pub const BEAT: Duration = Duration::from_secs(1);
/// How long the store may take to answer.
pub const LIMIT: Duration = Duration::from_millis(500);
/// How soon a prober looks again while the fleet decides and no probe has been leased.
pub const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Between two probes.
pub const PAUSE: Duration = Duration::from_millis(50);
/// How long a lease lasts: a probe's longest time, and what it spends on its way.
pub const LEASE: Duration = Duration::from_secs(31);

/// What a fleet shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Breakers are the fleet's.
    Fleet,
    /// Each has its own.
    Alone,
    /// There are none, and retries cost nothing: what there would be without the sidecar's protection.
    Nothing,
}

/// Where a sidecar's loop with the store is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// It tells of this probe.
    Telling(Ticket, Option<bool>),
    /// It reports.
    Reporting,
    /// It puts a record in place.
    Committing,
    /// It asks for a probe, since then.
    Leasing {
        /// In this epoch.
        epoch: u64,
        /// Under this name.
        token: u64,
        /// Asked then.
        sent: Moment,
    },
    /// It waits until something is due or rung.
    Looking,
    /// It waits until it may ask again.
    Resting,
}

/// Where its prober is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prober {
    /// It waits for something to do.
    Waiting,
    /// Its probe is out, or it rests after one.
    Busy,
}

/// One sidecar.
#[derive(Debug)]
pub struct Sidecar {
    /// Its name.
    pub name: String,
    /// Its gate.
    pub gate: Gate,
    /// The shared time as it knows it.
    pub clock: SharedClock,
    /// Sidecars that are there, as far as it knows.
    pub live: u32,
    /// Its budget of retries.
    pub budget: Budget,
    /// Rung while nobody listened.
    pub rung: bool,
    /// Where its loop is.
    pub phase: Phase,
    /// Which wait of its loop is the present one: what was due in another is not heard.
    pub turn: u32,
    /// When the present round of its loop began.
    pub began: Moment,
    /// How long that takes at least.
    pub busy: Duration,
    /// Whether it is one of the few that ask for a lease now.
    pub drawn: bool,
    /// Rounds since the fleet's breaker became half-open, or a lease was last refused.
    pub rounds: u32,
    /// Probes that it has not told of yet.
    pub over: Vec<(Ticket, Option<bool>)>,
    /// Where its prober is.
    pub prober: Prober,
    /// Which wait of its prober is the present one.
    pub prober_turn: u32,
    /// The gate's moves that the prober has seen.
    pub seen_moves: u64,
    /// Whether its own calls fail, whatever the provider does.
    pub sick: bool,
    /// When its gate shut for the first time since that was asked for.
    pub shut_at: Option<Moment>,
    /// When its gate let calls through again since that was asked for.
    pub let_at: Option<Moment>,
}

impl Sidecar {
    /// One that has just come.
    #[must_use]
    pub fn new(number: usize, settings: &Settings, sharing: Sharing) -> Self {
        let mut gate = Gate::new(settings, sharing == Sharing::Fleet);
        let retries = match sharing {
            Sharing::Nothing => budget::Settings { ratio: 1.0, minimum_per_second: 1e6 },
            Sharing::Fleet | Sharing::Alone => budget::Settings { ratio: 0.2, minimum_per_second: 10.0 },
        };
        if sharing == Sharing::Nothing {
            forced_closed(&mut gate.local);
        }
        Self {
            name: format!("sidecar-{number:05}"),
            gate,
            clock: SharedClock::default(),
            live: 0,
            budget: Budget::new(&retries, Moment::ZERO),
            rung: false,
            phase: Phase::Resting,
            turn: 0,
            began: Moment::ZERO,
            busy: Duration::ZERO,
            drawn: false,
            rounds: 0,
            over: Vec::new(),
            prober: Prober::Waiting,
            prober_turn: 0,
            seen_moves: 0,
            sick: false,
            shut_at: None,
            let_at: None,
        }
    }

    /// The shared record that it holds to.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.gate.fleet.as_ref().map(fusebox_rules::fleet::View::record)
    }

    /// How long a round of its loop takes at least, drawn anew.
    pub fn draw_busy(&mut self, dice: &mut Dice) {
        self.busy = dice.jittered(pace::busy(self.live));
    }

    /// When to look again if nothing is rung.
    pub fn next_look(&mut self, trial: Trial, dice: &mut Dice) -> Moment {
        let idle = self.began + dice.jittered(pace::IDLE);
        let Some(view) = &self.gate.fleet else { return idle };
        let spread = pace::spread(self.live);
        let due = match view.record().state {
            State::Closed => idle,
            State::Open => view.open_until().map_or(idle, |until| until + spread.mul_f64(dice.share())),
            State::HalfOpen if trial.keeps_calm => {
                self.drawn = dice.share() < Trial::asks(self.rounds, view.settings(), self.live);
                if self.drawn { self.began } else { idle }
            }
            State::HalfOpen => self.began + self.busy,
        };
        due.min(idle)
    }
}

fn forced_closed(local: &mut Breaker) {
    let _ = local.force(Mode::ForcedClosed, Moment::ZERO);
}
