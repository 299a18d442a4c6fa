//! How a stream goes on that broke after its caller had been told some of it.
//!
//! What follows a break is decided by [`survive::decide`]; here is whom that can mean, and the asking. Nothing is
//! read of what was sent before something breaks.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    breaker::Asker,
    retry::WaitReason,
    survive::{self, Continuation, Facts, Told, Verdict},
};

use super::{
    attempt::{Answer, Begun},
    chain::{Next, takes_calls},
    passing::Passing,
    plan::{Route, Seat},
    way::Way,
};
use crate::{
    chat::{
        answer::Chunk,
        continuation,
        joined::Joined,
        request::{Operation, Request},
        so_far::SoFar,
    },
    clock,
    config::ProviderKind,
    error::{ErrorKind, Failure},
    gate::Pass,
    telemetry::Otherwise,
};

/// How much of a stream has been passed on, and who has been asked to go on with it since it last broke.
#[derive(Debug, Default)]
pub(super) struct Sent {
    tokens: u32,
    /// Seats that were asked to continue it.
    continued: Vec<usize>,
    /// Seats that were asked for a whole new answer.
    answered: Vec<usize>,
    /// What broke first since something was last passed on: what the caller is told if nothing mends it.
    broken: Option<Failure>,
}

/// An answer that goes on where another broke.
pub(super) struct GoingOn {
    pub(super) seat: usize,
    pub(super) begun: Box<Begun>,
    pub(super) joined: Joined,
}

impl Sent {
    /// Notes what the caller is told.
    pub(super) fn note(&mut self, chunk: &Chunk) {
        self.tokens = self.tokens.saturating_add(chunk.tokens);
        if chunk.tokens > 0 && self.broken.is_some() {
            // It goes on: a new break is a new beginning.
            self.broken = None;
            (self.continued, self.answered) = (Vec::new(), Vec::new());
        }
    }

    /// Notes that it broke, or that what was to mend it did, and says how it broke first.
    pub(super) fn broke(&mut self, failure: &Failure) -> ErrorKind {
        self.broken.get_or_insert_with(|| failure.clone()).kind
    }

    /// What the caller is told where nothing serves: how it broke, and how far it got.
    pub(super) fn into_failure(self, otherwise: Failure, way: &Way) -> Failure {
        let failure = self.broken.unwrap_or(otherwise);
        let seconds = clock::now().since(way.call.arrived).as_secs_f64();
        let tokens = self.tokens;
        let message = format!("{}; {tokens} tokens had been sent after {seconds:.1} s", failure.message);
        let failure = Failure { message, ..failure }.detail("tokens_sent", tokens);
        match way.so_far() {
            Some(so_far) => failure.detail("characters_sent", so_far.chars()),
            None => failure,
        }
    }
}

impl Way {
    /// Finds who goes on with the stream that broke at `from`; `None`: nobody can.
    pub(super) async fn go_on(&mut self, sent: &mut Sent, from: usize, kind: ErrorKind) -> Option<GoingOn> {
        let so_far = self.so_far();
        let told = so_far.as_ref().map_or(Told::Parts, SoFar::told);
        let so_far = so_far.unwrap_or_default();
        let route = Arc::clone(&self.route);
        self.is_resuming = true;
        loop {
            let seats = self.by_promise(&route, from);
            let continues = |seat: &usize| self.may_continue(&route.seats[*seat]) && !sent.continued.contains(seat);
            let answers = |seat: &usize| !sent.answered.contains(seat);
            let count = |fits: &dyn Fn(&usize) -> bool| {
                u32::try_from(seats.iter().filter(|seat| fits(seat)).count()).unwrap_or(u32::MAX)
            };
            let facts = Facts {
                kind,
                told,
                can_continue: count(&continues),
                can_answer: count(&answers),
                attempts_left: self.attempts_left,
                remaining: self.deadline.since(clock::now()),
            };
            let verdict = survive::decide(&facts);
            let seat = match verdict {
                Verdict::Continue => seats.iter().copied().find(continues)?,
                Verdict::AskAnew => seats.iter().copied().find(answers)?,
                Verdict::End => return None,
            };
            let others = facts.can_continue.saturating_add(facts.can_answer).saturating_sub(1);
            if let Some(going_on) = self.try_one(sent, &so_far, Try { verdict, seat, from, others, kind }).await {
                return Some(going_on);
            }
        }
    }

    /// What the caller has been told; `None`: more than was put by.
    fn so_far(&self) -> Option<SoFar> {
        self.passing.as_ref().and_then(Passing::so_far).map(SoFar::read)
    }

    /// Seats that would take the call now: those not yet asked in this call, then others, and the one that broke last.
    fn by_promise(&self, route: &Route, from: usize) -> Vec<usize> {
        let mut seats: Vec<(usize, u32)> = route
            .order(self.call.request.operation)
            .into_iter()
            .filter(|(place, seat)| takes_calls(seat) && !self.is_too_long(*place))
            .map(|(place, seat)| (place, self.asked(seat)))
            .filter(|(place, asked)| *asked <= route.seats[*place].upstream.settings.retry.max_retries)
            .collect();
        seats.sort_by_key(|(place, asked)| (*place == from, *asked > 0));
        seats.into_iter().map(|(place, _)| place).collect()
    }

    /// How often a provider has been asked in this call. One that would not continue an answer was not asked for one.
    fn asked(&self, seat: &Seat) -> u32 {
        let attempts = self.outcome.attempts.iter().filter(|attempt| attempt.provider == seat.upstream.settings.name);
        let counted = attempts.filter(|attempt| attempt.error != Some(ErrorKind::InvalidInput)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    fn may_continue(&self, seat: &Seat) -> bool {
        self.call.request.operation == Operation::Completion || seat.upstream.continuation() != Continuation::None
    }

    /// Asks one provider, and holds the beginning of its answer against what was sent.
    async fn try_one(&mut self, sent: &mut Sent, so_far: &SoFar, this: Try) -> Option<GoingOn> {
        let route = Arc::clone(&self.route);
        let seat = &route.seats[this.seat];
        let upstream = &seat.upstream;
        let continues = this.verdict == Verdict::Continue;
        if continues { &mut sent.continued } else { &mut sent.answered }.push(this.seat);
        let begun = continuation::Begun { words: &so_far.words, tokens: sent.tokens };
        let request = match continues {
            true => Some(self.call.request.continued(begun, upstream.continuation())?),
            false => None,
        };
        // Another provider is failed over to; one that was asked before is asked again, which must be paid for.
        if self.asked(seat) == 0 {
            upstream.gate.deposit(clock::now());
        } else if !upstream.gate.withdraw() {
            self.trace.unpaid(upstream.index);
            return None;
        }
        let pass =
            upstream.gate.admit(Asker::Caller, || self.tokens_at(seat).saturating_add(u64::from(sent.tokens))).ok()?;
        let how = if continues { Otherwise::Continue } else { Otherwise::Anew };
        self.trace.otherwise(how);
        if this.seat == this.from {
            self.trace.retry(upstream.index, this.kind, Duration::ZERO, WaitReason::None);
        } else {
            self.trace.fallback(route.seats[this.from].upstream.index, upstream.index, this.kind);
            self.trace.otherwise(how);
        }
        self.repeated = if continues { sent.tokens } else { 0 };
        let answer = self.attempt_with(request, seat, pass, this.others).await;
        match answer {
            Ok(Answer::Begun(begun)) => {
                let trimmed = upstream.settings.kind == ProviderKind::Anthropic;
                let joined = match continues {
                    true => Joined::continuing(so_far, trimmed, self.spent()),
                    false => Joined::anew(so_far, self.spent()),
                };
                Some(GoingOn { seat: this.seat, begun, joined })
            }
            // A stream was asked for.
            Ok(Answer::Whole(_)) => None,
            Err(failure) => {
                if !failure.unasked {
                    self.attempts_left = self.attempts_left.saturating_sub(1);
                }
                if continues && failure.kind == ErrorKind::InvalidInput {
                    upstream.refused_to_continue();
                }
                None
            }
        }
    }

    /// An attempt with `request`, if there is one, in place of the caller's.
    async fn attempt_with(
        &mut self,
        request: Option<Request>,
        seat: &Seat,
        pass: Pass,
        others: u32,
    ) -> Result<Answer, Failure> {
        let Some(request) = request else { return self.attempt(seat, pass, &mut Next::default(), others).await };
        let own = std::mem::replace(&mut self.call.request, request);
        let answer = self.attempt(seat, pass, &mut Next::default(), others).await;
        self.call.request = own;
        answer
    }
}

/// Whom to ask, for what, and why.
struct Try {
    verdict: Verdict,
    seat: usize,
    from: usize,
    others: u32,
    kind: ErrorKind,
}
