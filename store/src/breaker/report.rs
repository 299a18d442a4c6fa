//! A sidecar reports what it sees of a provider, and learns what all do.

use std::time::Duration;

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Evidence, Record, Report as Reported, Stamp};

use super::{Held, decode_record};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, SHORTEST, digits, millis},
};

/// Takes in one sidecar's report, in place of its last. Reports of another epoch than the record's are not taken in,
/// but answered.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// Of which provider.
    pub provider: &'a str,
    /// Who reports.
    pub sidecar: &'a str,
    /// What it has seen.
    pub report: Reported,
    /// How far its window looks back: a report not renewed for so long no longer counts.
    pub window: Duration,
}

/// What the store knows of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The breaker's record.
    pub record: Record,
    /// What all reports of its epoch amount to.
    pub evidence: Evidence,
    /// Until when the provider is left alone at its own request; zero: it is not.
    pub cool_until: Stamp,
}

/// Reports forgotten by one that comes, at most.
const SWEEP: usize = 16;
/// Runs of failures that are added up, at most; far more than any threshold.
const RUNS: usize = 64;

impl Operation for Report<'_> {
    type Reply = Seen;

    const SCRIPT: &'static str = scripts::REPORT;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        let of = |what| keys.provider(self.provider, what);
        ["breaker", "reports", "failures", "seen", "runs", "sums", "probes", "cool"].map(of).into()
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        let Reported { epoch, calls, failures, run, run_began, good_at } = self.report;
        let stamp = |stamp: Option<Stamp>| digits(stamp.map_or(0, Stamp::as_millis));
        vec![
            self.sidecar.into(),
            digits(epoch),
            millis(self.window),
            digits(calls),
            digits(failures),
            digits(run),
            stamp(run_began),
            stamp(good_at),
        ]
    }

    fn read(&self, reply: &mut Reply) -> Result<Seen, StoreError> {
        let record = decode_record(reply.number()?, &reply.bytes()?)?;
        let mut evidence = Evidence {
            calls: reply.number()?,
            failures: reply.number()?,
            most_failures: reply.number()?,
            run: reply.number()?,
            most_run: reply.number()?,
            probes_good: reply.number()?,
            probes_bad: reply.number()?,
            good_at: Stamp::default(),
        };
        let cool_until = Stamp::from_millis(reply.number()?);
        evidence.good_at = Stamp::from_millis(reply.number()?);
        Ok(Seen { record, evidence, cool_until })
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Seen {
        let held = memory.breaker(self.provider);
        let window = self.window.max(SHORTEST);
        if held.reports_of != held.record.epoch || now >= held.reports_until {
            held.reports.clear();
            (held.reports_of, held.good_at) = (held.record.epoch, Stamp::default());
        }
        if self.report.epoch == held.record.epoch {
            held.reports.remove(self.sidecar);
            if self.report.calls > 0 || self.report.run > 0 {
                held.reports.insert(self.sidecar.to_owned(), (self.report, now));
            }
            held.good_at = held.good_at.max(self.report.good_at.unwrap_or_default().min(now));
            held.reports_until = now + window + window;
        }
        held.sweep(window, now);
        let cool_until = if held.cool_until > now { held.cool_until } else { Stamp::default() };
        Seen { record: held.record.clone(), evidence: held.evidence(), cool_until }
    }
}

impl Held {
    /// Forgets some of the reports that are too old, the oldest first.
    fn sweep(&mut self, window: Duration, now: Stamp) {
        let old = |at: Stamp| at + window <= now;
        let mut gone: Vec<_> =
            self.reports.iter().filter(|(_, (_, at))| old(*at)).map(|(id, (_, at))| (*at, id.clone())).collect();
        gone.sort();
        for (_, id) in gone.into_iter().take(SWEEP) {
            self.reports.remove(&id);
        }
    }

    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence { good_at: self.good_at, ..Evidence::default() };
        let mut runs = Vec::new();
        for (id, (report, _)) in &self.reports {
            evidence.calls += u64::from(report.calls);
            evidence.failures += u64::from(report.failures);
            evidence.most_failures = evidence.most_failures.max(u64::from(report.failures));
            if let Some(began) = report.run_began.filter(|began| report.run > 0 && *began > self.good_at) {
                runs.push((began, id, u64::from(report.run)));
            }
        }
        runs.sort_unstable();
        for (_, _, run) in runs.into_iter().take(RUNS) {
            evidence.run += run;
            evidence.most_run = evidence.most_run.max(run);
        }
        if self.proofs_of == Some(self.record.epoch) {
            let count = |good| self.proofs.values().filter(|proof| **proof == good).count();
            let count = |good| u32::try_from(count(good)).unwrap_or(u32::MAX);
            (evidence.probes_good, evidence.probes_bad) = (count(true), count(false));
        }
        evidence
    }
}
