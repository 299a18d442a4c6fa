//! An answer that has begun: from its first token on it goes to its end, or ends with an error that says so.
//!
//! There is no way back from here to another attempt: what has been said cannot be unsaid.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use fusebox_rules::{breaker, moment::Moment};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    attempt::Begun,
    inflight::Listener,
    outcome::Outcome,
    shutting_down,
    way::{End, Way},
};
use crate::{
    chat::answer::{Chunk, Finish, Usage},
    clock,
    error::{ErrorKind, Failure},
    gate::Pass,
    provider::stream::Chunks,
    telemetry::{AttemptTrace, Facts},
};

/// What is left of an answer that has begun.
#[derive(Debug)]
pub enum Stream {
    /// It is this call's own.
    Live(Box<Live>),
    /// It is an equal call's, under the same idempotency key.
    Told(Listener),
    /// It is written down in a door's test.
    #[cfg(test)]
    Scripted(Box<Script>),
}

/// The events of a scripted answer, and how it came about.
#[cfg(test)]
pub struct Script {
    pub(crate) outcome: Outcome,
    pub(crate) events: Pin<Box<dyn futures_core::Stream<Item = Result<Chunk, Failure>> + Send>>,
}

#[cfg(test)]
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

impl Stream {
    /// The answer to `way`'s call that has `begun` at one of its route's seats.
    pub(super) fn live(way: Way, seat: usize, begun: Box<Begun>, ending: WaitForCancellationFutureOwned) -> Self {
        Self::Live(Box::new(Live::new(way, seat, *begun, ending)))
    }

    /// How the answer came about, as far as its first token.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        match self {
            Self::Live(live) => &live.outcome,
            Self::Told(listener) => listener.outcome(),
            #[cfg(test)]
            Self::Scripted(script) => &script.outcome,
        }
    }

    /// The next events; `None` once the answer is complete. After an error comes nothing more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        match self {
            Self::Live(live) => live.poll_next(cx),
            Self::Told(listener) => listener.poll_next(cx),
            #[cfg(test)]
            Self::Scripted(script) => script.events.as_mut().poll_next(cx),
        }
    }
}

/// An answer that is read from its provider.
pub struct Live {
    held: VecDeque<Chunk>,
    /// `None` once it has ended, for good or ill.
    rest: Option<Rest>,
    outcome: Outcome,
}

/// All that lives until the answer ends. Dropped before that, the caller has gone away.
struct Rest {
    chunks: Chunks,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    last_token: Moment,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    tokens: u32,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
    pass: Pass,
    attempt: AttemptTrace,
    way: Way,
}

/// How long a stream may take.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Between two tokens.
    pub(super) idle: Duration,
    /// The attempt's end, by the provider's limit on a whole stream.
    pub(super) attempt_ends: Moment,
    /// The call's end.
    pub(super) deadline: Moment,
    pub(super) breaker: breaker::Settings,
    pub(super) first_token: Moment,
}

impl Live {
    fn new(way: Way, seat: usize, begun: Begun, ending: WaitForCancellationFutureOwned) -> Self {
        let settings = &way.route.seats[seat].upstream.settings;
        let first_token = clock::now();
        let limits = Limits {
            idle: settings.timeouts.idle,
            attempt_ends: begun.started + settings.timeouts.stream_total,
            deadline: way.deadline,
            breaker: settings.breaker.clone(),
            first_token,
        };
        let outcome = way.outcome.clone();
        let mut rest = Rest {
            chunks: begun.rest,
            timer: Box::pin(tokio::time::sleep_until(clock::at(limits.next(first_token).0))),
            limits,
            last_token: first_token,
            ending: Box::pin(ending),
            tokens: 0,
            finish: None,
            usage: None,
            model: None,
            pass: begun.pass,
            attempt: begun.trace,
            way,
        };
        for chunk in &begun.held {
            rest.note(chunk);
        }
        Self { held: begun.held.into(), rest: Some(rest), outcome }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        if let Some(chunk) = self.held.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let failure = match rest.chunks.poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                rest.note(&chunk);
                return Poll::Ready(Some(Ok(chunk)));
            }
            Poll::Ready(None) => {
                if let Some(rest) = self.rest.take() {
                    self.outcome = rest.complete();
                }
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(failure))) => after_first_token(failure),
            Poll::Pending if rest.ending.as_mut().poll(cx).is_ready() => shutting_down(),
            Poll::Pending => std::task::ready!(rest.poll_timers(cx)),
        };
        let failure = match &self.outcome.provider {
            Some(provider) => failure.by(provider),
            None => failure,
        };
        let failure = failure.used(rest.usage);
        if let Some(rest) = self.rest.take() {
            self.outcome = rest.broke(&failure);
        }
        Poll::Ready(Some(Err(failure)))
    }
}

impl Rest {
    fn note(&mut self, chunk: &Chunk) {
        if let Some(run) = &mut self.way.run {
            run.hear(chunk);
        }
        if chunk.tokens > 0 {
            self.tokens += chunk.tokens;
            self.last_token = clock::now();
        }
        self.finish = self.finish.or(chunk.finish);
        self.usage = chunk.usage.or(self.usage);
        if self.model.is_none() {
            self.model.clone_from(&chunk.model);
        }
    }

    /// One timer for three limits: it is set to the nearest, and set again if that has moved meanwhile.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            std::task::ready!(self.timer.as_mut().poll(cx));
            let (due, which) = self.limits.next(self.last_token);
            if due <= clock::now() {
                return Poll::Ready(self.limits.passed(which));
            }
            self.timer.as_mut().reset(clock::at(due));
        }
    }

    fn complete(self) -> Outcome {
        self.attempt.ended(Ok(&Facts { model: self.model.as_deref(), finish: self.finish, usage: self.usage }));
        // Some send several tokens an event; and how long the caller took to read is not the provider's doing.
        let tokens = self.usage.map_or(self.tokens, |usage| usage.output_tokens.max(self.tokens));
        let streamed = self.last_token.since(self.limits.first_token);
        let _ = if self.limits.breaker.is_slow(tokens, streamed) { self.pass.slow() } else { self.pass.succeeded() };
        let model = self.model.as_deref();
        self.way.ended(&End { error: None, finish: self.finish, usage: self.usage, model, whole: None })
    }

    fn broke(mut self, failure: &Failure) -> Outcome {
        if let Some(last) = self.way.outcome.attempts.last_mut() {
            last.error = Some(failure.kind);
        }
        self.attempt.ended(Err(failure));
        // A deadline that the caller set says nothing of the provider.
        if failure.kind != ErrorKind::InferenceTimeout || clock::now() < self.limits.deadline {
            let _ = self.pass.failed(failure.kind, failure.wait);
        }
        let model = self.model.as_deref();
        self.way.ended(&End { error: Some(failure), finish: self.finish, usage: self.usage, model, whole: None })
    }
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Idle,
    Attempt,
    Deadline,
}

impl Limits {
    /// Which limit is met first, and when.
    fn next(&self, last_token: Moment) -> (Moment, Limit) {
        let limits = [
            (last_token + self.idle, Limit::Idle),
            (self.attempt_ends, Limit::Attempt),
            (self.deadline, Limit::Deadline),
        ];
        limits.into_iter().min_by_key(|(due, _)| *due).unwrap_or((self.deadline, Limit::Deadline))
    }

    fn passed(&self, which: Limit) -> Failure {
        match which {
            Limit::Idle => {
                let message = format!("the provider's stream stalled for {:?}", self.idle);
                Failure::new(ErrorKind::StreamBroken, message)
            }
            Limit::Attempt => Failure::new(ErrorKind::InferenceTimeout, "the provider's stream took too long in all"),
            Limit::Deadline => Failure::new(ErrorKind::InferenceTimeout, "the call's deadline passed in mid-answer"),
        }
    }
}

/// A connection that breaks in mid-answer is a broken stream, whatever it would have been before.
fn after_first_token(failure: Failure) -> Failure {
    match failure.kind {
        ErrorKind::NetworkError | ErrorKind::InvalidResponse => Failure { kind: ErrorKind::StreamBroken, ..failure },
        _ => failure,
    }
}

impl futures_core::Stream for Stream {
    type Item = Result<Chunk, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Self::poll_next(&mut self, cx)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}
