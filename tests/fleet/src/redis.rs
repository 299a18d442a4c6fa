//! The store as one Redis would be: the real operations, done in memory, one after the other, each of which takes time;
//! gone for a while, or replaced by a server that never heard of the last record.

use std::{collections::BTreeMap, time::Duration};

use fusebox_proto::store::Heartbeat;
use fusebox_rules::{
    fleet::{
        Record, Report, Stamp, Ticket,
        invariants::{
            invariant_epochs_grow, invariant_one_state_per_epoch, invariant_only_an_open_record_waits,
            invariant_probes_are_few,
        },
    },
    moment::Moment,
};
use fusebox_store::{
    Memory,
    breaker::{self, Commit, Committed, Condition, Lease, Leased, Probed, Seen},
    presence::{Beat, Beaten},
};

use crate::watch::{Broken, Rate};

/// The one provider's name.
pub const PROVIDER: &str = "vllm";
/// What the store's clock shows at the beginning, in milliseconds.
const START: u64 = 1_700_000_000_000;
/// What a heartbeat promises: see the sidecar's.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// What a sidecar asks of the store.
#[derive(Debug, Clone)]
pub enum Question {
    /// I am here.
    Beat,
    /// This is what I see.
    Report(Report),
    /// This holds from now on.
    Commit(Record, Condition),
    /// May I probe?
    Lease {
        /// In this epoch.
        epoch: u64,
        /// Named so.
        token: u64,
        /// For so long.
        lasts: Duration,
    },
    /// I have probed, and this is what came of it.
    Probed(Ticket, Option<bool>),
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// So many sidecars are.
    Beaten(Beaten),
    /// This is what all see.
    Seen(Seen),
    /// This holds.
    Committed(Committed),
    /// Whether it may.
    Leased(Leased),
    /// Noted.
    Noted,
}

/// What came of a request that arrived.
#[derive(Debug)]
pub struct Done {
    /// When the answer leaves.
    pub at: Moment,
    /// The store's time in it.
    pub stamp: Stamp,
    /// The answer.
    pub answer: Answer,
    /// A record that was put in place, of which all are told.
    pub news: Option<Record>,
}

/// The store.
#[derive(Debug)]
pub struct Redis {
    breakers: Memory,
    /// The breakers before the last record was put in place: what a replica knows that is a write behind.
    behind: Memory,
    presence: Memory,
    settings: fusebox_rules::breaker::Settings,
    gone: bool,
    free_at: Moment,
    /// How long requests have waited for those before them, at most.
    pub longest_line: Duration,
    /// Every record that ever was in place.
    history: BTreeMap<u64, Record>,
    /// The record now.
    record: Record,
    /// Requests, by second and at the worst.
    pub rate: Rate,
    /// Requests of each kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Leases asked for in vain.
    pub refused_leases: u64,
    /// What was found broken.
    pub broken: Vec<Broken>,
}

/// What one request costs Redis, by its kind: of the order that scripts of so many commands take on one core of today,
/// which run some 20,000 reports a second.
fn cost(question: &Question) -> Duration {
    Duration::from_micros(match question {
        Question::Report(_) => 45,
        Question::Beat => 20,
        Question::Lease { .. } | Question::Probed(..) => 15,
        Question::Commit(..) => 20,
    })
}

/// What it costs to pass a hint on to one subscriber.
const HINT: Duration = Duration::from_micros(1);

impl Question {
    const fn name(&self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::Report(_) => "report",
            Self::Commit(..) => "commit",
            Self::Lease { .. } => "lease",
            Self::Probed(..) => "probed",
        }
    }
}

impl Redis {
    /// An empty one, of a fleet whose breaker is so.
    #[must_use]
    pub fn new(settings: fusebox_rules::breaker::Settings) -> Self {
        Self {
            breakers: Memory::default(),
            behind: Memory::default(),
            presence: Memory::default(),
            settings,
            gone: false,
            free_at: Moment::ZERO,
            longest_line: Duration::ZERO,
            history: BTreeMap::new(),
            record: Record::default(),
            rate: Rate::default(),
            kinds: BTreeMap::new(),
            refused_leases: 0,
            broken: Vec::new(),
        }
    }

    /// The record that it holds.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// All the records that it ever held.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.history.values()
    }

    /// Answers nobody from now on.
    pub const fn go(&mut self) {
        self.gone = true;
    }

    /// Answers again, as it was.
    pub fn come_back(&mut self, now: Moment) {
        self.gone = false;
        self.free_at = now;
    }

    /// Forgets the last record that was put in place, and all that came after it.
    pub fn lose_last_record(&mut self) {
        self.breakers = self.behind.clone();
        let look = Commit { provider: PROVIDER, record: Record::default(), condition: Condition::IsNewer };
        self.record = self.breakers.run(&look, Stamp::default()).record;
    }

    /// A request of `sidecar` arrives. `None`: nobody is there.
    pub fn take(&mut self, sidecar: &str, question: &Question, live: usize, now: Moment) -> Option<Done> {
        if self.gone {
            return None;
        }
        self.rate.count(now);
        *self.kinds.entry(question.name()).or_default() += 1;
        let begins = self.free_at.max(now);
        self.longest_line = self.longest_line.max(begins.since(now));
        let at = begins + cost(question);
        let stamp = stamp(at);
        let answer = self.answer(sidecar, question, stamp);
        let news = self.breakers.take_news().pop().map(|news| news.record);
        let told = if news.is_some() { HINT * u32::try_from(live).unwrap_or(u32::MAX) } else { Duration::ZERO };
        self.free_at = at + told;
        Some(Done { at, stamp, answer, news })
    }

    fn answer(&mut self, sidecar: &str, question: &Question, now: Stamp) -> Answer {
        match question {
            Question::Beat => {
                let heartbeat = Heartbeat { id: sidecar.to_owned(), ..Heartbeat::default() };
                Answer::Beaten(self.presence.run(&Beat { heartbeat: &heartbeat, every: BEAT_EVERY }, now))
            }
            Question::Report(report) => {
                let window = self.settings.window;
                let asked = breaker::Report { provider: PROVIDER, sidecar, report: *report, window };
                Answer::Seen(self.breakers.run(&asked, now))
            }
            Question::Commit(record, condition) => Answer::Committed(self.commit(record, *condition, now)),
            Question::Lease { epoch, token, lasts } => {
                let most = self.settings.half_open_max_calls.max(1);
                let asked = Lease { provider: PROVIDER, epoch: *epoch, token: *token, most, lasts: *lasts };
                let leased = self.breakers.run(&asked, now);
                self.refused_leases += u64::from(!leased.granted);
                let few = invariant_probes_are_few(leased.out, most);
                self.check(few, "more probes are leased than the settings allow");
                Answer::Leased(leased)
            }
            Question::Probed(ticket, good) => {
                let told = Probed { provider: PROVIDER, epoch: ticket.epoch, token: ticket.token, good: *good };
                self.breakers.run(&told, now);
                Answer::Noted
            }
        }
    }

    fn commit(&mut self, record: &Record, condition: Condition, now: Stamp) -> Committed {
        let before = self.breakers.clone();
        let asked = Commit { provider: PROVIDER, record: record.clone(), condition };
        let committed = self.breakers.run(&asked, now);
        if committed.won {
            self.behind = before;
            let grows = invariant_epochs_grow(&self.record, &committed.record);
            self.check(grows, "a record took the place of a newer one");
            self.check(invariant_only_an_open_record_waits(&committed.record), "a record waits that is not open");
            let known = self.history.entry(committed.record.epoch).or_insert_with(|| committed.record.clone());
            let same = invariant_one_state_per_epoch(known, &committed.record);
            self.check(same, "two records of one epoch");
        }
        self.record = committed.record.clone();
        committed
    }

    fn check(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.broken.push(what);
        }
    }
}

/// The store's time at `moment`.
#[must_use]
pub fn stamp(moment: Moment) -> Stamp {
    Stamp::from_millis(START + moment.as_nanos() / 1_000_000)
}
