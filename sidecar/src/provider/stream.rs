//! A provider's stream, event by event, to an end that is known to be one.
//!
//! It is complete only if the provider said why it finished. Timers are the caller's.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::{anthropic, http, openai, simulated::SimulatedStream};
use crate::{
    chat::{
        answer::Chunk,
        sse::{Events, Reader},
    },
    error::{ErrorKind, Failure},
};

/// Once a provider has said why it finished, only its count of tokens may follow. This long is waited for it,
/// since some neither send `[DONE]` nor close.
const TAIL: Duration = Duration::from_millis(200);

/// What is left of a provider's stream.
#[derive(Debug)]
pub struct Chunks(Source);

#[derive(Debug)]
enum Source {
    Http(Box<HttpStream>),
    Simulated(Box<SimulatedStream>),
}

impl Chunks {
    pub(super) fn from_http(body: Incoming, dialect: Dialect, max_event: usize) -> Self {
        let reader = Reader::new(max_event);
        Self(Source::Http(Box::new(HttpStream { body: Some(body), reader, dialect, broken: None, tail: None })))
    }

    pub(super) fn from_simulated(stream: SimulatedStream) -> Self {
        Self(Source::Simulated(Box::new(stream)))
    }

    /// The next events; `None` once the answer is known to be complete. After an error comes nothing more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        match &mut self.0 {
            Source::Http(stream) => stream.poll_next(cx),
            Source::Simulated(stream) => stream.poll_next(cx),
        }
    }
}

/// How a vendor's events are read.
#[derive(Debug)]
pub(super) enum Dialect {
    OpenAi(openai::Progress),
    Anthropic(anthropic::Progress),
}

impl Dialect {
    fn take(&mut self, events: &Events) -> (Chunk, Option<Failure>) {
        match self {
            Self::OpenAi(progress) => progress.take(events),
            Self::Anthropic(progress) => progress.take(events),
        }
    }

    const fn is_done(&self) -> bool {
        match self {
            Self::OpenAi(progress) => progress.is_done(),
            Self::Anthropic(progress) => progress.is_done(),
        }
    }

    const fn has_finished(&self) -> bool {
        match self {
            Self::OpenAi(progress) => progress.has_finished(),
            Self::Anthropic(progress) => progress.has_finished(),
        }
    }

    fn judge(&self) -> Result<(), Failure> {
        match self {
            Self::OpenAi(progress) => progress.judge(),
            Self::Anthropic(progress) => progress.judge(),
        }
    }
}

#[derive(Debug)]
struct HttpStream {
    /// `None` once nothing more is read of it.
    body: Option<Incoming>,
    reader: Reader,
    dialect: Dialect,
    /// A fault that came behind events that were still good.
    broken: Option<Failure>,
    tail: Option<Pin<Box<Sleep>>>,
}

impl HttpStream {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        loop {
            if let Some(failure) = self.broken.take() {
                self.body = None;
                return Poll::Ready(Some(Err(failure)));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            let events = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    match self.reader.push(frame.into_data().unwrap_or_else(|_| Bytes::new())) {
                        Ok(events) => events,
                        Err(too_long) => {
                            self.broken = Some(Failure::new(ErrorKind::StreamBroken, too_long.to_string()));
                            continue;
                        }
                    }
                }
                Poll::Ready(Some(Err(error))) => return self.end(Some(&error)),
                Poll::Ready(None) => return self.end(None),
                Poll::Pending => {
                    ready!(self.poll_tail(cx));
                    return self.end(None);
                }
            };
            if let Some(chunk) = self.take(&events) {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }

    /// Reads events; at `[DONE]` the answer is complete, and the connection is left to serve again.
    fn take(&mut self, events: &Events) -> Option<Chunk> {
        if events.is_empty() {
            return None;
        }
        let (chunk, broken) = self.dialect.take(events);
        self.broken = broken;
        if self.broken.is_none() && self.dialect.is_done() {
            self.broken = self.dialect.judge().err();
            if let Some(body) = self.body.take() {
                http::drain(body);
            }
        }
        (!chunk.events.is_empty()).then_some(chunk)
    }

    fn poll_tail(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.dialect.has_finished() {
            return Poll::Pending;
        }
        self.tail.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAIL))).as_mut().poll(cx)
    }

    /// The connection closed, broke, or has nothing more to say.
    fn end(&mut self, error: Option<&hyper::Error>) -> Poll<Option<Result<Chunk, Failure>>> {
        self.body = None;
        let events = self.reader.finish();
        let chunk = self.take(&events);
        if self.broken.is_none() {
            self.broken = self.dialect.judge().err().map(|failure| match error {
                Some(error) => failure.inside(http::chain(error)),
                None => failure,
            });
        }
        match chunk {
            Some(chunk) => Poll::Ready(Some(Ok(chunk))),
            None => Poll::Ready(self.broken.take().map(Err)),
        }
    }
}
