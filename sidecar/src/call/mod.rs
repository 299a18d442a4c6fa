//! The way of a call.

pub mod outcome;
pub mod stream;

use std::{sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;

use crate::chat::request::Request;

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
