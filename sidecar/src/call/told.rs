//! One call's answer as it is told to several, each of whom hears all of it from its beginning.
//!
//! Who they are, and who tells it, is said in `inflight`.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep},
};

use super::{
    outcome::{Outcome, Quality},
    way::{End, Way},
};
use crate::{
    chat::answer::{Chunk, Finish, Usage, Whole},
    digest::Digest,
    error::{ErrorKind, Failure},
    telemetry::Identity,
};

/// Bytes of a streamed answer that are kept for those who come late.
const MAX_KEPT: usize = 64 << 20;

/// What is said of a call, from its beginning. Dropped, nobody listens any more, and whoever tells it is ended.
#[derive(Debug)]
pub(super) struct Told {
    /// What was asked.
    pub(super) fingerprint: Digest,
    /// Whose trace tells of it.
    pub(super) identity: Identity,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    chunks: Vec<Chunk>,
    kept: usize,
    /// How the stream ended, and how it came about as a whole.
    end: Option<(Result<(), Failure>, Outcome)>,
    wakers: Vec<Waker>,
    teller: Option<AbortHandle>,
}

/// What is told first.
#[derive(Debug, Clone)]
pub(super) enum Head {
    Whole(Outcome, Whole),
    Stream(Outcome),
    Refused(Failure, Outcome),
}

impl Head {
    /// Whether it is as good an answer, or as final a failure, for everyone who asks the same: not one that its caller's
    /// own options, deadline or budget made what it is.
    pub(super) fn serves_all(&self) -> bool {
        match self {
            Self::Whole(outcome, _) | Self::Stream(outcome) => {
                matches!(outcome.quality, Quality::Full | Quality::Cached)
            }
            Self::Refused(failure, _) => matches!(
                failure.kind,
                ErrorKind::InvalidInput | ErrorKind::ContentFiltered | ErrorKind::ContextLengthExceeded
            ),
        }
    }
}

impl Told {
    /// Of which nothing has been said yet.
    pub(super) fn new(fingerprint: Digest, identity: Identity) -> Self {
        Self { fingerprint, identity, state: Mutex::default() }
    }

    /// Ends `teller` when nobody listens any more.
    pub(super) fn is_told_by(&self, teller: AbortHandle) {
        self.state.lock().teller = Some(teller);
    }

    /// Says how the answer begins.
    pub(super) fn begin(&self, head: Head) {
        let mut state = self.state.lock();
        state.head = Some(head);
        state.wake();
    }

    /// Says a stream's next events, and whether they were the last; `outcome`: how it came about as far as it has come.
    pub(super) fn go_on(&self, next: Option<Result<Chunk, Failure>>, outcome: &Outcome) -> bool {
        let mut state = self.state.lock();
        let end = match next {
            Some(Ok(chunk)) => {
                state.kept += chunk.events.len();
                state.chunks.push(chunk);
                (state.kept > MAX_KEPT).then(|| Err(too_long()))
            }
            Some(Err(failure)) => Some(Err(failure)),
            None => Some(Ok(())),
        };
        state.end = end.map(|end| (end, outcome.clone()));
        state.wake();
        state.end.is_some()
    }

    /// Nobody tells of it any more: what has not come to its end ends with `failure`.
    pub(super) fn fall_silent(&self, failure: Failure, outcome: &Outcome) {
        let mut state = self.state.lock();
        match &state.head {
            None => state.head = Some(Head::Refused(failure, outcome.clone())),
            Some(Head::Stream(begun)) if state.end.is_none() => state.end = Some((Err(failure), begun.clone())),
            Some(_) => {}
        }
        state.wake();
    }

    /// All of a stream that was said so far, as one.
    pub(super) fn said(&self) -> Chunk {
        let state = self.state.lock();
        let mut events = Vec::with_capacity(state.kept);
        state.chunks.iter().for_each(|chunk| events.extend_from_slice(&chunk.events));
        Chunk {
            events: Bytes::from(events),
            tokens: state.chunks.iter().map(|chunk| chunk.tokens).sum(),
            finish: state.chunks.iter().find_map(|chunk| chunk.finish),
            usage: state.chunks.iter().rev().find_map(|chunk| chunk.usage),
            model: state.chunks.iter().find_map(|chunk| chunk.model.clone()),
        }
    }

    /// What is told first; `None`: `until` came before it.
    pub(super) async fn head(&self, until: Option<Instant>) -> Option<Head> {
        let head = poll_fn(|cx| self.poll_head(cx));
        match until {
            None => Some(head.await),
            Some(until) => tokio::time::timeout_at(until, head).await.ok(),
        }
    }

    fn poll_head(&self, cx: &Context<'_>) -> Poll<Head> {
        let mut state = self.state.lock();
        if let Some(head) = &state.head {
            return Poll::Ready(head.clone());
        }
        state.wait(cx);
        Poll::Pending
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(teller) = self.state.get_mut().teller.take() {
            teller.abort();
        }
    }
}

impl State {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn wait(&mut self, cx: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }
}

fn too_long() -> Failure {
    Failure::new(ErrorKind::StreamBroken, "the answer is too long to be told to several calls")
}

/// The listener's own deadline came first.
pub(super) fn too_late() -> Failure {
    Failure::new(ErrorKind::InferenceTimeout, "the call's deadline passed before the equal call under way was answered")
}

/// One of those who hear a streamed answer, from its first token on.
#[derive(Debug)]
pub struct Listener {
    told: Arc<Told>,
    next: usize,
    /// This listener's own deadline.
    ends: Option<Pin<Box<Sleep>>>,
    outcome: Outcome,
    /// Of a listener who came behind; until the end, which is told there.
    way: Option<Box<Way>>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Listener {
    pub(super) fn new(told: Arc<Told>, until: Option<Instant>, outcome: Outcome, way: Option<Box<Way>>) -> Self {
        let ends = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
        Self { told, next: 0, ends, outcome, way, finish: None, usage: None, model: None }
    }

    pub(super) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        if self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(cx).is_ready()) {
            (self.ends, self.next) = (None, usize::MAX);
            return Poll::Ready(self.ended(Some(too_late()), None));
        }
        if self.next == usize::MAX {
            return Poll::Ready(None);
        }
        let mut state = self.told.state.lock();
        if let Some(chunk) = state.chunks.get(self.next).cloned() {
            drop(state);
            self.next += 1;
            self.finish = self.finish.or(chunk.finish);
            self.usage = chunk.usage.or(self.usage);
            if self.model.is_none() {
                self.model.clone_from(&chunk.model);
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
        let Some((end, outcome)) = state.end.clone() else {
            state.wait(cx);
            return Poll::Pending;
        };
        drop(state);
        (self.ends, self.next) = (None, usize::MAX);
        Poll::Ready(self.ended(end.err(), Some(outcome)))
    }

    /// Tells of the end where that is this listener's to tell; `outcome`: of the call that was listened to.
    fn ended(&mut self, failure: Option<Failure>, outcome: Option<Outcome>) -> Option<Result<Chunk, Failure>> {
        if let Some(way) = self.way.take() {
            let model = self.model.as_deref();
            let end = End { error: failure.as_ref(), finish: self.finish, usage: self.usage, model, ..End::default() };
            self.outcome = way.ended(&end);
        } else if let Some(outcome) = outcome {
            self.outcome = outcome;
        }
        failure.map(Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_listener_hears_how_a_stream_came_about_as_a_whole() {
        let begun = Outcome::untried(&"c".into());
        let told = Arc::new(Told::new(Digest::of(b""), Identity::default()));
        told.begin(Head::Stream(begun.clone()));
        let mut listener = Listener::new(Arc::clone(&told), None, begun.clone(), None);
        assert!(!told.go_on(Some(Ok(Chunk::default())), &begun));
        let whole = Outcome { limited: true, ..begun.clone() };
        assert!(told.go_on(None, &whole));
        assert_eq!(poll_fn(|cx| listener.poll_next(cx)).await, Some(Ok(Chunk::default())));
        assert_eq!(listener.outcome(), &begun);
        assert_eq!(poll_fn(|cx| listener.poll_next(cx)).await, None);
        assert_eq!(listener.outcome(), &whole);
    }

    #[tokio::test]
    async fn whoever_tells_and_falls_silent_leaves_nobody_waiting() {
        let outcome = Outcome::untried(&"c".into());
        let told = Arc::new(Told::new(Digest::of(b""), Identity::default()));
        told.fall_silent(too_long(), &outcome);
        assert!(matches!(told.head(None).await, Some(Head::Refused(..))));
        let told = Arc::new(Told::new(Digest::of(b""), Identity::default()));
        told.begin(Head::Stream(outcome.clone()));
        let mut listener = Listener::new(Arc::clone(&told), None, outcome.clone(), None);
        told.fall_silent(too_long(), &outcome);
        assert_eq!(poll_fn(|cx| listener.poll_next(cx)).await, Some(Err(too_long())));
        assert_eq!(poll_fn(|cx| listener.poll_next(cx)).await, None);
    }
}
