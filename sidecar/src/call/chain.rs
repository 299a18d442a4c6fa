//! The chain: providers by rank, attempts by the error table, within one deadline.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    breaker::Asker,
    deadline,
    moment::Moment,
    retry::{self, Change, Facts, Verdict, WaitReason},
};

use super::{
    Call,
    attempt::{self, Answer, Changes, Question},
    failures::Failures,
    outcome::Attempt,
    plan::{Plan, Route, Seat},
};
use crate::{
    clock,
    config::{ContentFilter, ContextOverflow},
    error::{ErrorKind, Failure},
    gate::Refusal,
    telemetry::CallTrace,
};

/// Attempts in one call, whatever is configured.
const MAX_ATTEMPTS: u32 = 64;

/// One call's way along its route.
pub(super) struct Chain<'a> {
    pub(super) call: &'a Call,
    pub(super) plan: &'a Plan,
    pub(super) route: &'a Route,
    pub(super) worker: usize,
    pub(super) deadline: Moment,
    pub(super) trace: CallTrace,
    pub(super) attempts: Vec<Attempt>,
    /// For people: what was left out of the question that was answered, or asked less for.
    pub(super) warnings: Vec<String>,
    attempts_left: u32,
}

/// An answer, and who gave it.
pub(super) struct Found<'a> {
    pub(super) answer: Answer,
    pub(super) seat: &'a Seat,
    /// Whether it was the first by rank.
    pub(super) first: bool,
}

/// How asking one provider ended.
enum Asked {
    Answered(Answer),
    FailOver(Failure),
    GiveUp(Failure),
}

/// What is known before an attempt: why it was waited for, and what has come to be different.
#[derive(Default)]
struct Next {
    waited: Duration,
    wait_reason: Option<WaitReason>,
    changes: Changes,
}

impl<'a> Chain<'a> {
    pub(super) fn new(call: &'a Call, plan: &'a Plan, route: &'a Route, worker: usize, trace: CallTrace) -> Self {
        let patience = deadline::for_call(call.timeout, route.patience(call.request.stream));
        let allowed = call.options.max_attempts.unwrap_or(MAX_ATTEMPTS).clamp(1, MAX_ATTEMPTS);
        // The caller's SDK has made some of the attempts already.
        let attempts_left = allowed.saturating_sub(call.options.retries_before).max(1);
        let deadline = call.arrived + patience;
        Self {
            call,
            plan,
            route,
            worker,
            deadline,
            trace,
            attempts: Vec::with_capacity(1),
            warnings: Vec::new(),
            attempts_left,
        }
    }

    /// Asks providers in turn until one answers.
    ///
    /// # Errors
    /// What all of them together came to.
    pub(super) async fn run(&mut self) -> Result<Found<'a>, Failure> {
        let order = self.route.order(self.call.request.operation);
        let mut failures = Failures::default();
        for (position, seat) in order.iter().copied().enumerate() {
            if failures.rules_out(seat) {
                continue;
            }
            let rest = &order[position + 1..];
            match self.ask(seat, rest).await {
                Asked::Answered(answer) => return Ok(Found { answer, seat, first: position == 0 }),
                Asked::FailOver(failure) => {
                    if let Some(next) = rest.first() {
                        self.trace.fallback(seat.upstream.index, next.upstream.index, failure.kind);
                    }
                    failures.add(seat, failure);
                }
                Asked::GiveUp(failure) => {
                    failures.add(seat, failure);
                    break;
                }
            }
        }
        Err(failures.into_one(self.call.request.operation))
    }

    /// Asks one provider, again where the table and the policy allow it.
    async fn ask(&mut self, seat: &'a Seat, rest: &[&Seat]) -> Asked {
        let policy = &seat.upstream.settings.retry;
        let began = clock::now();
        let mut asked = 0u32;
        let mut next = Next::default();
        seat.upstream.gate.deposit();
        loop {
            let others = able(rest);
            let begun = clock::now();
            let failure = match seat.upstream.gate.admit(Asker::Caller) {
                Err(refusal) => refused(seat, refusal),
                Ok(pass) => {
                    asked += 1;
                    self.attempts_left -= 1;
                    match self.attempt(seat, pass, &next, others).await {
                        Ok(answer) => return Asked::Answered(answer),
                        Err(failure) => failure,
                    }
                }
            };
            let now = clock::now();
            let facts = Facts {
                kind: failure.kind,
                retries_here: asked.saturating_sub(1).saturating_add(self.call.options.retries_before),
                elapsed_here: now.since(began),
                remaining: self.deadline.since(now),
                attempts_left: self.attempts_left,
                others: able(rest),
                larger_window: self.larger_window(seat, rest),
                reroute_refusals: self.plan.config.content_filter == ContentFilter::Failover,
                asked_wait: failure.wait,
                may_retry: true,
                took: now.since(begun),
                halved: next.changes.halved,
                dice: fastrand::f64(),
            };
            match retry::decide(policy, &facts) {
                Verdict::RetryHere { wait, wait_reason, change } => {
                    // A provider that is failing everyone is not to be asked more often for it.
                    if !failure.unasked && !seat.upstream.gate.withdraw() {
                        return if facts.others > 0 { Asked::FailOver(failure) } else { Asked::GiveUp(failure) };
                    }
                    if change == Change::HalfTheTokens {
                        self.warnings.push(format!(
                            "{} ran out of memory and was asked for half the tokens",
                            seat.upstream.settings.name
                        ));
                    }
                    self.trace.retry(seat.upstream.index, failure.kind, wait, wait_reason);
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                    }
                    next.changes.add(change);
                    (next.waited, next.wait_reason) = (wait, Some(wait_reason));
                }
                Verdict::FailOver => return Asked::FailOver(failure),
                Verdict::GiveUp => return Asked::GiveUp(failure),
            }
        }
    }

    async fn attempt(
        &mut self,
        seat: &Seat,
        mut pass: crate::gate::Pass,
        next: &Next,
        others: u32,
    ) -> Result<Answer, Failure> {
        let started = clock::now();
        let remaining = self.deadline.since(started);
        let number = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let mut trace = self.trace.attempt(seat.upstream.index, seat.model.as_deref(), number);
        let question =
            Question::new(self.call, seat, &next.changes, |limit| deadline::allowance(remaining, limit, others));
        let result = attempt::make(&question, seat.upstream.client(self.worker), &trace.headers(self.call)).await;
        let took = clock::now().since(started);
        self.attempts.push(Attempt {
            provider: Arc::clone(&seat.upstream.settings.name),
            started_after: started.since(self.call.arrived),
            took,
            error: result.as_ref().err().map(|failure| failure.kind),
            waited: next.waited,
            wait_reason: next.wait_reason.unwrap_or(WaitReason::None),
        });
        let result = result.map(|(got, warnings)| {
            self.warnings.extend(warnings);
            got
        });
        match result {
            Ok(attempt::Got::Whole(whole)) => {
                pass.succeeded();
                trace.ended(Ok(&attempt::facts(&whole)));
                Ok(Answer::Whole(whole))
            }
            Ok(attempt::Got::Begun(begun)) => {
                pass.first_token(took);
                trace.first_token();
                Ok(Answer::Begun { begun, started, pass, trace })
            }
            Err(failure) => {
                let failure = failure.by(&seat.upstream.settings.name);
                pass.failed(failure.kind, failure.wait);
                trace.ended(Err(&failure));
                Err(failure)
            }
        }
    }

    fn larger_window(&self, seat: &Seat, rest: &[&Seat]) -> bool {
        self.plan.config.context_overflow != ContextOverflow::Error
            && rest.iter().any(|other| other.may_hold_more_than(seat) && other.upstream.gate.would_admit())
    }
}

/// How many of `seats` would take the call now.
fn able(seats: &[&Seat]) -> u32 {
    let able = seats.iter().filter(|seat| seat.upstream.gate.would_admit()).count();
    u32::try_from(able).unwrap_or(u32::MAX)
}

/// A provider that was not asked.
fn refused(seat: &Seat, refusal: Refusal) -> Failure {
    let message = match refusal.kind {
        ErrorKind::RateLimited => "the provider asked to be left alone for a while",
        ErrorKind::Authentication => "the provider refused its key",
        _ => "the provider is failing and is being left alone until it has recovered",
    };
    Failure::new(refusal.kind, message).by(&seat.upstream.settings.name).wait(refusal.retry_after).unasked()
}
