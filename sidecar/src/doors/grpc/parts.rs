//! An answer as it is produced: the engine's events one by one, as the contract's messages.
//!
//! Why the answer ended is held back until the engine has closed it, so that a stream that breaks
//! never shows a finish. Dropping this drops the engine's stream, and with it the work upstream.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use fusebox_proto::v1;
use futures_core::Stream;
use tonic::Status;

use super::{
    from_chat::{self, Delta},
    outcome, status,
};
use crate::{
    call::{
        Refused,
        outcome::{Outcome, Quality},
    },
    chat::{
        answer::{Chunk, Finish, Usage},
        sse,
    },
    error::{ErrorKind, Failure},
};

/// The messages of one answer. `S` is dropped as soon as it has ended.
#[derive(Debug)]
pub(super) struct Parts<S> {
    /// Where events come from; `None`: all have come.
    source: Option<S>,
    /// Events that have come and are not yet translated.
    unread: Bytes,
    /// How far they have been.
    read: usize,
    /// The answer's id, from the first event that told it.
    id: String,
    finish: Option<Finish>,
    usage: Option<Usage>,
    how: Outcome,
    /// Where the source tells how the answer came about in the end.
    told_by: fn(&S) -> Option<&Outcome>,
    /// The message that ends the answer.
    last: Option<v1::StreamGenerateResponse>,
}

impl<S: Stream<Item = Result<Chunk, Failure>> + Unpin> Parts<S> {
    /// An answer that has begun.
    pub(super) fn begun(source: S, how: Outcome) -> Self {
        Self {
            source: Some(source),
            unread: Bytes::new(),
            read: 0,
            id: String::new(),
            finish: None,
            usage: None,
            how,
            told_by: |_| None,
            last: None,
        }
    }

    /// An answer that came whole.
    pub(super) fn whole(only: v1::StreamGenerateResponse, how: Outcome) -> Self {
        Self {
            source: None,
            unread: Bytes::new(),
            read: 0,
            id: String::new(),
            finish: None,
            usage: None,
            how,
            told_by: |_| None,
            last: Some(only),
        }
    }

    /// The same, with the outcome that its source tells in the end.
    pub(super) fn told_by(self, told_by: fn(&S) -> Option<&Outcome>) -> Self {
        Self { told_by, ..self }
    }

    /// Drops the source, once it has ended, and keeps what it says of how.
    fn drop_source(&mut self) {
        if let Some(how) = self.source.take().as_ref().and_then(self.told_by) {
            self.how.clone_from(how);
        }
    }

    /// Takes in what came together.
    fn take(&mut self, chunk: Chunk) {
        (self.unread, self.read) = (chunk.events, 0);
        self.finish = chunk.finish.or(self.finish);
        self.usage = chunk.usage.or(self.usage);
    }

    /// The next message among the unread events.
    fn next_unread(&mut self) -> Option<Result<v1::StreamGenerateResponse, Failure>> {
        while let Some(event) = sse::next_event(&self.unread, &mut self.read) {
            match from_chat::delta(&event.data) {
                Ok(delta) => {
                    if let Some(message) = self.message(delta) {
                        return Some(Ok(message));
                    }
                }
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    /// What `delta` shows; `None`: nothing.
    fn message(&mut self, delta: Delta) -> Option<v1::StreamGenerateResponse> {
        if self.id.is_empty() {
            self.id = delta.id;
        }
        if delta.text.is_empty() && delta.tool_calls.is_empty() {
            return None;
        }
        Some(v1::StreamGenerateResponse {
            id: self.id.clone(),
            text_delta: delta.text,
            tool_call_deltas: delta.tool_calls,
            ..v1::StreamGenerateResponse::default()
        })
    }

    /// The engine has closed the answer.
    fn close(&mut self) -> Result<(), Status> {
        self.drop_source();
        if self.finish.is_none() {
            return Err(self.broken(Failure::new(ErrorKind::StreamBroken, "the answer ended without saying why")));
        }
        self.last = Some(v1::StreamGenerateResponse {
            id: std::mem::take(&mut self.id),
            finish_reason: from_chat::finish_reason(self.finish).into(),
            usage: self.usage.map(from_chat::usage),
            outcome: Some(outcome::outcome(&self.how)),
            ..v1::StreamGenerateResponse::default()
        });
        Ok(())
    }

    /// The answer ends here, with an error.
    fn broken(&mut self, failure: Failure) -> Status {
        self.drop_source();
        self.unread = Bytes::new();
        // When it began this was a success's outcome.
        self.how.source = None;
        self.how.quality = Quality::Unavailable;
        if let Some(last) = self.how.attempts.last_mut().filter(|last| last.error.is_none()) {
            last.error = Some(failure.kind);
        }
        status::refused(&Refused { failure, outcome: self.how.clone() })
    }
}

impl<S: Stream<Item = Result<Chunk, Failure>> + Unpin> Stream for Parts<S> {
    type Item = Result<v1::StreamGenerateResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(read) = this.next_unread() {
                return Poll::Ready(Some(read.map_err(|failure| this.broken(failure))));
            }
            let Some(source) = &mut this.source else {
                return Poll::Ready(this.last.take().map(Ok));
            };
            match ready!(Pin::new(source).poll_next(cx)) {
                Some(Ok(chunk)) => this.take(chunk),
                Some(Err(failure)) => return Poll::Ready(Some(Err(this.broken(failure)))),
                None => {
                    if let Err(status) = this.close() {
                        return Poll::Ready(Some(Err(status)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
