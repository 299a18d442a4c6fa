//! Calls with one idempotency key that are in flight at once are one call: the first goes its way, and all
//! that came meanwhile hear its answer.
//!
//! The way is gone on a task of its own, which ends with the last of those who listen. Calls that have been
//! answered are not remembered here.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::Sleep};

use super::{Answered, Call, Refused, Reply, Sidecar, outcome::Outcome, stream::Stream};
use crate::{
    chat::answer::{Chunk, Whole},
    clock,
    error::{ErrorKind, Failure, FieldFault},
};

/// Bytes of a streamed answer that are kept for those who come late.
const MAX_KEPT: usize = 64 << 20;

/// How long after its deadline a call waits for the word of the one under way, which has the same deadline if it is
/// its own and knows more to say.
const GRACE: Duration = Duration::from_millis(3);

/// The calls in flight under a key.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    calls: Mutex<HashMap<Arc<str>, Weak<Told>>>,
    hasher: RandomState,
}

/// One call's answer as it is told to several.
#[derive(Debug)]
pub(super) struct Told {
    /// What was asked, so that one key is not used for two questions.
    fingerprint: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    head: Option<Head>,
    chunks: Vec<Chunk>,
    kept: usize,
    /// How the stream ended.
    end: Option<Result<(), Failure>>,
    wakers: Vec<Waker>,
    task: Option<AbortHandle>,
}

#[derive(Debug, Clone)]
enum Head {
    Whole(Outcome, Whole),
    Stream(Outcome),
    Refused(Failure, Outcome),
}

/// Answers `call`, or listens to the equal call that is under way.
///
/// # Errors
/// As that call ends; or the key is in use for another question.
pub(super) async fn join(sidecar: &Sidecar, key: Arc<str>, call: Call) -> Result<Answered, Box<Refused>> {
    let told = match sidecar.shared.in_flight.enter(sidecar, key, &call) {
        Ok(told) => told,
        Err(failure) => return Err(sidecar.turned_away(&call, failure)),
    };
    let until = call.timeout.map(|patience| clock::at(call.arrived + patience + GRACE));
    let head = poll_fn(|cx| told.poll_head(cx));
    let head = match until {
        None => head.await,
        Some(until) => match tokio::time::timeout_at(until, head).await {
            Ok(head) => head,
            Err(_) => return Err(sidecar.turned_away(&call, too_late())),
        },
    };
    let own = |outcome: Outcome| Outcome { correlation_id: Arc::clone(&call.correlation_id), ..outcome };
    match head {
        Head::Whole(outcome, whole) => Ok(Answered { outcome: own(outcome), reply: Reply::Whole(whole) }),
        Head::Stream(outcome) => {
            let outcome = own(outcome);
            let ends = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
            let listener = Listener { told: Arc::clone(&told), next: 0, ends, outcome: outcome.clone() };
            Ok(Answered { outcome, reply: Reply::Stream(Stream::Told(listener)) })
        }
        Head::Refused(failure, outcome) => Err(Box::new(Refused { failure, outcome: own(outcome) })),
    }
}

impl InFlight {
    fn enter(&self, sidecar: &Sidecar, key: Arc<str>, call: &Call) -> Result<Arc<Told>, Failure> {
        let fingerprint = self.hasher.hash_one((call.request.operation, &call.request.body));
        let mut calls = self.calls.lock();
        match calls.get(&key).and_then(Weak::upgrade) {
            Some(told) if told.fingerprint == fingerprint => Ok(told),
            Some(_) => Err(Failure::fields(vec![FieldFault {
                path: "idempotency-key".into(),
                message: "is in use for a different call that is still under way; use a new key".into(),
            }])),
            None => {
                let told = Arc::new(Told { fingerprint, state: Mutex::default() });
                calls.insert(Arc::clone(&key), Arc::downgrade(&told));
                let teller =
                    Teller { told: Arc::downgrade(&told), key, sidecar: sidecar.clone(), outcome: Outcome::new(call) };
                #[allow(clippy::disallowed_methods, reason = "owned by Told, which ends it when nobody listens")]
                let task = tokio::spawn(teller.tell(call.clone()));
                told.state.lock().task = Some(task.abort_handle());
                Ok(told)
            }
        }
    }
}

/// Goes the call's way and tells of it.
struct Teller {
    told: Weak<Told>,
    key: Arc<str>,
    sidecar: Sidecar,
    /// What is told if the way ends without a word.
    outcome: Outcome,
}

impl Teller {
    async fn tell(self, call: Call) {
        let (head, stream) = match self.sidecar.answer_alone(call).await {
            Ok(Answered { outcome, reply: Reply::Whole(whole) }) => (Head::Whole(outcome, whole), None),
            Ok(Answered { outcome, reply: Reply::Stream(stream) }) => (Head::Stream(outcome), Some(stream)),
            Err(refused) => (Head::Refused(refused.failure, refused.outcome), None),
        };
        self.update(|state| state.head = Some(head));
        let Some(mut stream) = stream else { return };
        loop {
            let next = poll_fn(|cx| stream.poll_next(cx)).await;
            let mut over = false;
            self.update(|state| over = state.hear(next));
            if over {
                return;
            }
        }
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if let Some(told) = self.told.upgrade() {
            let mut state = told.state.lock();
            change(&mut state);
            state.wake();
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let mut calls = self.sidecar.shared.in_flight.calls.lock();
        if let Entry::Occupied(entry) = calls.entry(Arc::clone(&self.key))
            && entry.get().ptr_eq(&self.told)
        {
            entry.remove();
        }
        drop(calls);
        // Whatever happened here, nobody is left waiting.
        self.update(|state| match &state.head {
            None => state.head = Some(Head::Refused(lost(), self.outcome.clone())),
            Some(Head::Stream(_)) => {
                state.end.get_or_insert_with(|| Err(lost()));
            }
            Some(Head::Whole(..) | Head::Refused(..)) => {}
        });
    }
}

fn too_late() -> Failure {
    Failure::new(ErrorKind::InferenceTimeout, "the call's deadline passed before the equal call under way was answered")
}

fn lost() -> Failure {
    Failure::new(ErrorKind::InternalError, "the call under way was lost")
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

    /// Takes the stream's next events, and says whether they were the last.
    fn hear(&mut self, next: Option<Result<Chunk, Failure>>) -> bool {
        match next {
            Some(Ok(chunk)) => {
                self.kept += chunk.events.len();
                self.chunks.push(chunk);
                if self.kept > MAX_KEPT {
                    let message = "the answer is too long to be shared under an idempotency key";
                    self.end = Some(Err(Failure::new(ErrorKind::StreamBroken, message)));
                }
            }
            Some(Err(failure)) => self.end = Some(Err(failure)),
            None => self.end = Some(Ok(())),
        }
        self.end.is_some()
    }
}

impl Told {
    fn poll_head(&self, cx: &Context<'_>) -> Poll<Head> {
        let mut state = self.state.lock();
        if let Some(head) = &state.head {
            return Poll::Ready(head.clone());
        }
        state.wait(cx);
        Poll::Pending
    }
}

/// One of those who hear a streamed answer, from its first token on.
#[derive(Debug)]
pub struct Listener {
    told: Arc<Told>,
    next: usize,
    /// This listener's own deadline.
    ends: Option<Pin<Box<Sleep>>>,
    outcome: Outcome,
}

impl Listener {
    pub(super) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        if self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(cx).is_ready()) {
            (self.ends, self.next) = (None, usize::MAX);
            return Poll::Ready(Some(Err(too_late())));
        }
        if self.next == usize::MAX {
            return Poll::Ready(None);
        }
        let mut state = self.told.state.lock();
        if let Some(chunk) = state.chunks.get(self.next) {
            self.next += 1;
            return Poll::Ready(Some(Ok(chunk.clone())));
        }
        match &state.end {
            Some(end) if self.next == state.chunks.len() => {
                self.next += 1;
                Poll::Ready(end.clone().err().map(Err))
            }
            Some(_) => Poll::Ready(None),
            None => {
                state.wait(cx);
                Poll::Pending
            }
        }
    }
}

impl Drop for Told {
    /// Nobody listens any more.
    fn drop(&mut self) {
        if let Some(task) = self.state.get_mut().task.take() {
            task.abort();
        }
    }
}
