//! The way of a call.

pub mod correlation;
pub mod outcome;
pub mod stream;

use std::{future::Future, sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;

use crate::{chat::request::Request, config::CacheMode};

/// What answers calls: the seam between the doors and all that lies behind them.
pub trait Engine: Send + Sync + 'static {
    /// Answers `call`, or says why not. Dropping the future, or the stream that it gave, stops the work.
    fn answer(&self, call: Call) -> impl Future<Output = Result<Answered, Box<Refused>>> + Send;
}

/// A call as a door hands it in.
#[derive(Debug, Clone)]
pub struct Call {
    /// What is asked.
    pub request: Request,
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
    /// The agent run whose budget the call is counted against.
    pub run_id: Option<Arc<str>>,
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

/// W3C trace context.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TraceContext {
    /// `traceparent`, as it came.
    pub parent: Option<http::HeaderValue>,
    /// `tracestate`, as it came.
    pub state: Option<http::HeaderValue>,
}

/// An answer, whole or begun.
#[derive(Debug)]
pub enum Reply {
    /// All of it.
    Whole(crate::chat::answer::Whole),
    /// From its first token on.
    Stream(stream::Stream),
}

/// A call that was answered, or whose answer has begun.
#[derive(Debug)]
pub struct Answered {
    /// How that came about.
    pub outcome: outcome::Outcome,
    /// The answer.
    pub reply: Reply,
}

/// A call that was not answered.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub failure: crate::error::Failure,
    /// What was tried.
    pub outcome: outcome::Outcome,
}
