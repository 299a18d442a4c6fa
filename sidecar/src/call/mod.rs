//! The way of a call: admit, the chain of providers, the outcome. [`Sidecar::answer_alone`] reads top to bottom.

mod abroad;
mod adjust;
mod admit;
mod attempt;
mod batch;
mod chain;
mod changes;
pub mod correlation;
pub mod counting;
mod descend;
mod elsewhere;
mod estimate;
mod failures;
mod form;
mod going_on;
mod hedge;
mod image;
mod inflight;
mod length;
pub mod outcome;
mod passing;
pub mod plan;
pub mod pressure;
mod reading;
mod recall;
mod resent;
mod run;
mod shorten;
mod source;
mod spent;
pub mod stream;
mod token;
mod told;
mod way;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
pub use fusebox_base::spans::TraceContext;
use fusebox_rules::{deadline, holdback::Holdback, moment::Moment};
use tokio_util::sync::CancellationToken;

pub use self::token::Token;
use self::{
    attempt::Answer,
    chain::Found,
    inflight::InFlight,
    outcome::Outcome,
    plan::Plan,
    pressure::Pressure,
    recall::{Memory, Ready},
    stream::Stream,
    way::{End, Way},
};
use crate::{
    chat::{answer::Whole, request::Request},
    config::CacheMode,
    error::{ErrorKind, Failure},
    fleet::{Common, Embedded, Runs},
    telemetry::{Door, Labels, Refusal, Telemetry},
    validate::Schemas,
};

/// What answers calls: the seam between the doors and all that lies behind them.
pub trait Engine: Send + Sync + 'static {
    /// Answers `call`, or says why not. Dropping the future, or the stream that it gave, stops the work.
    fn answer(&self, call: Call) -> impl Future<Output = Result<Answered, Box<Refused>>> + Send;

    /// Hears of a request that a door refused before it was a call.
    fn refused(&self, refusal: &Refusal<'_>);
}

/// A call as a door hands it in.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Which way it came in.
    pub door: Door,
    /// When its first byte was read.
    pub arrived: Moment,
    /// How long the caller will wait, counted from `arrived`; `None`: it did not say.
    pub timeout: Option<Duration>,
    /// The caller's own id for it, or one made here.
    pub correlation_id: Arc<str>,
    /// What the caller allows.
    pub options: Options,
    /// W3C trace context as it came, to continue and to pass on.
    pub trace: TraceContext,
}

/// What a caller allows for one call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// Attempts in all, over retries and failover.
    pub max_attempts: Option<u32>,
    /// Instead of each provider's own.
    pub first_token_timeout: Option<Duration>,
    /// Two calls with one key are one call.
    pub idempotency_key: Option<Arc<str>>,
    /// Retries that the caller's own SDK or transport has already made of this call.
    pub retries_before: u32,
    /// When the cache is read; `None`: as configured.
    pub cache: Option<CacheMode>,
    /// Whether the call may end on less than was asked for instead of an error; `None`: as configured.
    pub allow_degraded: Option<bool>,
    /// The answer of last resort; `None`: the configured one.
    pub fallback_response: Option<Arc<str>>,
    /// A shorter prompt, `{original_prompt}` standing for the last user message; `None`: the configured one.
    pub simplified_prompt: Option<Arc<str>>,
    /// Who gives way under load.
    pub priority: Priority,
    /// What is held back at a stream's start; `None`: as configured.
    pub holdback: Option<Holdback>,
    /// The agent run whose budget the call is counted against.
    pub run_id: Option<Arc<str>>,
    /// The bearer token that the caller showed.
    pub token: Option<Token>,
}

/// Who gives way under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Someone is waiting for the answer.
    #[default]
    Interactive,
    /// Shed first.
    Batch,
}

/// An answer, whole or begun.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(Whole),
    /// From its first token on.
    Stream(Stream),
}

/// A call that was answered, or whose answer has begun.
#[derive(Debug)]
pub struct Answered {
    /// How that came about.
    pub outcome: Outcome,
    /// The answer.
    pub reply: Reply,
}

/// What a call's steps came to.
enum Reached {
    /// A provider's answer.
    Found(Found),
    /// One that needs nobody any more.
    Ready(Ready),
}

/// A call that was not answered.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub failure: Failure,
    /// What was tried.
    pub outcome: Outcome,
}

/// The sidecar as one of its threads sees it.
#[derive(Debug, Clone)]
pub struct Sidecar {
    shared: Arc<Shared>,
    /// Which of its threads.
    worker: usize,
    /// This thread's own, for a look at one takes its lock, and every call looks at each of its waits.
    ending: CancellationToken,
}

/// What the sidecar's threads share.
#[derive(Debug)]
pub struct Shared {
    /// The configuration in force.
    pub current: ArcSwap<Current>,
    /// Where every call is told of.
    pub telemetry: Arc<Telemetry>,
    /// Cancelled once calls in flight may not take any longer.
    pub ending: CancellationToken,
    /// What agent runs have spent.
    pub runs: Arc<dyn Runs>,
    /// How loaded the pod is.
    pub pressure: Pressure,
    places: Arc<AtomicUsize>,
    in_flight: InFlight,
    /// Callers' JSON Schemas, compiled.
    schemas: Arc<Schemas>,
    memory: Memory,
    /// What calls share with other sidecars; `None`: this process is alone.
    common: Option<Arc<Common>>,
}

/// One generation of the configuration, and telemetry's names for what it holds.
#[derive(Debug)]
pub struct Current {
    /// Ready for calls.
    pub plan: Plan,
    /// Its providers and models in metrics.
    pub labels: Arc<Labels>,
}

impl Shared {
    /// What threads share while `current` is in force. Nothing is shared with other processes.
    #[must_use]
    pub fn new(current: Current, telemetry: Arc<Telemetry>) -> Self {
        Self {
            current: ArcSwap::from_pointee(current),
            pressure: Pressure::new(Arc::clone(&telemetry)),
            telemetry,
            ending: CancellationToken::new(),
            runs: Arc::new(Embedded::default()),
            places: Arc::default(),
            in_flight: InFlight::default(),
            schemas: Arc::default(),
            memory: Memory::default(),
            common: None,
        }
    }

    /// The same, with what other sidecars share in `common`.
    #[must_use]
    pub fn sharing(self, common: &Arc<Common>) -> Self {
        Self { runs: Arc::clone(common.runs()) as Arc<dyn Runs>, common: Some(Arc::clone(common)), ..self }
    }

    /// Puts `current` in force; what is remembered and no longer holds is forgotten.
    pub fn replace(&self, current: Current) {
        let current = Arc::new(current);
        let before = self.current.swap(Arc::clone(&current));
        self.memory.adopt(&before.plan.config, &current.plan.config);
    }

    /// Calls in flight.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.places.load(Relaxed)
    }
}

impl Engine for Sidecar {
    async fn answer(&self, call: Call) -> Result<Answered, Box<Refused>> {
        let mut way = Way::begin(self, call)?;
        match inflight::Sharing::of(&mut way) {
            None => self.answer_alone(way).await,
            Some(sharing) => Box::pin(inflight::join(self, &sharing, way)).await,
        }
    }

    fn refused(&self, refusal: &Refusal<'_>) {
        self.shared.telemetry.refused(refusal);
    }
}

impl Sidecar {
    /// The sidecar for thread `worker`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, worker: usize) -> Self {
        Self { ending: shared.ending.child_token(), shared, worker }
    }

    /// The way of a call, from its admission to the one outcome that is told of it.
    async fn answer_alone(&self, mut way: Box<Way>) -> Result<Answered, Box<Refused>> {
        let reached = tokio::select! {
            biased;
            reached = self.go(&mut way) => reached,
            () = self.ending.cancelled() => Err(shutting_down()),
        };
        match reached {
            Ok(Reached::Found(found)) => Ok(self.reply(way, found)),
            Ok(Reached::Ready(ready)) => Ok(way.answered_with(ready)),
            Err(failure) => Err(way.refused(failure)),
        }
    }

    /// The steps of a call, up to its whole answer or its first token.
    async fn go(&self, way: &mut Way) -> Result<Reached, Failure> {
        way.guard_image()?;
        way.hold_to_form(&self.shared.schemas)?;
        way.enter_run(&self.shared).await?;
        if let Some(ready) = way.recall_first().await {
            return Ok(Reached::Ready(ready));
        }
        match self.ask(way).await {
            Ok(found) => Ok(Reached::Found(found)),
            Err(failure) => way.descend(failure).await,
        }
    }

    /// The steps up to a provider's answer.
    async fn ask(&self, way: &mut Way) -> Result<Found, Failure> {
        way.prefer_smaller();
        way.admit().await?;
        way.adjust();
        match way.chain_above_the_ladder().await {
            Ok(found) => Ok(found),
            Err(failure) => way.in_emergency(failure).await,
        }
    }

    fn reply(&self, mut way: Box<Way>, found: Found) -> Answered {
        way.answered_by(&Arc::clone(&way.route).seats[found.seat], found.first);
        match found.answer {
            Answer::Whole(whole) => {
                let outcome = way.ended(&End::whole(&whole));
                Answered { outcome, reply: Reply::Whole(whole) }
            }
            Answer::Begun(begun) => {
                way.trace.first_token();
                if way.outlives_its_caller {
                    way.deadline = way.call.arrived + deadline::for_call(None, way.route.patience(true));
                }
                let ending = self.ending.clone().cancelled_owned();
                Answered {
                    outcome: way.outcome.clone(),
                    reply: Reply::Stream(Stream::live(way, found.seat, begun, ending)),
                }
            }
        }
    }
}

fn shutting_down() -> Failure {
    Failure::new(ErrorKind::ShuttingDown, "the sidecar is shutting down and could not wait any longer")
}

/// A model that the configuration does not name.
#[must_use]
pub fn unknown_model(name: &str) -> Failure {
    let name: String = name.chars().take(80).collect();
    Failure::new(ErrorKind::ModelNotFound, format!("no model \"{name}\" is configured here"))
}
