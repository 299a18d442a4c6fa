//! What must always hold, counted over a soak.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use fusebox_tests::client::Metrics;
use parking_lot::Mutex;

use super::load::{Ask, JSON_ANSWER, Kind, SORRY, WORDS};

/// What a call may be late by on a machine that is busy with both its ends, beyond what that stood still; what is later
/// is a fault, and how many are later than the design's 5 ms is told.
const MARGIN: Duration = Duration::from_millis(500);
const DESIGNED: Duration = Duration::from_millis(5);
/// Attempts that any call may make: three providers twice each, asked anew for good JSON and after breaks, and hedged;
/// for each of the four parts of the largest batch.
const MOST_ATTEMPTS: usize = 64;
/// Bytes by which memory may differ between the second tenth of a run and its last.
const FLAT: u64 = 24 << 20;

/// How one call ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Finish reasons told.
    pub(crate) finishes: usize,
    /// Ends told: `[DONE]`, or the end of a document.
    pub(crate) done: usize,
    pub(crate) tools: bool,
    /// The error's kind; empty: there was none.
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) attempts: usize,
    pub(crate) hung_up: bool,
    /// Whether the connection broke.
    pub(crate) broken: bool,
    pub(crate) lengths: Vec<f64>,
    pub(crate) took: Duration,
    /// For how much of that the machine stood still.
    pub(crate) stood_still: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    hung_up: usize,
    late: usize,
    /// Of those, how many while the machine stood still.
    excused: usize,
    kinds: BTreeMap<String, usize>,
    sources: BTreeMap<String, usize>,
    faults: BTreeMap<&'static str, usize>,
    examples: Vec<String>,
}

/// The counts so far.
#[derive(Debug, Default)]
pub(crate) struct Verdict(Mutex<Counts>);

impl Counts {
    fn hold(&mut self, what: &'static str, holds: bool, example: impl FnOnce() -> String) {
        if !holds {
            *self.faults.entry(what).or_default() += 1;
            if self.examples.len() < 20 {
                self.examples.push(format!("{what}: {}", example()));
            }
        }
    }
}

impl Verdict {
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().calls
    }

    pub(crate) fn judge(&self, ask: &Ask, ended: &Ended) {
        let mut counts = self.0.lock();
        let patience = Duration::from_millis(ask.patience);
        let shown = || format!("{:?} stream={} {:?} {ended:?}", ask.kind, ask.stream, ask.headers);
        counts.calls += 1;
        counts.hung_up += usize::from(ended.hung_up);
        let late = ended.took > patience + DESIGNED;
        counts.late += usize::from(late);
        counts.excused += usize::from(late && !ended.stood_still.is_zero());
        let kind = if ended.kind.is_empty() { "ok" } else { &ended.kind };
        *counts.kinds.entry(kind.to_owned()).or_default() += 1;
        *counts.sources.entry(ended.source.clone()).or_default() += 1;
        counts.hold("1 in time", ended.took < patience + ended.stood_still + MARGIN, shown);
        counts.hold("2 attempts within the policy", ended.attempts <= MOST_ATTEMPTS, shown);
        counts.hold("no failure of ours", ended.kind != "internal_error", shown);
        if ended.hung_up {
            return;
        }
        counts.hold("1 one end", ended.done + usize::from(!ended.kind.is_empty()) >= 1 && !ended.broken, shown);
        if ended.kind.is_empty() {
            counts.hold("4 good answers are good", good(ask, ended), shown);
        } else if ask.stream {
            counts.hold("1 no end after an error", ended.done == 0 || ended.status != 200, shown);
            let begun = WORDS.concat().starts_with(&ended.text) || JSON_ANSWER.concat().starts_with(&ended.text);
            counts.hold("every token once and in order", begun, shown);
        }
        if ask.kind == Kind::Invalid {
            counts.hold("4 invalid input is refused", ended.kind == "invalid_input", shown);
        }
    }

    pub(crate) fn saw_invalid(&self, invalid: bool) {
        self.0.lock().hold("4 no invalid request reaches a provider", !invalid, String::new);
    }

    pub(crate) fn saw_switched_off(&self, calls: usize) {
        self.0.lock().hold("3 a provider that is off is not asked", calls == 0, || calls.to_string());
    }

    /// What can only be told once all is quiet.
    pub(crate) fn judge_the_end(&self, metrics: &Metrics, asked: usize, resident: &[u64]) {
        let mut counts = self.0.lock();
        let counted = metrics.sum("fusebox_calls_total", &[]);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
        let calls = counts.calls as f64;
        // Calls refused at the door are counted too; each call of ours is one.
        counts.hold("1 each call counted once", counted == calls, || format!("{counted} counted, {calls} made"));
        let attempts = metrics.sum("fusebox_attempts_total", &[]);
        #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
        let reached = asked as f64;
        counts.hold("2 nothing asked beyond the attempts", reached <= attempts, || format!("{reached} of {attempts}"));
        if let Some(grown) = growth(resident) {
            counts.hold("6 memory is flat", grown < FLAT, || format!("{} MiB more", grown >> 20));
        }
    }

    pub(crate) fn broken(&self) -> bool {
        !self.0.lock().faults.is_empty()
    }

    pub(crate) fn report(&self, took: Duration, resident: &[u64]) -> String {
        let counts = self.0.lock();
        let mut text = String::new();
        let minutes = took.as_secs_f64() / 60.0;
        let _ = writeln!(
            text,
            "{} calls in {minutes:.1} minutes, {} given up by their callers",
            counts.calls, counts.hung_up
        );
        let Counts { late, excused, .. } = *counts;
        let _ = writeln!(
            text,
            "{late} ended more than 5 ms after their deadline, {excused} of them as the machine stood still"
        );
        let _ = writeln!(text, "ends: {:?}\nsources: {:?}", counts.kinds, counts.sources);
        let mib: Vec<u64> =
            resident.iter().step_by(resident.len().div_ceil(24).max(1)).map(|bytes| bytes >> 20).collect();
        let _ = writeln!(text, "MiB resident: {mib:?}");
        if counts.faults.is_empty() {
            text.push_str("all that must hold did\n");
        }
        for (what, times) in &counts.faults {
            let _ = writeln!(text, "BROKEN {what}: {times} times");
        }
        for example in &counts.examples {
            let _ = writeln!(text, "  {example}");
        }
        text
    }
}

/// Whether an answer that is told as good is what was asked for.
fn good(ask: &Ask, ended: &Ended) -> bool {
    if ended.source == "static" {
        return ended.text == SORRY;
    }
    let (words, json) = (WORDS.concat(), JSON_ANSWER.concat());
    let once = ended.finishes == 1 && ended.done == 1;
    match ask.kind {
        Kind::Words => once && (ended.text == words || ended.text == json),
        Kind::Json => once && ended.text == json,
        Kind::Embeddings(count) => {
            ended.lengths.len() == count
                && ended.lengths.iter().zip(1..).all(|(length, place)| *length == f64::from(place))
        }
        Kind::Image => ended.status == 200,
        Kind::Invalid => false,
    }
}

/// How much more memory the last tenth of a run took than its second tenth, by their medians.
fn growth(resident: &[u64]) -> Option<u64> {
    let tenth = resident.len() / 10;
    if tenth == 0 {
        return None;
    }
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let before = median(&resident[tenth..2 * tenth]);
    Some(median(&resident[resident.len() - tenth..]).saturating_sub(before))
}
