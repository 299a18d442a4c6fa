//! A call's leave to go to a provider, as the call holds it.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use fusebox_rules::{
    breaker::{News, Transition},
    come_back::left::AllLeft,
    error::{Blame, ErrorKind},
    fleet::{
        Leave,
        allowance::{Outcome, Taken},
    },
    usage::Usage,
};

use super::Gate;
use crate::clock;

/// Leave for one call to go to the provider. Dropped without a word it judges nothing: a probe's place is free again.
pub struct Pass {
    gate: Arc<Gate>,
    leave: Leave,
    /// Which of the provider's keys the call was sent with.
    keyed: u64,
    judged: bool,
    /// What it took of the provider's rate limits; `None`: there are none.
    taken: Option<Taken>,
    /// What to settle that by. As long as nobody says more, it used what it was thought to.
    outcome: Outcome,
}

impl Pass {
    pub(super) const fn new(gate: Arc<Gate>, leave: Leave, keyed: u64) -> Self {
        Self { gate, leave, keyed, judged: false, taken: None, outcome: Outcome::Sent { tokens: None } }
    }

    pub(super) const fn pays_with(&mut self, taken: Option<Taken>) {
        self.taken = taken;
    }

    /// Whether what the provider says of its rate limits is worth reading.
    pub fn is_limited(&self) -> bool {
        self.taken.is_some()
    }

    /// With the head of its answer the provider said what is left of its rate limits.
    pub fn heard(&self, said: &AllLeft) {
        self.gate.rates.correct(said, clock::now());
    }

    /// The call was never sent.
    pub const fn not_sent(&mut self) {
        self.outcome = Outcome::NotSent;
    }

    /// What the call used, where the provider has said so.
    pub fn used(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage.filter(|_| self.taken.is_some()) {
            self.outcome = Outcome::Sent { tokens: Some(usage.total()) };
            self.gate.rates.answered(usage);
        }
    }

    /// The first token came, this long after the call was sent. Says if that moved the breaker, as do the others.
    pub fn first_token(&mut self, took: Duration) -> Option<Transition> {
        self.gate.key_worked(self.keyed);
        self.gate.limiter.first_token(took);
        self.gate.record(&mut self.leave, News::FirstToken { took })
    }

    /// The answer is complete and good.
    pub fn succeeded(mut self) -> Option<Transition> {
        self.gate.key_worked(self.keyed);
        self.judge(News::Succeeded)
    }

    /// The answer is complete and came too slowly.
    pub fn slow(mut self) -> Option<Transition> {
        self.judge(News::Slow)
    }

    /// The call failed; the table says what that says of the provider.
    pub fn failed(mut self, kind: ErrorKind, wait: Option<Duration>) -> Option<Transition> {
        self.gate.limiter.failed(kind);
        match kind.row().blame {
            Blame::Breaker => return self.judge(News::Failed),
            Blame::CoolDown => self.gate.cool_down(wait),
            Blame::Key => self.gate.key_refused(self.keyed),
            Blame::None => {}
        }
        None
    }

    fn judge(&mut self, news: News) -> Option<Transition> {
        self.judged = true;
        self.gate.record(&mut self.leave, news)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.judged {
            let _ = self.gate.record(&mut self.leave, News::Unused);
        }
        if let Some(taken) = self.taken.take() {
            self.gate.rates.settle(taken, self.outcome, clock::now());
        }
        self.gate.in_flight.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("permit", &self.leave.permit).field("judged", &self.judged).finish_non_exhaustive()
    }
}
