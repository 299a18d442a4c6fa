//! Calls that are one call: those under one idempotency key, and equal questions where the cache is read first.
//!
//! The first goes its way, and all that come meanwhile hear its answer. The way is gone on a task of its own, which ends
//! with the last of those who listen. Under a key, those that come later get the answer too, for as long as it is
//! remembered; a failure is not, so that sending the call again can mend it.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    task::AbortHandle,
    time::{Instant, Sleep},
};

use super::{
    Answered, Call, Refused, Reply, Sidecar,
    outcome::{Outcome, Quality, Source},
    recall::{self, Ready},
    stream::Stream,
    way::{End, Way},
};
use crate::{
    cache::{Found, Weigh},
    chat::{
        answer::{Chunk, Finish, Usage, Whole},
        replay,
    },
    clock,
    config::CacheMode,
    digest::{Digest, Digester},
    error::{ErrorKind, Failure, FieldFault},
    telemetry::CacheResult,
};

/// Bytes of a streamed answer that are kept for those who come late.
const MAX_KEPT: usize = 64 << 20;

/// How often a call waits for another whose end is no use to it. After that it shares even a failure: whatever fails
/// one after the other would fail them all.
const MAX_WAITS: u32 = 3;

/// How long after its deadline a call waits for the word of the one under way, which has the same deadline if it is
/// its own and knows more to say.
const GRACE: Duration = Duration::from_millis(3);

/// The calls in flight that others may join.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    calls: Mutex<HashMap<Digest, Weak<Told>>>,
}

/// Why and by what calls are one.
#[derive(Debug)]
pub(super) struct Sharing {
    id: Digest,
    /// What was asked, so that one key is not used for two questions.
    fingerprint: Digest,
    why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Their callers say so, by an idempotency key.
    Key,
    /// They ask the same, and may be answered from the cache.
    Question,
}

impl Sharing {
    /// `None`: the call is for itself.
    pub(super) fn of(sidecar: &Sidecar, call: &Call) -> Option<Self> {
        let mut digester = Digester::new();
        if let Some(key) = &call.options.idempotency_key {
            digester.digest(call.options.token.unwrap_or(Digest::ZERO));
            digester.bytes(key.as_bytes());
            let mut asked = Digester::new();
            asked.bytes(call.request.operation.name().as_bytes());
            asked.bytes(&call.request.body);
            return Some(Self { id: digester.finish(), fingerprint: asked.finish(), why: Why::Key });
        }
        // A run pays for each of its calls, so each goes its own way.
        if call.options.run_id.is_some() {
            return None;
        }
        let current = sidecar.shared.current.load();
        let config = &current.plan.config;
        if recall::mode(call, config) != CacheMode::Prefer {
            return None;
        }
        let question = recall::key(call, config)?;
        // What is known already need not be waited for.
        if let Found::Fresh(..) = sidecar.shared.memory.answers.find(question, config.cache.ttl, clock::now()) {
            return None;
        }
        // Who listens in gets the very bytes, so they must be those that it asked for.
        digester.digest(question);
        digester.mark(u8::from(call.request.stream));
        digester.mark(u8::from(call.request.stream && replay::asks_for_usage(&call.request.body)));
        let id = digester.finish();
        Some(Self { id, fingerprint: id, why: Why::Question })
    }
}

/// One call's answer as it is told to several.
#[derive(Debug)]
pub(super) struct Told {
    fingerprint: Digest,
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

/// What a call found as it came.
enum Entered {
    /// Nobody: its way is gone by a task, to which it listens.
    First(Arc<Told>),
    /// An equal call under way.
    Behind(Arc<Told>, Box<Way>),
    /// An equal call's answer, so old.
    Again(Arc<Replay>, Duration, Box<Way>),
    /// Another call under its key.
    Refused(Failure, Box<Way>),
}

/// Answers `call`, or listens to the equal call that is under way.
///
/// # Errors
/// As that call ends; or the key is in use for another question.
pub(super) async fn join(sidecar: &Sidecar, sharing: &Sharing, call: Call) -> Result<Answered, Box<Refused>> {
    let until = call.timeout.map(|patience| clock::at(call.arrived + patience + GRACE));
    let untried = Outcome::new(&call);
    let mut way = Box::new(Way::begin(sidecar, call)?);
    let mut waits = 0;
    loop {
        match sidecar.shared.in_flight.enter(sidecar, sharing, way) {
            // Its end is told where its way is.
            Entered::First(told) => return told.first(until, untried).await,
            Entered::Again(replay, age, way) => return Ok(replay.told(*way, age)),
            Entered::Refused(failure, way) => return Err(way.refused(failure)),
            Entered::Behind(told, behind) => {
                way = behind;
                if let Err(failure) = way.has_place() {
                    return Err(way.refused(failure));
                }
                let Some(head) = told.head(until).await else { return Err(way.refused(too_late())) };
                waits += 1;
                if sharing.why == Why::Key || head.serves_all() {
                    return told.behind(*way, head, until, sharing.why);
                }
                match head {
                    _ if waits < MAX_WAITS => {}
                    Head::Refused(failure, outcome) => {
                        way.outcome = Outcome { correlation_id: Arc::clone(&untried.correlation_id), ..outcome };
                        return Err(way.refused(failure));
                    }
                    Head::Whole(..) | Head::Stream(_) => return sidecar.answer_alone(*way).await,
                }
            }
        }
    }
}

impl InFlight {
    fn enter(&self, sidecar: &Sidecar, sharing: &Sharing, mut way: Box<Way>) -> Entered {
        let in_use = || {
            Failure::fields(vec![FieldFault {
                path: "idempotency-key".into(),
                message: "is in use for a different call; use a new key".into(),
            }])
        };
        let mut calls = self.calls.lock();
        if let Some(told) = calls.get(&sharing.id).and_then(Weak::upgrade) {
            let same = told.fingerprint == sharing.fingerprint;
            return if same { Entered::Behind(told, way) } else { Entered::Refused(in_use(), way) };
        }
        if sharing.why == Why::Key {
            let ttl = way.plan().config.idempotency.ttl;
            if let Found::Fresh(replay, age) = sidecar.shared.memory.replays.find(sharing.id, ttl, clock::now()) {
                let same = replay.fingerprint == sharing.fingerprint;
                return if same { Entered::Again(replay, age, way) } else { Entered::Refused(in_use(), way) };
            }
        } else {
            // Others may go on listening when its own caller's time is up.
            way.outlives_its_caller = true;
        }
        let told = Arc::new(Told { fingerprint: sharing.fingerprint, state: Mutex::default() });
        calls.insert(sharing.id, Arc::downgrade(&told));
        let teller = Teller {
            told: Arc::downgrade(&told),
            id: sharing.id,
            remembers: (sharing.why == Why::Key).then_some(sharing.fingerprint),
            sidecar: sidecar.clone(),
            outcome: way.outcome.clone(),
        };
        #[allow(clippy::disallowed_methods, reason = "owned by Told, which ends it when nobody listens")]
        let task = tokio::spawn(teller.tell(way));
        told.state.lock().task = Some(task.abort_handle());
        Entered::First(told)
    }
}

impl Head {
    /// Whether it is as good an answer, or as final a failure, for everyone who asks the same: not one that its caller's
    /// own options, deadline or budget made what it is.
    fn serves_all(&self) -> bool {
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
    /// What is to be told first; `None`: `until` came before it.
    async fn head(&self, until: Option<Instant>) -> Option<Head> {
        let head = poll_fn(|cx| self.poll_head(cx));
        match until {
            None => Some(head.await),
            Some(until) => tokio::time::timeout_at(until, head).await.ok(),
        }
    }

    /// The answer for the caller whose way it is.
    async fn first(self: Arc<Self>, until: Option<Instant>, untried: Outcome) -> Result<Answered, Box<Refused>> {
        match self.head(until).await {
            None => Err(Box::new(Refused { failure: too_late(), outcome: untried })),
            Some(Head::Refused(failure, outcome)) => Err(Box::new(Refused { failure, outcome })),
            Some(Head::Whole(outcome, whole)) => Ok(Answered { outcome, reply: Reply::Whole(whole) }),
            Some(Head::Stream(outcome)) => {
                let listener = Listener::new(self, until, outcome.clone(), None);
                Ok(Answered { outcome, reply: Reply::Stream(Stream::Told(Box::new(listener))) })
            }
        }
    }

    /// The answer for a caller who came behind it, on whose own `way` that is told.
    fn behind(
        self: Arc<Self>,
        mut way: Way,
        head: Head,
        until: Option<Instant>,
        why: Why,
    ) -> Result<Answered, Box<Refused>> {
        // It is the first one's to remember.
        way.key = None;
        way.outcome = theirs(&way, &head, why);
        match head {
            Head::Refused(failure, _) => Err(way.refused(failure)),
            Head::Whole(_, whole) => {
                let outcome = way.ended(&End::whole(&whole));
                Ok(Answered { outcome, reply: Reply::Whole(whole) })
            }
            Head::Stream(_) => {
                way.trace.first_token();
                let outcome = way.outcome.clone();
                let listener = Listener::new(self, until, outcome.clone(), Some(way));
                Ok(Answered { outcome, reply: Reply::Stream(Stream::Told(Box::new(listener))) })
            }
        }
    }
}

/// How another's answer came about, for the caller of `way`.
fn theirs(way: &Way, head: &Head, why: Why) -> Outcome {
    let (Head::Whole(outcome, _) | Head::Stream(outcome) | Head::Refused(_, outcome)) = head;
    let mut outcome = Outcome { correlation_id: Arc::clone(&way.call.correlation_id), ..outcome.clone() };
    if why == Why::Question && !matches!(head, Head::Refused(..)) {
        way.trace.cache(CacheResult::Shared, 1);
        (outcome.source, outcome.quality) = (Some(Source::Cache), Quality::Cached);
        outcome.warnings.push("the answer to an equal call that was under way".to_owned());
    }
    outcome
}

/// Goes the call's way and tells of it.
struct Teller {
    told: Weak<Told>,
    id: Digest,
    /// What was asked, if the answer is to be given again later.
    remembers: Option<Digest>,
    sidecar: Sidecar,
    /// What is told if the way ends without a word.
    outcome: Outcome,
}

impl Teller {
    async fn tell(self, way: Box<Way>) {
        let mut stream = match self.sidecar.answer_alone(*way).await {
            Ok(Answered { outcome, reply: Reply::Whole(whole) }) => {
                self.remember(&outcome, &Ready::Whole(whole.clone()));
                return self.update(|state| state.head = Some(Head::Whole(outcome, whole)));
            }
            Err(refused) => {
                return self.update(|state| state.head = Some(Head::Refused(refused.failure, refused.outcome)));
            }
            Ok(Answered { outcome, reply: Reply::Stream(stream) }) => {
                self.update(|state| state.head = Some(Head::Stream(outcome)));
                stream
            }
        };
        loop {
            let next = poll_fn(|cx| stream.poll_next(cx)).await;
            if next.is_none()
                && let Some(told) = self.told.upgrade()
            {
                let said = told.state.lock().said();
                self.remember(stream.outcome(), &Ready::Events(said));
            }
            let mut over = false;
            self.update(|state| over = state.hear(next));
            if over {
                return;
            }
        }
    }

    /// Keeps the answer for when the call is sent again, unless it only stands for one.
    fn remember(&self, outcome: &Outcome, answer: &Ready) {
        let Some(fingerprint) = self.remembers.filter(|_| outcome.quality != Quality::Unavailable) else { return };
        let capacity = self.sidecar.shared.current.load().plan.config.idempotency.capacity;
        let replay = Arc::new(Replay::new(fingerprint, outcome.clone(), answer));
        // One that is too large is not kept, and then a call sent again is a new one.
        let _ = self.sidecar.shared.memory.replays.keep(self.id, replay, capacity, clock::now());
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
        if let Entry::Occupied(entry) = calls.entry(self.id)
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

    /// All that was said so far, as one.
    fn said(&self) -> Chunk {
        let mut events = Vec::with_capacity(self.kept);
        self.chunks.iter().for_each(|chunk| events.extend_from_slice(&chunk.events));
        let last = |of: fn(&Chunk) -> Option<Usage>| self.chunks.iter().rev().find_map(of);
        Chunk {
            events: Bytes::from(events),
            tokens: self.chunks.iter().map(|chunk| chunk.tokens).sum(),
            finish: self.chunks.iter().find_map(|chunk| chunk.finish),
            usage: last(|chunk| chunk.usage),
            model: self.chunks.iter().find_map(|chunk| chunk.model.clone()),
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
    /// Of a listener who came behind; until the end, which is told there.
    way: Option<Box<Way>>,
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<String>,
}

impl Listener {
    fn new(told: Arc<Told>, until: Option<Instant>, outcome: Outcome, way: Option<Way>) -> Self {
        let ends = until.map(|until| Box::pin(tokio::time::sleep_until(until)));
        Self { told, next: 0, ends, outcome, way: way.map(Box::new), finish: None, usage: None, model: None }
    }

    pub(super) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk, Failure>>> {
        if self.ends.as_mut().is_some_and(|ends| ends.as_mut().poll(cx).is_ready()) {
            (self.ends, self.next) = (None, usize::MAX);
            return Poll::Ready(self.ended(Some(too_late())));
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
        let Some(end) = state.end.clone() else {
            state.wait(cx);
            return Poll::Pending;
        };
        drop(state);
        (self.ends, self.next) = (None, usize::MAX);
        Poll::Ready(self.ended(end.err()))
    }

    /// Tells of the end where that is this listener's to tell.
    fn ended(&mut self, failure: Option<Failure>) -> Option<Result<Chunk, Failure>> {
        if let Some(way) = self.way.take() {
            let model = self.model.as_deref();
            let end = End { error: failure.as_ref(), finish: self.finish, usage: self.usage, model, ..End::default() };
            self.outcome = way.ended(&end);
        }
        failure.map(Err)
    }
}

/// An answer under an idempotency key, for when the call is sent again.
#[derive(Debug)]
pub(super) struct Replay {
    fingerprint: Digest,
    outcome: Outcome,
    answer: Ready,
}

impl Replay {
    fn new(fingerprint: Digest, outcome: Outcome, answer: &Ready) -> Self {
        // Copies, for what came off the wire may be a small part of a large buffer.
        let answer = match answer {
            Ready::Whole(whole) => Ready::Whole(Whole { body: Bytes::copy_from_slice(&whole.body), ..whole.clone() }),
            Ready::Events(said) => Ready::Events(said.clone()),
        };
        Self { fingerprint, outcome: Outcome { attempts: Vec::new(), ..outcome }, answer }
    }

    /// Once more, so long after.
    fn told(&self, mut way: Way, age: Duration) -> Answered {
        let mut outcome = Outcome { correlation_id: Arc::clone(&way.call.correlation_id), ..self.outcome.clone() };
        (outcome.source, outcome.age) = (Some(Source::Cache), Some(age));
        let age = recall::seconds(age);
        outcome.warnings.push(format!("the answer to the same call under this idempotency key, {age} old"));
        way.outcome = outcome;
        way.answered_with(match &self.answer {
            Ready::Whole(whole) => Ready::Whole(whole.clone()),
            Ready::Events(said) => Ready::Events(said.clone()),
        })
    }
}

impl Weigh for Replay {
    fn weigh(&self) -> usize {
        let (bytes, model) = match &self.answer {
            Ready::Whole(whole) => (&whole.body, &whole.model),
            Ready::Events(said) => (&said.events, &said.model),
        };
        let warnings: usize = self.outcome.warnings.iter().map(|text| text.len() + size_of::<String>()).sum();
        bytes.len() + model.as_ref().map_or(0, String::len) + warnings + self.outcome.correlation_id.len()
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
