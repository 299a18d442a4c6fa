//! Callers' calls, their retries, and the sidecars' own probes.

use std::time::Duration;

use fusebox_rules::{
    breaker::{Asker, News},
    budget::Payment,
    error::ErrorKind,
    fleet::Leave,
    retry::{self, Facts, Policy, Verdict},
};

use super::{Call, Event, Flight, World};
use crate::{
    provider::Ending,
    sidecar::{PAUSE, Prober},
};

/// How long a call may take in all: the default of the configuration.
const TOTAL: Duration = Duration::from_secs(30);
/// How a provider is asked again: the defaults of the configuration.
const POLICY: Policy = Policy {
    max_retries: 3,
    base_delay: Duration::from_secs(1),
    backoff_factor: 2.0,
    max_delay: Duration::from_secs(60),
    jitter: true,
    max_elapsed: Duration::from_secs(60),
};
/// What a sick sidecar's own failures take.
const SICK: Duration = Duration::from_millis(2);

impl World {
    pub(super) fn call(&mut self, side: usize) {
        let next = self.dice.until_next(self.plan.calls * self.load);
        self.put(next, Event::Call(side));
        self.watch.calls.count(self.now);
        self.watch.calls_on_the_dead += u64::from(self.is_dead);
        self.sides[side].budget.deposit(self.now);
        self.attempt(Call { side, began: self.now, retries: 0 });
    }

    pub(super) fn attempt(&mut self, call: Call) {
        let (side, dice) = (call.side, self.dice.share());
        let own = &mut self.sides[side];
        let leave = own.gate.admit(Asker::Caller, &own.clock, self.now, dice);
        self.prober_hears(side);
        match leave {
            Some(leave) => {
                if call.retries > 0 {
                    self.watch.retries.count(self.now);
                }
                self.watch.on_the_dead += u64::from(self.is_dead && !self.sides[side].sick);
                self.fly(side, Some(call), leave);
            }
            None if call.retries == 0 => self.watch.refused.count(self.now),
            None => self.watch.given_up.count(self.now),
        }
    }

    fn fly(&mut self, side: usize, call: Option<Call>, leave: Leave) {
        let began = self.now;
        let Ending { at, failed } = if self.sides[side].sick {
            Ending { at: self.now + SICK, failed: Some(ErrorKind::NetworkError) }
        } else {
            self.watch.attempts.count(self.now);
            self.provider.ask(&mut self.dice, self.now)
        };
        self.agenda.put(at, Event::Over(Box::new(Flight { call, side, leave, began, failed })));
    }

    pub(super) fn over(&mut self, flight: Flight) {
        let Flight { call, side, leave, began, failed } = flight;
        // What was under way as the provider died is not answered any more.
        let failed = failed.or_else(|| self.is_dead.then_some(ErrorKind::NetworkError));
        let news = match failed {
            Some(kind) => News::of(kind),
            None if call.is_none() => News::FirstToken { took: self.now.since(began) },
            None => News::Succeeded,
        };
        if call.is_none() {
            self.watch.probe_comes(leave.is_leased());
        }
        let followed = self.sides[side].gate.over(leave, news, self.now);
        if followed.opened {
            self.watch.opened_alone.count(self.now);
        }
        if failed.is_some() {
            self.watch.failed.count(self.now);
        }
        self.note(side);
        self.prober_hears(side);
        if followed.urgent {
            self.ring(side);
        }
        match (call, failed) {
            (None, _) => self.put(PAUSE, Event::Rested(side)),
            (Some(_), None) => self.watch.answered.count(self.now),
            (Some(call), Some(kind)) => self.try_again(call, kind, self.now.since(began)),
        }
    }

    fn try_again(&mut self, call: Call, kind: ErrorKind, took: Duration) {
        let elapsed = self.now.since(call.began);
        let own = &mut self.sides[call.side];
        let facts = Facts {
            retries_here: call.retries,
            elapsed_here: elapsed,
            took,
            attempts_left: POLICY.max_retries + 1,
            may_retry: !own.gate.is_shut(self.now),
            dice: self.dice.share(),
            ..Facts::of(kind, TOTAL.saturating_sub(elapsed))
        };
        match retry::decide(&POLICY, &facts) {
            Verdict::RetryHere { wait, .. } if own.budget.withdraw(self.now) == Payment::Paid => {
                self.put(wait, Event::Retry(Box::new(Call { retries: call.retries + 1, ..call })));
            }
            Verdict::RetryHere { .. } | Verdict::FailOver | Verdict::GiveUp => self.watch.given_up.count(self.now),
        }
    }

    /// The prober looks again if its gate has moved.
    pub(super) fn prober_hears(&mut self, side: usize) {
        let own = &mut self.sides[side];
        if own.seen_moves != own.gate.moves && own.prober == Prober::Waiting {
            self.look_for_probe(side);
        }
    }

    pub(super) fn look_for_probe(&mut self, side: usize) {
        let now = self.now;
        let own = &mut self.sides[side];
        if own.prober != Prober::Waiting {
            return;
        }
        let (wants, due) = own.gate.wants_probe(now);
        own.seen_moves = own.gate.moves;
        own.prober_turn += 1;
        if wants {
            self.probe(side);
        } else if let Some(due) = due {
            self.agenda.put(due, Event::Prober(side, self.sides[side].prober_turn));
        }
        self.note(side);
    }

    fn probe(&mut self, side: usize) {
        let dice = self.dice.share();
        let own = &mut self.sides[side];
        own.prober = Prober::Busy;
        match own.gate.admit(Asker::Prober, &own.clock, self.now, dice) {
            Some(leave) => {
                self.watch.probe_goes(leave.is_leased(), self.now);
                self.fly(side, None, leave);
            }
            None => self.put(PAUSE, Event::Rested(side)),
        }
    }

    pub(super) fn rested(&mut self, side: usize) {
        self.sides[side].prober = Prober::Waiting;
        self.look_for_probe(side);
    }
}
