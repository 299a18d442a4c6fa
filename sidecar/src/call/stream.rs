//! An answer that has begun: from the first token on, it goes to its end or ends with an error that says so.

use std::task::{Context, Poll};

use crate::{chat::answer::Chunk, error::Failure};

/// What is left of an answer that has begun.
#[derive(Debug)]
pub struct Stream {}

impl Stream {
    /// The next events; `None` once the answer is complete. After an error comes nothing more.
    pub fn poll_next(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        Poll::Ready(None)
    }
}
