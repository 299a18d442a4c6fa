//! What went wrong lately: a bounded history of failures, their counts and rates over a minute and an hour, and which
//! of them a person must hear of.
//!
//! It is touched only when something fails, under a lock held for a few instructions. It keeps no
//! message and no provider's words: those are the log's.

mod wheel;

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use fusebox_rules::{critical::Critical, moment::Moment};
use parking_lot::Mutex;
use serde::Serialize;

use self::wheel::{Counts, Wheel};
use crate::{chat::request::Operation, error::ErrorKind};

/// Failures kept one by one.
const HISTORY: usize = 1_000;
/// Critical failures shown one by one.
const SHOWN_CRITICAL: usize = 10;
/// Between two log lines of one reason: while every call fails, a line for each would drown the rest.
const QUIET: Duration = Duration::from_secs(10);
/// No operation known, and the four.
const OPERATIONS: [Option<Operation>; 5] =
    [None, Some(Operation::Chat), Some(Operation::Completion), Some(Operation::Embed), Some(Operation::Image)];

/// One failure.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// How.
    pub(super) kind: ErrorKind,
    /// Why a person must hear of it, if one must.
    pub(super) critical: Option<Critical>,
    /// What was asked; `None`: it was refused before that was known.
    pub(super) operation: Option<Operation>,
    /// Who failed, if it was a provider.
    pub(super) provider: Option<Arc<str>>,
    /// Whose call it was.
    pub(super) correlation_id: Arc<str>,
    /// Which attempt failed, from 1; `None`: the call as a whole did.
    pub(super) attempt: Option<u32>,
    /// When.
    pub(super) at: Moment,
}

/// How many attempts at a provider failed in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub provider: Arc<str>,
    /// How, by the kind's name.
    pub kind: &'static str,
    /// What was asked, by its name.
    pub operation: &'static str,
    /// How many.
    pub count: u32,
}

/// What went wrong lately, in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// Calls that failed in the last hour, by kind and operation, the commonest first.
    pub calls: Vec<KindCount>,
    /// Attempts that failed in the last hour, by kind and operation, the commonest first.
    pub attempts: Vec<KindCount>,
    /// How often each kind is met, the commonest of the last hour first.
    pub rates: Vec<KindRate>,
    /// What a person must hear of.
    pub critical: CriticalSummary,
    /// The last failures, the latest first.
    pub recent: Vec<Recent>,
}

/// How often one kind was met in one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// `kind:operation`
    pub pattern: String,
    /// The kind.
    pub kind: &'static str,
    /// The operation, or `unknown`.
    pub operation: &'static str,
    /// How often in the last hour.
    pub count: u64,
    /// How often in the last minute.
    pub last_minute: u64,
}

/// How often one kind was met, a minute.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindRate {
    /// The kind.
    pub kind: &'static str,
    /// Calls that failed so, a minute, over the last minute.
    pub calls_last_minute: f64,
    /// The same, over the last hour.
    pub calls_last_hour: f64,
    /// Attempts that failed so, a minute, over the last minute.
    pub attempts_last_minute: f64,
    /// The same, over the last hour.
    pub attempts_last_hour: f64,
}

/// What a person must hear of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriticalSummary {
    /// Since the process began.
    pub total: u64,
    /// By reason, those that there were.
    pub reasons: Vec<ReasonCount>,
    /// The last of them that the history holds, the latest first.
    pub recent: Vec<Recent>,
}

/// How often there was one reason for a failure to be critical.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReasonCount {
    /// The reason.
    pub reason: &'static str,
    /// Since the process began.
    pub total: u64,
    /// How long ago the last one was.
    pub seconds_ago: f64,
}

/// One failure of late.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recent {
    /// The kind.
    pub kind: &'static str,
    /// Why a person must hear of it; `None`: none must.
    pub critical: Option<&'static str>,
    /// The operation, or `unknown`.
    pub operation: &'static str,
    /// Who failed, if it was a provider.
    pub provider: Option<Arc<str>>,
    /// Whose call it was.
    pub correlation_id: Arc<str>,
    /// Which attempt failed, from 1; `None`: the call as a whole did.
    pub attempt: Option<u32>,
    /// How long ago.
    pub seconds_ago: f64,
}

/// The history itself.
#[derive(Debug)]
pub(super) struct Errors(Mutex<Inner>);

/// Who failed, how, and at what, by name.
type Way = (Arc<str>, &'static str, &'static str);

#[derive(Debug)]
struct Inner {
    recent: VecDeque<Failed>,
    calls: Windows,
    attempts: Windows,
    critical: [Reason; Critical::ALL.len()],
    /// Providers' failed attempts, by provider, kind and operation, until the fleet is told; `None`: there is none.
    untold: Option<HashMap<Way, u32>>,
}

/// The same failures over a minute and over an hour.
#[derive(Debug)]
struct Windows {
    minute: Wheel,
    hour: Wheel,
}

/// What is known of one reason for failures to be critical.
#[derive(Debug, Clone, Copy, Default)]
struct Reason {
    total: u64,
    last: Option<Moment>,
    logged: Option<Moment>,
    /// Met since the last line.
    unlogged: u64,
}

impl Errors {
    /// Nothing has gone wrong yet.
    pub(super) fn new() -> Self {
        let inner = Inner {
            recent: VecDeque::with_capacity(HISTORY),
            calls: Windows::new(),
            attempts: Windows::new(),
            critical: [Reason::default(); Critical::ALL.len()],
            untold: None,
        };
        Self(Mutex::new(inner))
    }

    /// Remembers a failure. A caller that hung up is counted, and takes no place from a failure in the history.
    /// If a line about it is due, it says how many of its reason it stands for.
    pub(super) fn record(&self, failed: Failed) -> Option<u64> {
        let mut inner = self.0.lock();
        let windows = if failed.attempt.is_some() { &mut inner.attempts } else { &mut inner.calls };
        windows.minute.add(failed.kind, failed.operation, failed.at);
        windows.hour.add(failed.kind, failed.operation, failed.at);
        inner.put_by(&failed);
        let due = failed.critical.and_then(|reason| inner.critical[reason as usize].met(failed.at));
        if failed.kind == ErrorKind::Cancelled {
            return due;
        }
        let forgotten = if inner.recent.len() == HISTORY { inner.recent.pop_front() } else { None };
        inner.recent.push_back(failed);
        drop(inner);
        // Freed only now, so that nobody waits for the allocator.
        drop(forgotten);
        due
    }

    /// Counts what no call met; if a line about it is due, it says how many of its reason it stands for.
    pub(super) fn alarm(&self, reason: Critical, at: Moment) -> Option<u64> {
        self.0.lock().critical[reason as usize].met(at)
    }

    /// Providers' failed attempts since this was last asked, if it ever was: before, nobody is there to be told.
    pub(super) fn take_failures(&self) -> Vec<Told> {
        let taken = self.0.lock().untold.replace(HashMap::new()).unwrap_or_default();
        let told = |((provider, kind, operation), count)| Told { provider, kind, operation, count };
        taken.into_iter().map(told).collect()
    }

    /// Critical failures since the process began, by reason.
    pub(super) fn critical(&self) -> [(&'static str, u64); Critical::ALL.len()] {
        let inner = self.0.lock();
        Critical::ALL.map(|reason| (reason.name(), inner.critical[reason as usize].total))
    }

    /// The counts, and at most `limit` failures one by one.
    pub(super) fn summary(&self, now: Moment, limit: usize) -> ErrorSummary {
        let inner = self.0.lock();
        let calls = (inner.calls.minute.counts(now), inner.calls.hour.counts(now));
        let attempts = (inner.attempts.minute.counts(now), inner.attempts.hour.counts(now));
        let minutes = (inner.calls.minute.minutes(now), inner.calls.hour.minutes(now));
        let reasons = inner.critical;
        let latest = || inner.recent.iter().rev();
        let critical: Vec<_> =
            latest().filter(|failed| failed.critical.is_some()).take(SHOWN_CRITICAL).cloned().collect();
        let recent: Vec<_> = latest().take(limit).cloned().collect();
        drop(inner);
        let shown = |failed: Vec<Failed>| failed.into_iter().map(|failed| Recent::of(failed, now)).collect();
        ErrorSummary {
            calls: patterns(&calls),
            attempts: patterns(&attempts),
            rates: rates(&calls, &attempts, minutes),
            critical: CriticalSummary {
                total: reasons.iter().map(|reason| reason.total).sum(),
                reasons: Critical::ALL.iter().filter_map(|one| reasons[*one as usize].shown(*one, now)).collect(),
                recent: shown(critical),
            },
            recent: shown(recent),
        }
    }
}

impl Inner {
    fn put_by(&mut self, failed: &Failed) {
        let (Some(untold), Some(provider), Some(_)) = (&mut self.untold, &failed.provider, failed.attempt) else {
            return;
        };
        let way = (Arc::clone(provider), failed.kind.name(), operation_name(failed.operation));
        *untold.entry(way).or_default() += 1;
    }
}

impl Windows {
    fn new() -> Self {
        Self { minute: Wheel::new(Duration::from_secs(1)), hour: Wheel::new(Duration::from_mins(1)) }
    }
}

impl Reason {
    /// Counts one; if it is time for a line, how many it stands for.
    fn met(&mut self, at: Moment) -> Option<u64> {
        self.total += 1;
        self.unlogged += 1;
        self.last = Some(at);
        if self.logged.is_some_and(|logged| at.since(logged) < QUIET) {
            return None;
        }
        self.logged = Some(at);
        Some(std::mem::take(&mut self.unlogged))
    }

    fn shown(&self, reason: Critical, now: Moment) -> Option<ReasonCount> {
        let seconds_ago = now.since(self.last?).as_secs_f64();
        Some(ReasonCount { reason: reason.name(), total: self.total, seconds_ago })
    }
}

impl Recent {
    fn of(failed: Failed, now: Moment) -> Self {
        Self {
            kind: failed.kind.name(),
            critical: failed.critical.map(Critical::name),
            operation: operation_name(failed.operation),
            provider: failed.provider,
            correlation_id: failed.correlation_id,
            attempt: failed.attempt,
            seconds_ago: now.since(failed.at).as_secs_f64(),
        }
    }
}

/// Each kind in each operation in which the hour has it, the commonest first.
fn patterns((minute, hour): &(Counts, Counts)) -> Vec<KindCount> {
    let mut counts = Vec::new();
    for kind in ErrorKind::ALL {
        for (index, operation) in OPERATIONS.into_iter().enumerate() {
            let count = hour[kind as usize][index];
            if count > 0 {
                let (kind_name, operation) = (kind.name(), operation_name(operation));
                counts.push(KindCount {
                    pattern: format!("{kind_name}:{operation}"),
                    kind: kind_name,
                    operation,
                    count,
                    last_minute: minute[kind as usize][index],
                });
            }
        }
    }
    counts.sort_by_key(|one| Reverse(one.count));
    counts
}

/// Each kind that the hour has, in calls or attempts, by how often a minute.
fn rates(calls: &(Counts, Counts), attempts: &(Counts, Counts), minutes: (f64, f64)) -> Vec<KindRate> {
    let sum = |counts: &Counts, kind: ErrorKind| counts[kind as usize].iter().sum::<u64>();
    let mut kinds: Vec<_> =
        ErrorKind::ALL.into_iter().map(|kind| (kind, sum(&calls.1, kind) + sum(&attempts.1, kind))).collect();
    kinds.retain(|(_, count)| *count > 0);
    kinds.sort_by_key(|(_, count)| Reverse(*count));
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let a_minute = |count: u64, minutes: f64| count as f64 / minutes;
    let rate = |kind| KindRate {
        kind: ErrorKind::name(kind),
        calls_last_minute: a_minute(sum(&calls.0, kind), minutes.0),
        calls_last_hour: a_minute(sum(&calls.1, kind), minutes.1),
        attempts_last_minute: a_minute(sum(&attempts.0, kind), minutes.0),
        attempts_last_hour: a_minute(sum(&attempts.1, kind), minutes.1),
    };
    kinds.into_iter().map(|(kind, _)| rate(kind)).collect()
}

fn operation_name(operation: Option<Operation>) -> &'static str {
    operation.map_or("unknown", Operation::name)
}

#[cfg(test)]
mod tests;
