//! Whether a provider answers: a real question for one token. It judges nobody: whom calls may ask is the breaker's
//! to say, and whom its gate leaves alone, or whose rate limits have no room, is not asked here either.

use std::time::Duration;

use fusebox_rules::{breaker, health};

use super::ask::{TOKENS, ask};
use crate::{
    call::{TraceContext, plan::Upstream},
    chat::request::Request,
};

/// How long an answer may take, however long the provider's own limit is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether it answers, and a word for people; `None`: it cannot be said now, and what was found last stands.
pub(super) async fn answers(upstream: &Upstream, question: &Request) -> Option<(bool, String)> {
    if !upstream.gate.would_admit() {
        let standing = upstream.gate.standing();
        return match standing.state {
            _ if standing.key_refused => Some((false, "it refused its key, and is not asked".to_owned())),
            breaker::State::Open => Some((false, "its breaker is open, and it is not asked".to_owned())),
            breaker::State::HalfOpen => Some((false, "its breaker is half-open, and probes ask it".to_owned())),
            // It asked to be left alone for a while.
            breaker::State::Closed => None,
        };
    }
    if !upstream.gate.spend(TOKENS) {
        return None;
    }
    let limit = upstream.settings.timeouts.total.min(PATIENCE);
    Some(match ask(upstream, question, limit, &TraceContext::default()).await {
        Ok(()) => (true, "it answers".to_owned()),
        Err(failure) if health::answers(failure.kind) => (true, format!("it answers: {}", failure.kind)),
        Err(failure) => (false, format!("{}: {}", failure.kind, failure.message)),
    })
}
