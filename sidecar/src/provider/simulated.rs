//! A provider inside the process: it answers by itself, at a settable pace, and fails when told to.
//!
//! For trying Fusebox out, for tests and for drills. What it says is in `script`; here is when.
//! Any request may bear a field `simulate`, whose parts come before the configuration:
//!
//! | field | meaning |
//! | --- | --- |
//! | `fail` | the name of the [`ErrorKind`] to fail with |
//! | `after_tokens` | how many tokens come before that; absent: none, but half of them before `stream_broken` |
//! | `retry_after_ms` | how long the failure asks to stay away; absent: 1 s for `rate_limited`, else nothing |
//! | `first_token_ms` | the wait before the first token |
//! | `tokens_per_second` | the pace after it; zero: all at once |

mod asked;
mod fit;
mod picture;
mod png;
mod render;
mod script;
mod vector;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use asked::Asked;
use bytes::BytesMut;
use fusebox_rules::moment::Moment;
use script::{Breaks, Script};
use tokio::time::{Sleep, sleep_until};

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::{
    chat::{
        answer::Chunk,
        request::{Operation, Request},
    },
    clock, config,
    error::Failure,
    provider::{Answer, Ask, Reply, stream::Chunks},
};

/// A simulated provider.
#[derive(Debug)]
pub struct Simulated {
    provider: Arc<config::Provider>,
}

impl Simulated {
    /// The provider that `settings` describe; their `simulated` is what matters here.
    #[must_use]
    pub fn new(settings: &Arc<config::Provider>) -> Self {
        Self { provider: Arc::clone(settings) }
    }

    /// Asks once.
    ///
    /// # Errors
    /// As [`Simulated::answer`].
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        self.answer(ask.request, ask.model, ask.max_tokens).await.map(Reply::from)
    }

    /// Answers `request` as `model`, else as the model that it names, with `max_tokens` coming before what it says.
    /// Dropping the future, or the stream that it gives, ends the answer.
    ///
    /// # Errors
    /// The failure that it was told to simulate, if that comes before the first token; `invalid_input` if the
    /// request cannot be understood.
    pub async fn answer(
        &self,
        request: &Request,
        model: Option<&str>,
        max_tokens: Option<u64>,
    ) -> Result<Answer, Failure> {
        let started = clock::now();
        let model = model.unwrap_or(&request.model);
        let asked = Asked::read(request, &self.provider.simulated, fastrand::f64())?;
        if let Some(Breaks::AtOnce(failure)) = asked.breaks() {
            return Err(failure.clone());
        }
        if request.operation == Operation::Embed {
            let whole = vector::embeddings(asked.document(), model)?;
            sleep_until(clock::at(started + asked.first_token())).await;
            return asked.outcome_without_tokens().await.map(|()| Answer::Whole(whole));
        }
        if request.operation == Operation::Image {
            let whole = picture::images(request, asked.document(), model)?;
            sleep_until(clock::at(started + asked.first_token())).await;
            return asked.outcome_without_tokens().await.map(|()| Answer::Whole(whole));
        }
        let script = asked.script(request, model, max_tokens.or(request.max_tokens))?;
        if request.stream {
            return Ok(Answer::Stream(Chunks::from_simulated(SimulatedStream::new(script, started))));
        }
        let last = script.breaks_at().unwrap_or(script.steps());
        sleep_until(clock::at(started + script.due(last))).await;
        match script.breaks {
            None => Ok(Answer::Whole(render::whole(&script))),
            Some(breaks) => Err(breaks.failure().await),
        }
    }
}

/// An answer as its tokens come.
#[derive(Debug)]
pub struct SimulatedStream {
    script: Box<Script>,
    started: Moment,
    /// The step that comes next; one past the last once all is said.
    next: usize,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl SimulatedStream {
    fn new(script: Script, started: Moment) -> Self {
        Self { script: Box::new(script), started, next: 0, sleep: None }
    }

    /// The next events, those that are due together; `None` once the answer is complete. After an error comes
    /// nothing more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        let steps = self.script.steps();
        if self.next > steps {
            return Poll::Ready(None);
        }
        ready!(self.poll_due(cx));
        let now = clock::now();
        let until = self.script.breaks_at().unwrap_or(steps + 1);
        let (mut chunk, mut events) = (Chunk::default(), BytesMut::new());
        if self.next == 0 && until > 0 {
            render::opening(&self.script, &mut events);
            chunk.model = Some(self.script.model.clone());
        }
        while self.next < until && self.due(self.next) <= now {
            render::step(&self.script, self.next, &mut events, &mut chunk);
            self.next += 1;
        }
        if !events.is_empty() {
            chunk.events = events.freeze();
            return Poll::Ready(Some(Ok(chunk)));
        }
        match &self.script.breaks {
            // It has gone silent: whoever waits has a timer.
            Some(Breaks::Silently { .. }) => Poll::Pending,
            Some(Breaks::AtOnce(failure) | Breaks::After { failure, .. }) => {
                self.next = steps + 1;
                Poll::Ready(Some(Err(failure.clone())))
            }
            None => Poll::Ready(None),
        }
    }

    fn due(&self, step: usize) -> Moment {
        self.started + self.script.due(step)
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let due = self.due(self.next);
        if due <= clock::now() {
            return Poll::Ready(());
        }
        let due = clock::at(due);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests;
