//! Where a begun answer is read from, and what becomes of it when that stops.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use fusebox_rules::error::ErrorKind;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    attempt::{Begun, too_slow},
    going_on::{GoingOn, Sent},
    outcome::Outcome,
    passing::Passing,
    reading::{Heard, Reading},
    shutting_down,
    spent::Lost,
    way::{End, Way},
};
use crate::{
    chat::{
        answer::Chunk,
        joined::{Diverged, Joined},
    },
    clock,
    error::Failure,
    gate::Pass,
    telemetry::AttemptTrace,
    validate::{Checker, StreamCheck},
};

/// One attempt's stream, and who must hear of its end.
pub(super) struct Source {
    reading: Reading,
    pass: Pass,
    trace: AttemptTrace,
    /// Which of the route's seats gives it.
    seat: usize,
    /// Which of the call's attempts it is.
    attempt: usize,
    /// Makes it the rest of what another one began.
    joined: Option<Box<Joined>>,
}

/// All that lives until the answer ends. Dropped before that, the caller has gone away.
pub(super) struct Rest {
    source: Source,
    /// `None`: it is of a kind that cannot be gone on with.
    sent: Option<Sent>,
    /// What the check found: the answer ends with it.
    fault: Option<Failure>,
    pub(super) way: Box<Way>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// What a poll came to.
pub(super) enum Next {
    Chunk(Chunk),
    Complete,
    Stopped(Cause),
}

/// Why a stream is not simply read on.
pub(super) enum Cause {
    Broke(Failure),
    /// What it said is not what was asked for, and has been passed on.
    Faulty(Failure),
    /// It could be read on, if nobody can do better.
    TooSlow,
    /// It was to go on with what another one had begun, and says something else.
    Diverged,
}

/// What came of a break.
pub(super) enum Mended {
    /// It goes on, with these.
    GoesOn(Box<Rest>, VecDeque<Chunk>),
    /// It has ended.
    Ended(Box<(Failure, Outcome)>),
}

impl Source {
    /// What has begun at a seat, in its last attempt; beside what has come of it already.
    pub(super) fn new(way: &Way, seat: usize, begun: Begun, joined: Option<Box<Joined>>) -> (Self, Vec<Chunk>) {
        let Begun { held, rest: mut reading, pass, trace } = begun;
        reading.until(way.deadline);
        let attempt = way.outcome.attempts.len().saturating_sub(1);
        (Self { reading, pass, trace, seat, attempt, joined }, held)
    }

    /// What of `chunk` is new to the caller; `None`: nothing.
    fn join(&mut self, chunk: Chunk) -> Result<Option<Chunk>, Diverged> {
        match &mut self.joined {
            None => Ok(Some(chunk)),
            Some(joined) => Ok(Some(joined.take(&chunk)?).filter(|new| !new.events.is_empty())),
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            return Poll::Ready(match std::task::ready!(self.reading.poll_next(cx)) {
                Heard::Chunk(chunk) => match self.join(chunk) {
                    Ok(Some(chunk)) => Next::Chunk(chunk),
                    Ok(None) => continue,
                    Err(Diverged) => Next::Stopped(Cause::Diverged),
                },
                // It may come to its end before the end of what was sent.
                Heard::Complete if self.joined.as_ref().is_some_and(|joined| !joined.is_past()) => {
                    Next::Stopped(Cause::Diverged)
                }
                Heard::Complete => Next::Complete,
                Heard::TooSlow => Next::Stopped(Cause::TooSlow),
                Heard::Broke(failure) => Next::Stopped(Cause::Broke(failure)),
            });
        }
    }

    /// Ends an attempt that came to nothing, or to no end, and tells everyone what that says of its provider.
    fn close(mut self, way: &mut Way, cause: &Cause) {
        let upstream = Arc::clone(&way.route.seats[self.seat].upstream);
        let usage = self.reading.facts().usage;
        self.pass.used(usage);
        let told = usage.is_some() && !matches!(cause, Cause::Diverged);
        way.lost.push(Lost { provider: upstream.index, cost: self.reading.cost(), told });
        way.attempts_left = way.attempts_left.saturating_sub(1);
        let kind = match cause {
            Cause::Broke(failure) | Cause::Faulty(failure) => {
                self.trace.ended(Err(&failure.clone().used(usage)));
                // A deadline that the caller set says nothing of the provider.
                if failure.kind != ErrorKind::InferenceTimeout || !self.reading.is_past_deadline() {
                    way.moved(upstream.index, self.pass.failed(failure.kind, failure.wait));
                }
                failure.kind
            }
            Cause::TooSlow => {
                self.trace.ended(Err(&too_slow().by(&upstream.settings.name).used(usage)));
                way.moved(upstream.index, self.pass.slow());
                ErrorKind::StreamBroken
            }
            // That its answer is another one is no fault: it is given up, as when a caller hangs up.
            Cause::Diverged => ErrorKind::Cancelled,
        };
        let until = clock::now().since(way.call.arrived);
        if let Some(attempt) = way.outcome.attempts.get_mut(self.attempt) {
            attempt.error = Some(kind);
            attempt.took = until.saturating_sub(attempt.started_after);
        }
    }
}

impl Rest {
    pub(super) fn new(mut way: Box<Way>, source: Source, ending: WaitForCancellationFutureOwned) -> Self {
        let passing = Passing::on(&way);
        let sent = passing.may_be_resumed().then(Sent::default);
        way.passing = Some(passing);
        way.check = way.checker.as_ref().map(Checker::stream);
        Self { source, sent, fault: None, way, ending: Box::pin(ending) }
    }

    /// Holds a chunk to what was asked for before it is passed on: of one with a fault only what came before it.
    pub(super) fn check(&mut self, chunk: &mut Chunk) {
        if self.fault.is_some() {
            *chunk = Chunk::default();
        } else if let Some(check) = &mut self.way.check {
            self.fault = check.add(chunk).err();
        }
    }

    /// Keeps what is passed on, unread.
    pub(super) fn note(&mut self, chunk: &Chunk) {
        if let Some(sent) = &mut self.sent {
            sent.note(chunk);
        }
        self.way.hear(chunk);
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Next::Stopped(Cause::Faulty(fault)));
        }
        match self.source.poll_next(cx) {
            Poll::Ready(Next::Complete) => Poll::Ready(match self.way.check.as_mut().map(StreamCheck::finish) {
                Some(Err(fault)) => Next::Stopped(Cause::Faulty(fault)),
                _ => Next::Complete,
            }),
            Poll::Pending if self.ending.as_mut().poll(cx).is_ready() => {
                Poll::Ready(Next::Stopped(Cause::Broke(shutting_down())))
            }
            next => next,
        }
    }

    /// The answer is complete.
    pub(super) fn complete(self) -> Outcome {
        let Self { source: Source { reading, mut pass, trace, seat, .. }, mut way, .. } = self;
        let facts = reading.facts();
        pass.used(facts.usage);
        trace.ended(Ok(&facts));
        let provider = way.route.seats[seat].upstream.index;
        way.moved(provider, if reading.was_slow() { pass.slow() } else { pass.succeeded() });
        way.ended(&End { finish: facts.finish, usage: facts.usage, model: facts.model, ..End::default() })
    }

    /// Finds who goes on with what stopped, or ends it.
    pub(super) async fn mend(self, cause: Cause) -> Mended {
        let Self { source, sent, mut way, mut ending, .. } = self;
        let from = source.seat;
        let name = Arc::clone(&way.route.seats[from].upstream.settings.name);
        let cause = match cause {
            Cause::Broke(failure) => Cause::Broke(failure.by(&name)),
            Cause::Faulty(failure) => {
                let failure = failure.by(&name);
                source.close(&mut way, &Cause::Faulty(failure.clone()));
                return ended(way, failure);
            }
            other => other,
        };
        let failure = match &cause {
            Cause::Broke(failure) | Cause::Faulty(failure) => failure.clone(),
            Cause::TooSlow => too_slow().by(&name),
            Cause::Diverged => diverged().by(&name),
        };
        // One that is only slow is kept until somebody does better.
        let slow = match cause {
            Cause::TooSlow => Some(source),
            cause => {
                source.close(&mut way, &cause);
                None
            }
        };
        let Some(mut sent) = sent else { return Self::end_or_go_on(slow, None, way, ending, failure) };
        let kind = sent.broke(&failure);
        loop {
            let going_on = tokio::select! {
                biased;
                () = &mut ending => return ended(way, shutting_down()),
                going_on = way.go_on(&mut sent, from, kind) => going_on,
            };
            let Some(GoingOn { seat, begun, joined }) = going_on else {
                return Self::end_or_go_on(slow, Some(sent), way, ending, failure);
            };
            let (mut source, held) = Source::new(&way, seat, *begun, Some(Box::new(joined)));
            let joined: Result<Vec<_>, Diverged> = held.into_iter().map(|chunk| source.join(chunk)).collect();
            let Ok(held) = joined else {
                source.close(&mut way, &Cause::Diverged);
                continue;
            };
            if let Some(slow) = slow {
                slow.close(&mut way, &Cause::TooSlow);
            }
            let route = Arc::clone(&way.route);
            let first = route.order(way.call.request.operation).first().is_some_and(|(place, _)| *place == seat);
            way.answered_by(&route.seats[seat], first);
            let rest = Box::new(Self { source, sent: Some(sent), fault: None, way, ending });
            return Mended::GoesOn(rest, held.into_iter().flatten().collect());
        }
    }

    /// Nobody goes on with it: what was only slow is read on, what was not has ended.
    fn end_or_go_on(
        slow: Option<Source>,
        sent: Option<Sent>,
        way: Box<Way>,
        ending: Pin<Box<WaitForCancellationFutureOwned>>,
        failure: Failure,
    ) -> Mended {
        match slow {
            Some(source) => Mended::GoesOn(Box::new(Self { source, sent, fault: None, way, ending }), VecDeque::new()),
            None => {
                let failure = match sent {
                    Some(sent) => sent.into_failure(failure, &way),
                    None => failure,
                };
                ended(way, failure)
            }
        }
    }
}

fn ended(way: Box<Way>, failure: Failure) -> Mended {
    let outcome = way.ended(&End { error: Some(&failure), ..End::default() });
    Mended::Ended(Box::new((failure, outcome)))
}

fn diverged() -> Failure {
    Failure::new(
        ErrorKind::StreamBroken,
        "the provider's stream broke, and what was to go on with it said something else",
    )
}
