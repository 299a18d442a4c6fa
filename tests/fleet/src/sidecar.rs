//! One sidecar's small state: its gate, and where it is in its loops with the store.

use std::time::Duration;

use fusebox_rules::{
    breaker::{Breaker, Mode, Settings},
    budget::{self, Budget},
    fleet::{Record, Round, SharedClock, Ticket, Turns, View, pace},
    moment::Moment,
};

use crate::{dice::Dice, gate::Gate};

// The sidecar's own numbers, from its `fleet` and `health` rooms.
/// How long the store may take to answer.
pub const LIMIT: Duration = Duration::from_millis(500);
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
    /// It waits until something is due or rung, or until it draws lots again.
    Looking {
        /// Whether it is the latter.
        draws: bool,
    },
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
    /// The present round of its loop.
    pub round: Round,
    /// Whose turn it is.
    pub turns: Turns,
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
            forced_closed(&mut gate.judges.local);
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
            round: Round::default(),
            turns: Turns::default(),
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
        self.gate.view().map(View::record)
    }

    /// How long it waits after the present round, drawn anew.
    pub fn draw_waits(&mut self, dice: &mut Dice) {
        let live = self.live;
        let (idle, busy) = (dice.jittered(pace::IDLE), dice.jittered(pace::busy(live)));
        self.round = Round { live, idle, busy, ..self.round };
    }
}

fn forced_closed(local: &mut Breaker) {
    let _ = local.force(Mode::ForcedClosed, Moment::ZERO);
}
