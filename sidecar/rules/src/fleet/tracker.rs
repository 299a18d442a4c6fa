//! What one sidecar has seen of a provider in the shared breaker's present epoch, to be reported.

use super::{Report, SharedClock};
use crate::{
    breaker::Meaning,
    moment::Moment,
    window::{Judgement, Window},
};

/// The calls that began in one epoch, judged as the local breaker judges them. Those of another are not heard: what
/// was begun before the breaker moved neither opens nor closes what it is now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tracker {
    epoch: u64,
    window: Window,
    unstarted: u32,
    unfinished: u32,
    run_began: Option<Moment>,
    /// As a started answer proves nothing to a provider whose answers break, only calls that leave no run behind.
    good_at: Option<Moment>,
}

impl Tracker {
    /// One that has seen nothing of `epoch`, and whose window looks back over `window`.
    #[must_use]
    pub fn new(epoch: u64, window: std::time::Duration) -> Self {
        Self { epoch, window: Window::new(window), unstarted: 0, unfinished: 0, run_began: None, good_at: None }
    }

    /// Takes in what was understood of a call that began at `began`, in `epoch`. Says whether that is bad news.
    pub fn judge(&mut self, epoch: u64, began: Moment, meaning: Meaning, now: Moment) -> bool {
        if epoch != self.epoch {
            return false;
        }
        match meaning {
            Meaning::Nothing => return false,
            Meaning::Started => {
                self.window.judge(began, Judgement::Good, now);
                self.unstarted = 0;
                if self.unfinished == 0 {
                    self.good_at = Some(now);
                }
            }
            Meaning::Answered => {
                self.window.judge(began, Judgement::Good, now);
                self.good_at = Some(now);
                (self.unstarted, self.unfinished) = (0, 0);
            }
            Meaning::Finished => self.unfinished = 0,
            Meaning::NotStarted => {
                self.window.judge(began, Judgement::Bad, now);
                self.unstarted = self.unstarted.saturating_add(1);
            }
            Meaning::Broke => {
                self.window.rejudge(began, now);
                self.unfinished = self.unfinished.saturating_add(1);
            }
        }
        let bad = matches!(meaning, Meaning::NotStarted | Meaning::Broke);
        if self.run() == 0 {
            self.run_began = None;
        } else if bad {
            self.run_began.get_or_insert(now);
        }
        bad
    }

    /// A call was judged good somewhere at `good`: a run that began before it is none any more. The sidecar's failures
    /// since then, of which it heard too late to tell them apart, are forgotten with it; those to come count.
    pub fn hear_of_good(&mut self, good: Moment) {
        if self.run_began.is_some_and(|began| began <= good) {
            (self.unstarted, self.unfinished, self.run_began) = (0, 0, None);
        }
    }

    /// What there is to report, in the store's time.
    #[must_use]
    pub fn report(&self, clock: &SharedClock, now: Moment) -> Report {
        let totals = self.window.totals(now);
        Report {
            epoch: self.epoch,
            calls: totals.calls,
            failures: totals.failures,
            run: self.run(),
            run_began: self.run_began.map(|began| clock.stamp(began)),
            good_at: self.good_at.map(|good| clock.stamp(good)),
        }
    }

    const fn run(&self) -> u32 {
        self.unstarted.saturating_add(self.unfinished)
    }
}

#[cfg(test)]
mod tests;
