//! An answer's body: nothing, a document, or a stream of events.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::render;
use crate::call::stream::Stream;

/// A response's body.
#[derive(Debug)]
pub enum Body {
    /// All that is left to send; `None` once it has been.
    Whole(Option<Bytes>),
    /// Events, from the first token on.
    Events(Box<Stream>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Events(stream) => match ready!(stream.poll_next(cx)) {
                Some(Ok(chunk)) => return Poll::Ready(Some(Ok(Frame::data(chunk.events)))),
                Some(Err(failure)) => render::error_event(&failure, &stream.outcome().correlation_id),
                None => Bytes::from_static(b"data: [DONE]\n\n"),
            },
        };
        // The last event, good or bad: nothing follows it.
        *self = Self::Whole(None);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
