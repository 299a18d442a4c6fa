//! A provider's stream from its first token on, within the limits of its time and its pace.
//!
//! It says what came and how it ended. What follows a bad end is decided elsewhere.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use fusebox_rules::{
    moment::Moment,
    pace::{Pace, Verdict},
};
use tokio::time::Sleep;

use super::spent::Cost;
use crate::{
    chat::answer::{Chunk, Finish, Usage},
    clock, config,
    error::{ErrorKind, Failure},
    provider::stream::Chunks,
    telemetry::Facts,
};

/// How long a stream may take.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Of the provider that gives it.
    pub(super) settings: Arc<config::Provider>,
    /// The attempt's end, by the provider's limit on a whole stream.
    pub(super) attempt_ends: Moment,
    /// The call's end.
    pub(super) deadline: Moment,
    pub(super) first_token: Moment,
}

/// What is heard of a stream.
#[derive(Debug)]
pub(super) enum Heard {
    /// The next events.
    Chunk(Chunk),
    /// It is slower than its provider's may be. Told once: it may be read on.
    TooSlow,
    /// All of it has come.
    Complete,
    /// It has broken off.
    Broke(Failure),
}

/// A stream that is being read.
pub(super) struct Reading {
    chunks: Chunks,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    last_token: Moment,
    /// `None`: any pace will do.
    pace: Option<Box<Paced>>,
    /// It has become too slow, which is still to be told.
    too_slow: bool,
    tokens: u32,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
}

/// A pace, and the stream's own time, which stands still while the caller does not read.
struct Paced {
    pace: Pace,
    /// How long the provider has been waited for since its first token.
    waited: Duration,
    waits_since: Option<Moment>,
}

impl Reading {
    /// A stream of which `begun` has come, the first token with it.
    pub(super) fn new(chunks: Chunks, begun: &[Chunk], limits: Limits) -> Self {
        let first_token = limits.first_token;
        let least = limits.settings.breaker.min_tokens_per_second;
        let pace = least.map(|least| Paced {
            pace: Pace::new(least, Moment::ZERO),
            waited: Duration::ZERO,
            waits_since: None,
        });
        let mut reading = Self {
            chunks,
            timer: Box::pin(tokio::time::sleep_until(clock::at(limits.next(first_token).0))),
            limits,
            last_token: first_token,
            pace: pace.map(Box::new),
            too_slow: false,
            tokens: 0,
            finish: None,
            usage: None,
            model: None,
        };
        for chunk in begun {
            reading.note(chunk);
        }
        reading
    }

    /// Reads on until the call's own deadline, where the attempt was made within a nearer one.
    pub(super) fn until(&mut self, deadline: Moment) {
        self.limits.deadline = deadline;
    }

    /// What comes next. After [`Heard::Complete`] and [`Heard::Broke`] nothing else does.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if std::mem::take(&mut self.too_slow) {
            self.pace = None;
            return Poll::Ready(Heard::TooSlow);
        }
        match self.chunks.poll_next(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                self.note(&chunk);
                self.too_slow = self.is_too_slow();
                Poll::Ready(Heard::Chunk(chunk))
            }
            Poll::Ready(Some(Err(failure))) => Poll::Ready(Heard::Broke(after_first_token(failure))),
            Poll::Ready(None) => Poll::Ready(Heard::Complete),
            Poll::Pending => {
                if let Some(paced) = &mut self.pace {
                    paced.waits_since.get_or_insert_with(clock::now);
                }
                self.poll_timers(cx).map(Heard::Broke)
            }
        }
    }

    fn note(&mut self, chunk: &Chunk) {
        if chunk.tokens > 0 {
            self.tokens = self.tokens.saturating_add(chunk.tokens);
            self.last_token = clock::now();
        }
        if let Some(paced) = &mut self.pace {
            let now = paced.now();
            paced.waits_since = None;
            paced.waited = now.since(Moment::ZERO);
            paced.pace.take(chunk.tokens, now);
        }
        self.finish = self.finish.or(chunk.finish);
        self.usage = chunk.usage.or(self.usage);
        if self.model.is_none() {
            self.model.clone_from(&chunk.model);
        }
    }

    /// Whether the provider is, once again or still, too slow; what has finished is as fast as it was.
    fn is_too_slow(&mut self) -> bool {
        let finished = self.finish.is_some();
        self.pace.as_mut().is_some_and(|paced| !finished && paced.pace.judge(paced.now()) == Verdict::TooSlow)
    }

    /// One timer for all limits: it is set to the nearest, and set again if that has moved meanwhile.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let (due, which) = self.limits.next(self.last_token);
            if due <= clock::now() {
                return Poll::Ready(self.limits.passed(which));
            }
            self.timer.as_mut().reset(clock::at(due));
        }
    }

    /// Whether the call's own deadline has passed, which says nothing of the provider.
    pub(super) fn is_past_deadline(&self) -> bool {
        clock::now() >= self.limits.deadline
    }

    /// Whether it was too slow as a whole, now that it is complete.
    pub(super) fn was_slow(&self) -> bool {
        // Some send several tokens an event; and how long the caller took to read is not the provider's doing.
        let tokens = self.usage.map_or(self.tokens, |usage| usage.output_tokens.max(self.tokens));
        self.limits.settings.breaker.is_slow(tokens, self.last_token.since(self.limits.first_token))
    }

    /// What it has said of itself so far.
    pub(super) fn facts(&self) -> Facts<'_> {
        Facts { model: self.model.as_deref(), finish: self.finish, usage: self.usage }
    }

    /// Events so far that carry tokens.
    pub(super) const fn tokens(&self) -> u32 {
        self.tokens
    }

    /// When the first token came.
    pub(super) const fn first_token(&self) -> Moment {
        self.limits.first_token
    }

    /// What it has cost so far, as far as that is known.
    pub(super) fn cost(&self) -> Cost {
        match self.usage {
            Some(usage) => Cost { prompt: Some(usage.input_tokens), answer: usage.output_tokens.max(self.tokens) },
            None => Cost { prompt: None, answer: self.tokens },
        }
    }
}

impl Paced {
    /// The stream's own time.
    fn now(&self) -> Moment {
        let waiting = self.waits_since.map_or(Duration::ZERO, |since| clock::now().since(since));
        Moment::ZERO + self.waited + waiting
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
            (last_token + self.settings.timeouts.idle, Limit::Idle),
            (self.attempt_ends, Limit::Attempt),
            (self.deadline, Limit::Deadline),
        ];
        limits.into_iter().min_by_key(|(due, _)| *due).unwrap_or((self.deadline, Limit::Deadline))
    }

    fn passed(&self, which: Limit) -> Failure {
        match which {
            Limit::Idle => {
                let message = format!("the provider's stream stalled for {:?}", self.settings.timeouts.idle);
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

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}
