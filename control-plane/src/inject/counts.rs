//! What is counted of the webhook: what became of each review, and how long that took.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use fusebox_base::prometheus::{
    Text,
    histogram::{self, Histogram, LONG},
};

use super::{
    decide::{Decision, Verdict},
    review::OnError,
};

/// What became of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The sidecar was put into a pod.
    Injected,
    /// There was nothing to be done.
    Skipped,
    /// A pod could not be injected, and was let in as it is.
    Failed,
    /// A pod could not be injected, and was not let in.
    Denied,
    /// What came was no review.
    Malformed,
    /// It took too long to be read, or too many came at once.
    TimedOut,
}

impl Outcome {
    const ALL: [Self; 6] = [Self::Injected, Self::Skipped, Self::Failed, Self::Denied, Self::Malformed, Self::TimedOut];

    /// What `decision` comes to.
    #[must_use]
    pub const fn of(decision: &Decision, on_error: OnError) -> Self {
        match (&decision.verdict, on_error) {
            (Verdict::Inject(_), _) => Self::Injected,
            (Verdict::Leave(_), _) => Self::Skipped,
            (Verdict::Unfit(_), OnError::Admit) => Self::Failed,
            (Verdict::Unfit(_), OnError::Deny) => Self::Denied,
        }
    }

    /// As a label's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Counters of one replica.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    took: Histogram<{ LONG.len() }>,
}

impl Counts {
    /// One more, which took so long.
    pub fn record(&self, outcome: Outcome, took: Duration) {
        let of = Outcome::ALL.into_iter().zip(&self.outcomes).find(|(one, _)| *one == outcome);
        if let Some((_, count)) = of {
            count.fetch_add(1, Relaxed);
        }
        self.took.record(&LONG, took);
    }

    /// Writes them as Prometheus reads them.
    pub fn write(&self, text: &mut Text) {
        let name = "fusebox_injections_total";
        text.family(name, "counter", "Reviews of pods by what became of them.");
        for (outcome, count) in Outcome::ALL.into_iter().zip(&self.outcomes) {
            text.sample(name, &[("result", outcome.name())], count.load(Relaxed));
        }
        let name = "fusebox_injection_duration_seconds";
        text.family(name, "histogram", "How long reviews of pods took, from their head to the answer.");
        histogram::write(text, name, &[], &LONG, std::iter::once(&self.took));
    }
}

#[cfg(test)]
mod tests {
    use fusebox_base::testing::page::Page;

    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_own_name() {
        let counts = Counts::default();
        for (times, outcome) in (1..).zip(Outcome::ALL) {
            (0..times).for_each(|_| counts.record(outcome, Duration::from_millis(2)));
        }
        let mut text = Text::default();
        counts.write(&mut text);
        let page = Page::read(&text.finish());
        let names = ["injected", "skipped", "failed", "denied", "malformed", "timed_out"];
        for (times, name) in (1_u8..).zip(names) {
            let series = format!("fusebox_injections_total{{result=\"{name}\"}}");
            assert_eq!(page.value(&series), Some(times.into()), "{name}");
        }
        assert_eq!(page.value("fusebox_injection_duration_seconds_count"), Some(21.0));
    }
}
