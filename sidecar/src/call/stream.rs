//! An answer that has begun: from its first token on it goes to its end, here or elsewhere, or ends with an error that
//! says how far it got.
//!
//! What has been said cannot be unsaid: whatever goes on with it says the rest and nothing twice.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    attempt::Begun,
    outcome::Outcome,
    source::{Mended, Next, Rest, Source},
    told::Listener,
    way::Way,
};
use crate::{chat::answer::Chunk, error::Failure};

/// What is left of an answer that has begun.
#[derive(Debug)]
pub enum Stream {
    /// It is this call's own.
    Live(Box<Live>),
    /// It is told by a task, to this call and perhaps to equal ones.
    Told(Box<Listener>),
    /// It is all there: what is left of it, and how it came about.
    Ready(Option<Chunk>, Box<Outcome>),
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
    pub(super) fn live(way: Box<Way>, seat: usize, begun: Box<Begun>, ending: WaitForCancellationFutureOwned) -> Self {
        Self::Live(Box::new(Live::new(way, seat, *begun, ending)))
    }

    /// An answer that is all there.
    pub(super) fn ready(chunk: Chunk, outcome: Outcome) -> Self {
        Self::Ready(Some(chunk), Box::new(outcome))
    }

    /// How the answer came about: as far as its first token, and as a whole once it has ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Live(live) => &live.outcome,
            Self::Told(listener) => listener.outcome(),
            Self::Ready(_, outcome) => outcome,
            #[cfg(test)]
            Self::Scripted(script) => &script.outcome,
        }
    }

    /// The next events; `None` once the answer is complete. After an error comes nothing more.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        match self {
            Self::Live(live) => live.poll_next(cx),
            Self::Told(listener) => listener.poll_next(cx),
            Self::Ready(chunk, _) => Poll::Ready(chunk.take().map(Ok)),
            #[cfg(test)]
            Self::Scripted(script) => script.events.as_mut().poll_next(cx),
        }
    }
}

/// An answer that is read from its provider, and from another where that one breaks off.
pub struct Live {
    /// What is to be passed on next.
    held: VecDeque<Chunk>,
    state: State,
    /// How it came about; as a whole, once it has ended.
    outcome: Outcome,
}

enum State {
    Reading(Box<Rest>),
    /// It broke, and who could go on with it is being asked.
    Mending(Pin<Box<dyn Future<Output = Mended> + Send>>),
    /// For good or ill.
    Ended,
}

impl Live {
    fn new(way: Box<Way>, seat: usize, begun: Begun, ending: WaitForCancellationFutureOwned) -> Self {
        let outcome = way.outcome.clone();
        let (source, held) = Source::new(&way, seat, begun, None);
        let rest = Box::new(Rest::new(way, source, ending));
        Self { held: held.into(), state: State::Reading(rest), outcome }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        loop {
            if let Some(mut chunk) = self.held.pop_front() {
                if !self.takes(&mut chunk) {
                    continue;
                }
                return Poll::Ready(Some(Ok(chunk)));
            }
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Mending(mending) => match ready!(mending.as_mut().poll(cx)) {
                    Mended::GoesOn(rest, held) => {
                        self.outcome.clone_from(&rest.way.outcome);
                        (self.state, self.held) = (State::Reading(rest), held);
                    }
                    Mended::Ended(ended) => {
                        let (failure, outcome) = *ended;
                        (self.state, self.outcome) = (State::Ended, outcome);
                        return Poll::Ready(Some(Err(failure)));
                    }
                },
                State::Reading(rest) => match ready!(rest.poll_next(cx)) {
                    Next::Chunk(chunk) => self.held.push_back(chunk),
                    Next::Complete => {
                        if let State::Reading(rest) = std::mem::replace(&mut self.state, State::Ended) {
                            self.outcome = rest.complete();
                        }
                    }
                    Next::Stopped(cause) => {
                        if let State::Reading(rest) = std::mem::replace(&mut self.state, State::Ended) {
                            self.state = State::Mending(Box::pin(rest.mend(cause)));
                        }
                    }
                },
            }
        }
    }

    /// Whether anything of `chunk` may be passed on; what may is kept, for the case that what follows does not come.
    fn takes(&mut self, chunk: &mut Chunk) -> bool {
        if let State::Reading(rest) = &mut self.state {
            rest.check(chunk);
            if chunk.events.is_empty() {
                return false;
            }
            rest.note(chunk);
        }
        true
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
