//! An answer that has begun: from the first token on, it goes to its end or ends with an error that says so.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use crate::{chat::answer::Chunk, error::Failure};

/// What is left of an answer that has begun.
pub struct Stream(Pin<Box<dyn futures_core::Stream<Item = Result<Chunk, Failure>> + Send>>);

impl Stream {
    /// An answer that goes as `inner` goes.
    #[must_use]
    pub fn new(inner: impl futures_core::Stream<Item = Result<Chunk, Failure>> + Send + 'static) -> Self {
        Self(Box::pin(inner))
    }

    /// The next events; `None` once the answer is complete. After an error comes nothing more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl futures_core::Stream for Stream {
    type Item = Result<Chunk, Failure>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}
