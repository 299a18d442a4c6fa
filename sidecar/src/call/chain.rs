//! The chain: providers by rank, attempts by the error table, within one deadline.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    breaker::{self, Transition},
    error::FailOver,
    fleet::bucket::Unit,
    retry::{self, Change, Facts, Verdict, WaitReason},
};

use super::{
    attempt::{self, Answer, Asker, Begun, Got},
    changes::Changes,
    failures::Failures,
    outcome::Attempt,
    plan::Seat,
    spent::{Cost, Lost},
    way::Way,
};
use crate::{
    clock,
    config::{ContentFilter, ContextOverflow},
    error::{ErrorKind, Failure},
    gate::{Pass, Refusal},
    telemetry::{self, Otherwise, WaitFor},
};

/// An answer, and who gave it.
pub(super) struct Found {
    pub(super) answer: Answer,
    /// Which of the route's seats.
    pub(super) seat: usize,
    /// Whether it was the first by rank.
    pub(super) first: bool,
}

/// How asking one provider ended.
pub(super) enum Asked {
    Answered(Answer),
    /// By the one that was asked beside it, at this place in the route.
    AnsweredBy(usize, Answer),
    FailOver(Failure),
    GiveUp(Failure),
}

/// What is known before an attempt: why it was waited for, and what has come to be different.
#[derive(Default)]
pub(super) struct Next {
    waited: Duration,
    wait_reason: Option<WaitReason>,
    pub(super) changes: Changes,
}

impl Way {
    /// Asks providers in turn until one answers.
    ///
    /// # Errors
    /// What all of them together came to.
    pub(super) async fn chain(&mut self) -> Result<Found, Failure> {
        let route = Arc::clone(&self.route);
        let mut ranked = self.place.first(route.order(self.call.request.operation));
        ranked.retain(|(_, seat)| seat.takes_as_many(&self.call.request));
        let primary = ranked.first().map(|(place, _)| *place);
        let order = self.weighed(ranked).await;
        self.measure_for_limits(&order).await;
        let mut failures = Failures::default();
        let mut before: Option<(usize, ErrorKind)> = None;
        for (position, (place, seat)) in order.iter().copied().enumerate() {
            if failures.rules_out(seat) {
                continue;
            }
            let index = seat.upstream.index;
            if let Some(failure) = self.too_long(place) {
                before = Some((index, failure.kind));
                failures.add(seat, failure);
                if self.stays_too_long() {
                    break;
                }
                continue;
            }
            if let Some((from, kind)) = before {
                self.trace.fallback(from, index, kind);
            }
            let may = |(place, seat): &&(usize, &Seat)| !failures.rules_out(seat) && !self.is_too_long(*place);
            let rest: Vec<_> = order[position + 1..].iter().filter(may).map(|(_, seat)| *seat).collect();
            let failure = match self.ask(seat, &rest).await {
                Asked::Answered(answer) => {
                    return Ok(Found { answer, seat: place, first: Some(place) == primary });
                }
                Asked::AnsweredBy(seat, answer) => return Ok(Found { answer, seat, first: false }),
                Asked::FailOver(failure) => failure,
                // Nobody else would take the call at once; somebody may after a wait.
                Asked::GiveUp(failure) if self.may_go_on(failure.kind) => failure,
                Asked::GiveUp(failure) => {
                    failures.add(seat, failure);
                    break;
                }
            };
            before = Some((index, failure.kind));
            failures.add(seat, failure);
        }
        self.note_too_long(&failures);
        Err(failures.into_one(&route, self.call.request.operation))
    }

    fn may_go_on(&self, kind: ErrorKind) -> bool {
        let elsewhere = matches!(kind.row().fail_over, FailOver::Yes | FailOver::First);
        elsewhere && self.attempts_left > 0 && self.deadline > clock::now()
    }

    /// Asks one provider, again where the table and the policy allow it.
    async fn ask(&mut self, seat: &Seat, rest: &[&Seat]) -> Asked {
        let gate = &seat.upstream.gate;
        let began = clock::now();
        let mut begun = began;
        let mut asked = 0u32;
        let mut next = Next::default();
        let mut held_back = false;
        gate.deposit(began);
        loop {
            if begun >= self.deadline {
                return Asked::GiveUp(too_late());
            }
            let mut failure = match gate.admit(breaker::Asker::Caller, || self.tokens_at(seat)) {
                Err(refusal) => {
                    if let Some(unit) = refusal.limit.filter(|_| !std::mem::replace(&mut held_back, true)) {
                        self.trace.held_back(seat.upstream.index, unit);
                    }
                    refused(seat, refusal)
                }
                Ok(pass) => match self.hedged(seat, rest, pass, &mut next).await {
                    Ok(answered) => return answered,
                    Err(failure) => failure,
                },
            };
            if !failure.unasked {
                asked += 1;
                self.attempts_left -= 1;
            }
            let now = clock::now();
            let rewritten = self.rewritten(failure.kind, &next.changes);
            let facts = Facts {
                kind: failure.kind,
                retries_here: asked.saturating_sub(1).saturating_add(self.call.options.retries_before),
                elapsed_here: now.since(began),
                remaining: self.deadline.since(now),
                attempts_left: self.attempts_left,
                others: able(rest),
                larger_window: self.larger_window(seat, rest),
                reroute_refusals: self.plan().config.content_filter == ContentFilter::Failover,
                may_rewrite: rewritten.is_some(),
                reprompts_left: self.reprompts_left,
                asked_wait: failure.wait,
                // A wait that the provider named ends with its cool-down; no other refusal is worth waiting for.
                may_retry: !failure.final_here && (failure.kind == ErrorKind::RateLimited || gate.would_admit()),
                took: now.since(begun),
                halved: next.changes.less
                    || (failure.kind == ErrorKind::OutOfMemory && !self.call.request.may_ask_for_less()),
                dice: fastrand::f64(),
            };
            match retry::decide(&seat.upstream.settings.retry, &facts) {
                Verdict::RetryHere { wait, wait_reason, change } => {
                    if !failure.unasked {
                        // A provider that is failing everyone is not to be asked more often for it.
                        if !gate.withdraw() {
                            self.trace.unpaid(seat.upstream.index);
                            return match retry::unpaid(&facts) {
                                Verdict::FailOver => Asked::FailOver(failure),
                                _ => Asked::GiveUp(failure),
                            };
                        }
                        self.trace.otherwise(Otherwise::Retry(change));
                        self.trace.retry(seat.upstream.index, failure.kind, wait, wait_reason);
                    }
                    if !wait.is_zero() {
                        tokio::time::sleep(wait).await;
                    }
                    if failure.unasked {
                        self.trace.waited_for(WaitFor::CoolDown, Some(seat.upstream.index), wait);
                    }
                    begun = clock::now();
                    self.reprompts_left -= u32::from(change == Change::SayWhatWasWrong);
                    next.changes.add(change, &mut failure, rewritten);
                    next.waited += wait;
                    next.wait_reason = Some(wait_reason);
                }
                Verdict::FailOver => return Asked::FailOver(failure),
                Verdict::GiveUp => return Asked::GiveUp(failure),
            }
        }
    }

    /// Asks once, and tells the provider's gate what that says of it.
    pub(super) async fn attempt(
        &mut self,
        seat: &Seat,
        pass: Pass,
        next: &mut Next,
        others: u32,
    ) -> Result<Answer, Failure> {
        self.place.move_to(&seat.upstream.gate);
        let mut asking = self.asking().of(seat, pass, &next.changes, others);
        let result = asking.make().await;
        let asked = asking.asked();
        self.conclude(seat, asked, next, result)
    }

    /// What an attempt needs of the way, for as long as it is made.
    pub(super) fn asking(&mut self) -> Asker<'_> {
        Asker {
            holdback: self.holdback(),
            checker: self.checker.as_ref(),
            number: u32::try_from(self.outcome.attempts.len()).unwrap_or(u32::MAX).saturating_add(1),
            deadline: self.deadline,
            worker: self.worker,
            call: &self.call,
            trace: &mut self.trace,
        }
    }

    /// Notes how an attempt ended, and tells the provider's gate what that says of it.
    pub(super) fn conclude(
        &mut self,
        seat: &Seat,
        asked: attempt::Asked,
        next: &mut Next,
        result: Result<(Got, Vec<String>), Failure>,
    ) -> Result<Answer, Failure> {
        let attempt::Asked { mut pass, mut trace, started, fair, cost } = asked;
        match &result {
            Ok((Got::Whole(whole), _)) => pass.used(whole.usage),
            Ok((Got::Begun { .. }, _)) => {}
            Err(failure) if failure.unasked => pass.not_sent(),
            Err(failure) => pass.used(failure.usage),
        }
        let index = seat.upstream.index;
        if cost != Cost::default() {
            self.lost.push(Lost { provider: index, cost, told: cost.prompt.is_some() });
        }
        let took = clock::now().since(started);
        let error = result.as_ref().err().map(|failure| failure.kind);
        if result.as_ref().err().is_none_or(|failure| !failure.unasked) {
            self.outcome.attempts.push(Attempt {
                provider: Arc::clone(&seat.upstream.settings.name),
                started_after: started.since(self.call.arrived),
                took,
                error,
                waited: std::mem::take(&mut next.waited),
                wait_reason: next.wait_reason.take().unwrap_or(WaitReason::None),
            });
        }
        match result {
            Ok((got, warnings)) => {
                self.outcome.warnings.extend(warnings);
                self.note_less(seat, next.changes.less);
                if next.changes.rewritten.is_some() {
                    let name = &seat.upstream.settings.name;
                    self.limit(format!(
                        "{name} refused the content and was asked once more under the configured instruction"
                    ));
                }
                Ok(match got {
                    Got::Whole(whole) => {
                        self.note_time(seat, took);
                        self.moved(index, pass.succeeded());
                        trace.ended(Ok(&attempt::facts(&whole)));
                        Answer::Whole(whole)
                    }
                    Got::Begun { held, rest } => {
                        let first_token = rest.first_token();
                        self.note_time(seat, first_token.since(started));
                        self.moved(index, pass.first_token(first_token.since(started)));
                        trace.first_token(first_token);
                        Answer::Begun(Box::new(Begun { held, rest, pass, trace }))
                    }
                })
            }
            Err(failure) => {
                let failure = failure.by(&seat.upstream.settings.name);
                if failure.kind != ErrorKind::InferenceTimeout || fair {
                    self.moved(index, pass.failed(failure.kind, failure.wait));
                }
                trace.ended(Err(&failure));
                Err(failure)
            }
        }
    }

    /// Notes on the call's own trace that it moved a breaker.
    pub(super) fn moved(&mut self, provider: usize, moved: Option<Transition>) {
        if let Some(moved) = moved {
            self.trace.tripped(provider, telemetry::Transition::from(&moved));
        }
    }

    fn larger_window(&self, seat: &Seat, rest: &[&Seat]) -> bool {
        self.plan().config.context_overflow != ContextOverflow::Error
            && rest.iter().any(|other| other.may_hold_more_than(seat) && other.upstream.gate.would_admit())
    }
}

/// How many of `seats` would take the call now.
pub(super) fn able(seats: &[&Seat]) -> u32 {
    let able = seats.iter().filter(|seat| takes_calls(seat)).count();
    u32::try_from(able).unwrap_or(u32::MAX)
}

/// Whether it would take a call now.
pub(super) fn takes_calls(seat: &Seat) -> bool {
    seat.upstream.gate.would_admit() && seat.upstream.gate.has_room()
}

/// The call's time was up before a provider could be asked.
fn too_late() -> Failure {
    Failure::new(ErrorKind::InferenceTimeout, "the call's deadline passed before a provider could be asked").unasked()
}

/// A provider that was not asked.
fn refused(seat: &Seat, refusal: Refusal) -> Failure {
    let message = match refusal.kind {
        ErrorKind::RateLimited if refusal.limit == Some(Unit::Tokens) => {
            "the provider's configured limit of tokens a minute leaves the call no room"
        }
        ErrorKind::RateLimited if refusal.limit.is_some() => {
            "the provider's configured limit of requests a minute leaves the call no room"
        }
        ErrorKind::RateLimited => "the provider asked to be left alone for a while",
        ErrorKind::Authentication => "the provider refused its key",
        _ => "the provider is failing and is being left alone until it has recovered",
    };
    Failure::new(refusal.kind, message).by(&seat.upstream.settings.name).wait(refusal.retry_after).unasked()
}
