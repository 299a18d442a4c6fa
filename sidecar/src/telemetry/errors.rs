//! What went wrong lately: a bounded history of failures and their counts over the last hour.
//!
//! It is touched only when something fails, under a lock held for a few instructions. It keeps no
//! message and no provider's words: those are the log's.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;
use parking_lot::Mutex;
use serde::Serialize;

use crate::{chat::request::Operation, error::ErrorKind};

/// Failures kept one by one.
const HISTORY: usize = 1_000;
/// Minutes counted.
const MINUTES: usize = 60;
const KINDS: usize = ErrorKind::ALL.len();
/// No operation known, and the four.
const OPERATIONS: [Option<Operation>; 5] =
    [None, Some(Operation::Chat), Some(Operation::Completion), Some(Operation::Embed), Some(Operation::Image)];

/// One failure.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// How.
    pub(super) kind: ErrorKind,
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

/// What went wrong lately, in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorSummary {
    /// Calls that failed in the last hour, by kind, the commonest first.
    pub calls: Vec<KindCount>,
    /// Attempts that failed in the last hour, by kind, the commonest first.
    pub attempts: Vec<KindCount>,
    /// The last failures, the latest first.
    pub recent: Vec<Recent>,
}

/// How often one kind was met in one operation, in the last hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// The kind.
    pub kind: &'static str,
    /// The operation, or `unknown`.
    pub operation: &'static str,
    /// How often.
    pub count: u64,
}

/// One failure of late.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recent {
    /// The kind.
    pub kind: &'static str,
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

#[derive(Debug)]
struct Inner {
    recent: VecDeque<Failed>,
    calls: Hour,
    attempts: Hour,
}

/// A wheel of minutes.
#[derive(Debug)]
struct Hour(Box<[Minute]>);

#[derive(Debug, Clone)]
struct Minute {
    /// Which minute since the clock's origin.
    number: u64,
    counts: [[u64; OPERATIONS.len()]; KINDS],
}

impl Errors {
    /// Nothing has gone wrong yet.
    pub(super) fn new() -> Self {
        let inner = Inner { recent: VecDeque::with_capacity(HISTORY), calls: Hour::new(), attempts: Hour::new() };
        Self(Mutex::new(inner))
    }

    /// Remembers a failure. A caller that hung up is counted, and takes no place from a failure in the history.
    pub(super) fn record(&self, failed: Failed) {
        let mut inner = self.0.lock();
        let hour = if failed.attempt.is_some() { &mut inner.attempts } else { &mut inner.calls };
        hour.add(failed.kind, failed.operation, failed.at);
        if failed.kind == ErrorKind::Cancelled {
            return;
        }
        let forgotten = if inner.recent.len() == HISTORY { inner.recent.pop_front() } else { None };
        inner.recent.push_back(failed);
        drop(inner);
        // Freed only now, so that nobody waits for the allocator.
        drop(forgotten);
    }

    /// The counts, and at most `limit` failures one by one.
    pub(super) fn summary(&self, now: Moment, limit: usize) -> ErrorSummary {
        let (calls, attempts, latest): (_, _, Vec<Failed>) = {
            let inner = self.0.lock();
            (
                inner.calls.counts(now),
                inner.attempts.counts(now),
                inner.recent.iter().rev().take(limit).cloned().collect(),
            )
        };
        let recent = latest.into_iter().map(|failed| Recent {
            kind: failed.kind.name(),
            operation: operation_name(failed.operation),
            provider: failed.provider,
            correlation_id: failed.correlation_id,
            attempt: failed.attempt,
            seconds_ago: now.since(failed.at).as_secs_f64(),
        });
        ErrorSummary { calls, attempts, recent: recent.collect() }
    }
}

impl Hour {
    fn new() -> Self {
        Self(vec![Minute { number: 0, counts: [[0; OPERATIONS.len()]; KINDS] }; MINUTES].into())
    }

    fn add(&mut self, kind: ErrorKind, operation: Option<Operation>, at: Moment) {
        let number = minute(at);
        let place = usize::try_from(number % MINUTES as u64).unwrap_or(0);
        let minute = &mut self.0[place];
        if minute.number < number {
            *minute = Minute { number, counts: [[0; OPERATIONS.len()]; KINDS] };
        }
        let operation = OPERATIONS.iter().position(|one| *one == operation).unwrap_or(0);
        minute.counts[kind as usize][operation] += 1;
    }

    fn counts(&self, now: Moment) -> Vec<KindCount> {
        let oldest = (minute(now) + 1).saturating_sub(MINUTES as u64);
        let mut counts = Vec::new();
        for kind in ErrorKind::ALL {
            for (index, operation) in OPERATIONS.into_iter().enumerate() {
                let minutes = self.0.iter().filter(|minute| minute.number >= oldest);
                let count = minutes.map(|minute| minute.counts[kind as usize][index]).sum();
                if count > 0 {
                    counts.push(KindCount { kind: kind.name(), operation: operation_name(operation), count });
                }
            }
        }
        counts.sort_by_key(|one| std::cmp::Reverse(one.count));
        counts
    }
}

fn minute(at: Moment) -> u64 {
    at.since(Moment::ZERO).as_secs() / Duration::from_mins(1).as_secs()
}

fn operation_name(operation: Option<Operation>) -> &'static str {
    operation.map_or("unknown", Operation::name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(kind: ErrorKind, seconds: u64) -> Failed {
        Failed {
            kind,
            operation: Some(Operation::Chat),
            provider: None,
            correlation_id: "c".into(),
            attempt: None,
            at: Moment::ZERO + Duration::from_secs(seconds),
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn the_history_keeps_the_last_thousand() {
        let errors = Errors::new();
        for second in 0..1_500 {
            errors.record(failed(ErrorKind::RateLimited, second));
        }
        let summary = errors.summary(at(1_500), usize::MAX);
        assert_eq!(summary.recent.len(), HISTORY);
        assert_eq!((summary.recent[0].seconds_ago, summary.recent[HISTORY - 1].seconds_ago), (1.0, 1_000.0));
        assert_eq!(errors.summary(at(1_500), 3).recent.len(), 3);
    }

    #[test]
    fn what_is_an_hour_old_is_not_counted() {
        let errors = Errors::new();
        for minute in 0..90 {
            errors.record(failed(ErrorKind::NetworkError, minute * 60));
            errors.record(failed(ErrorKind::NetworkError, minute * 60 + 59));
        }
        let count = |now| errors.summary(at(now), 0).calls.first().map_or(0, |one| one.count);
        assert_eq!(count(89 * 60 + 59), 120);
        assert_eq!(count(90 * 60), 118);
        assert_eq!(count(400 * 60), 0);
    }

    #[test]
    fn calls_and_attempts_are_counted_apart_and_the_commonest_comes_first() {
        let errors = Errors::new();
        errors.record(failed(ErrorKind::Shed, 1));
        errors.record(Failed { attempt: Some(1), operation: None, ..failed(ErrorKind::RateLimited, 1) });
        for _ in 0..2 {
            errors.record(Failed { attempt: Some(2), ..failed(ErrorKind::StreamBroken, 1) });
        }
        let summary = errors.summary(at(2), 10);
        let count = |kind, operation, count| KindCount { kind, operation, count };
        assert_eq!(summary.calls, [count("shed", "chat", 1)]);
        assert_eq!(summary.attempts, [count("stream_broken", "chat", 2), count("rate_limited", "unknown", 1)]);
    }

    #[test]
    fn callers_that_hang_up_push_no_failure_out_of_the_history() {
        let errors = Errors::new();
        errors.record(failed(ErrorKind::ProviderError, 0));
        for _ in 0..2 * HISTORY {
            errors.record(failed(ErrorKind::Cancelled, 1));
        }
        let summary = errors.summary(at(2), 10);
        assert_eq!(summary.recent.len(), 1);
        assert_eq!(summary.calls[0].count, 2_000);
    }
}
