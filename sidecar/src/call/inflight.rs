//! Calls that are one call: those under one idempotency key, and equal questions where the cache is read first.
//!
//! The first goes its way, and all that come meanwhile hear its answer. The way is gone on a task of its own, which ends
//! with the last of those who listen. Under a key, those that come later get the answer too, for as long as it is
//! remembered; a failure is not, so that sending the call again can mend it.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::poll_fn,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Answered, Refused, Reply, Sidecar, Token,
    elsewhere::{Known, Whose},
    outcome::{Outcome, Quality, Source},
    recall::{self, Ready},
    resent::Replay,
    shutting_down,
    stream::Stream,
    told::{Head, Listener, Told, too_late},
    way::{End, Way},
};
use crate::{
    cache::Found,
    chat::replay,
    clock,
    config::CacheMode,
    digest::{Digest, Digester, Sink as _},
    error::{ErrorKind, Failure, FieldFault},
    telemetry::{CacheResult, WaitFor},
};

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
    pub(super) fn of(way: &mut Way) -> Option<Self> {
        let call = &way.call;
        if let Some(key) = &call.options.idempotency_key {
            let (mut id, mut asked) = (Digester::new(), Digester::new());
            Token::write(call.options.token.as_ref(), &mut id);
            id.bytes(key.as_bytes());
            asked.bytes(call.request.operation.name().as_bytes());
            asked.bytes(&call.request.body);
            return Some(Self { id: id.finish(), fingerprint: asked.finish(), why: Why::Key });
        }
        // A run pays for each of its calls, so each goes its own way.
        if call.options.run_id.is_some() || recall::mode(call, &way.plan().config) != CacheMode::Prefer {
            return None;
        }
        let question = way.key()?;
        // What is known already need not be waited for.
        let ttl = way.plan().config.cache.ttl;
        if let Found::Fresh(..) = way.shared.memory.answers.find(question, ttl, clock::now()) {
            return None;
        }
        // Who listens in gets the very bytes, so they must be those that it asked for.
        let request = &way.call.request;
        let mut id = Digester::new();
        id.digest(question);
        id.mark(u8::from(request.stream));
        id.mark(u8::from(request.stream && replay::asks_for_usage(&request.body)));
        let id = id.finish();
        Some(Self { id, fingerprint: id, why: Why::Question })
    }
}

/// What a call found as it came.
enum Entered {
    /// Nobody: its way is to be gone by a task, to which it listens.
    First(Arc<Told>),
    /// An equal call under way.
    Behind(Arc<Told>),
    /// An equal call's answer, so old.
    Again(Arc<Replay>, Duration),
    /// Another call under its key.
    InUse,
}

/// Answers the call of `way`, or listens to the equal call that is under way.
///
/// # Errors
/// As that call ends; or the key is in use for another question.
pub(super) async fn join(sidecar: &Sidecar, sharing: &Sharing, mut way: Box<Way>) -> Result<Answered, Box<Refused>> {
    let until = way.call.timeout.map(|patience| clock::at(way.call.arrived + patience + GRACE));
    let mut waits = 0;
    loop {
        let told = match sidecar.shared.in_flight.enter(sharing, &way) {
            Entered::First(told) => {
                let untried = way.outcome.clone();
                Teller::start(sidecar, sharing, &told, way);
                return first(told, until, untried).await;
            }
            Entered::Again(replay, age) => return Ok(replay.told(way, age)),
            Entered::InUse => return Err(way.refused(in_use())),
            Entered::Behind(told) => told,
        };
        if let Err(failure) = way.has_place() {
            return Err(way.refused(failure));
        }
        way.trace.shares(&told.identity);
        let began = clock::now();
        let head = told.head(until).await;
        way.trace.waited_for(WaitFor::EqualCall, None, clock::now().since(began));
        let Some(head) = head else { return Err(way.refused(too_late())) };
        waits += 1;
        if sharing.why == Why::Key || head.serves_all() {
            return behind(told, way, head, until, sharing.why);
        }
        match head {
            _ if waits < MAX_WAITS => {}
            Head::Refused(failure, outcome) => {
                way.outcome = Outcome { correlation_id: Arc::clone(&way.call.correlation_id), ..outcome };
                return Err(way.refused(failure));
            }
            Head::Whole(..) | Head::Stream(_) => return sidecar.answer_alone(way).await,
        }
    }
}

impl InFlight {
    fn enter(&self, sharing: &Sharing, way: &Way) -> Entered {
        let mut calls = self.calls.lock();
        if let Some(told) = calls.get(&sharing.id).and_then(Weak::upgrade) {
            let same = told.fingerprint == sharing.fingerprint;
            return if same { Entered::Behind(told) } else { Entered::InUse };
        }
        if sharing.why == Why::Key {
            let ttl = way.plan().config.idempotency.ttl;
            if let Found::Fresh(replay, age) = way.shared.memory.replays.find(sharing.id, ttl, clock::now()) {
                let same = replay.fingerprint == sharing.fingerprint;
                return if same { Entered::Again(replay, age) } else { Entered::InUse };
            }
        }
        let told = Arc::new(Told::new(sharing.fingerprint, way.trace.identity()));
        calls.insert(sharing.id, Arc::downgrade(&told));
        Entered::First(told)
    }

    /// Nobody joins the call of `told` any more.
    fn leave(&self, id: Digest, told: &Weak<Told>) {
        if let Entry::Occupied(entry) = self.calls.lock().entry(id)
            && entry.get().ptr_eq(told)
        {
            entry.remove();
        }
    }
}

/// The answer for the caller whose way it is. Its end is told where its way is.
async fn first(told: Arc<Told>, until: Option<Instant>, untried: Outcome) -> Result<Answered, Box<Refused>> {
    match told.head(until).await {
        None => Err(Box::new(Refused { failure: too_late(), outcome: untried })),
        Some(Head::Refused(failure, outcome)) => Err(Box::new(Refused { failure, outcome })),
        Some(Head::Whole(outcome, whole)) => Ok(Answered { outcome, reply: Reply::Whole(whole) }),
        Some(Head::Stream(outcome)) => {
            let listener = Listener::new(told, until, outcome.clone(), None);
            Ok(Answered { outcome, reply: Reply::Stream(Stream::Told(Box::new(listener))) })
        }
    }
}

/// The answer for a caller who came behind it, on whose own `way` that is told.
fn behind(
    told: Arc<Told>,
    mut way: Box<Way>,
    head: Head,
    until: Option<Instant>,
    why: Why,
) -> Result<Answered, Box<Refused>> {
    // It is the first one's to remember.
    way.question = None;
    way.outcome = theirs(&mut way, &head, why);
    match head {
        Head::Refused(failure, _) => Err(way.refused(failure)),
        Head::Whole(_, whole) => {
            let outcome = way.ended(&End::whole(&whole));
            Ok(Answered { outcome, reply: Reply::Whole(whole) })
        }
        Head::Stream(_) => {
            way.trace.first_token();
            let outcome = way.outcome.clone();
            let listener = Listener::new(told, until, outcome.clone(), Some(way));
            Ok(Answered { outcome, reply: Reply::Stream(Stream::Told(Box::new(listener))) })
        }
    }
}

/// How another's answer came about, for the caller of `way`.
fn theirs(way: &mut Way, head: &Head, why: Why) -> Outcome {
    let (Head::Whole(outcome, _) | Head::Stream(outcome) | Head::Refused(_, outcome)) = head;
    let mut outcome = Outcome { correlation_id: Arc::clone(&way.call.correlation_id), ..outcome.clone() };
    if why == Why::Question && !matches!(head, Head::Refused(..)) {
        way.trace.looked_up(CacheResult::Shared);
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
    fn start(sidecar: &Sidecar, sharing: &Sharing, told: &Arc<Told>, mut way: Box<Way>) {
        // Others may go on listening when its own caller's time is up.
        way.outlives_its_caller = sharing.why == Why::Question;
        let teller = Self {
            told: Arc::downgrade(told),
            id: sharing.id,
            remembers: (sharing.why == Why::Key).then_some(sharing.fingerprint),
            sidecar: sidecar.clone(),
            outcome: way.outcome.clone(),
        };
        #[allow(clippy::disallowed_methods, reason = "owned by Told, which ends it when nobody listens")]
        let task = tokio::spawn(teller.tell(way));
        told.is_told_by(task.abort_handle());
    }

    async fn tell(self, mut way: Box<Way>) {
        let known = self.remembers.and_then(|asked| Some((Known::of(&way)?, asked)));
        let ending = self.sidecar.ending.clone();
        let whose = match &known {
            None => Whose::Alone,
            Some((known, asked)) => tokio::select! {
                whose = known.claim(&mut way, *asked) => whose,
                () = ending.cancelled() => Whose::Refused(shutting_down()),
            },
        };
        match whose {
            Whose::Refused(failure) => {
                let refused = way.refused(failure);
                self.say_all(Head::Refused(refused.failure, refused.outcome));
            }
            Whose::Made(replay, age) => self.say(Ok(replay.told(way, age)), |_, _| {}).await,
            Whose::Alone => {
                let answered = self.sidecar.answer_alone(way).await;
                self.say(answered, |outcome, answer| self.remember(outcome, answer)).await;
            }
            Whose::Mine(held) => {
                let lasts = way.plan().config.idempotency.ttl;
                let tell = async {
                    let answered = self.sidecar.answer_alone(way).await;
                    let keep = |outcome: &Outcome, answer: &dyn Fn() -> Ready| {
                        if let Some((known, _)) = &known
                            && outcome.quality != Quality::Unavailable
                        {
                            known.answered(&held, outcome, &answer(), lasts);
                        }
                        self.remember(outcome, answer);
                    };
                    self.say(answered, keep).await;
                };
                tokio::select! {
                    () = tell => {}
                    () = held.renew() => {}
                }
            }
        }
    }

    /// Says what came of the call, and has an answer that came to its end kept.
    async fn say(&self, answered: Result<Answered, Box<Refused>>, keep: impl Fn(&Outcome, &dyn Fn() -> Ready)) {
        let mut stream = match answered {
            Ok(Answered { outcome, reply: Reply::Whole(whole) }) => {
                keep(&outcome, &|| Ready::Whole(whole.clone()));
                return self.say_all(Head::Whole(outcome, whole));
            }
            Err(refused) => return self.say_all(Head::Refused(refused.failure, refused.outcome)),
            Ok(Answered { outcome, reply: Reply::Stream(stream) }) => {
                self.told.upgrade().inspect(|told| told.begin(Head::Stream(outcome)));
                stream
            }
        };
        loop {
            let next = poll_fn(|cx| stream.poll_next(cx)).await;
            let Some(told) = self.told.upgrade() else { return };
            if next.is_none() {
                keep(stream.outcome(), &|| Ready::Events(told.said()));
            }
            if told.go_on(next, stream.outcome()) {
                return;
            }
        }
    }

    /// Says an answer that is over as it is said: whoever comes later is not to hear it as one that is under way.
    fn say_all(&self, head: Head) {
        self.leave();
        self.told.upgrade().inspect(|told| told.begin(head));
    }

    /// Keeps the answer for when the call is sent again, unless it only stands for one.
    fn remember(&self, outcome: &Outcome, answer: &dyn Fn() -> Ready) {
        let Some(fingerprint) = self.remembers.filter(|_| outcome.quality != Quality::Unavailable) else { return };
        let capacity = self.sidecar.shared.current.load().plan.config.idempotency.capacity;
        let replay = Arc::new(Replay::new(fingerprint, outcome, answer()));
        // One that is too large is not kept, and then a call sent again is a new one.
        let _ = self.sidecar.shared.memory.replays.keep(self.id, replay, capacity, clock::now());
    }

    fn leave(&self) {
        self.sidecar.shared.in_flight.leave(self.id, &self.told);
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.leave();
        // Whatever happened here, nobody is left waiting.
        self.told.upgrade().inspect(|told| told.fall_silent(lost(), &self.outcome));
    }
}

/// The key is in use for another question.
pub(super) fn in_use() -> Failure {
    let message = "is in use for a different call; use a new key".into();
    Failure::fields(vec![FieldFault { path: "idempotency-key".into(), message }])
}

fn lost() -> Failure {
    Failure::new(ErrorKind::InternalError, "the call under way was lost")
}
