//! What is logged of calls and breakers.
//!
//! A call ends with one line: at debug if it was answered or if its failure is the caller's affair or
//! is refused in bulk, at warn if a provider or Fusebox failed. What a person must hear of has a line
//! at error besides, once in a while. A provider's raw words are at debug only; no line holds a prompt, an answer or a key. A line that is off costs one load.

use std::{fmt, sync::Arc, time::Duration};

use fusebox_rules::{critical::Critical, ladder::Rung};
use tracing::{debug, error, info, warn};

use super::{AttemptTrace, BREAKER, BreakerState, CALL, CallEnd, CallTrace, Failed, HEALTH, Refusal, Transition};
use crate::{
    call::outcome::{Attempt, WaitReason},
    config::Scope,
    error::{ErrorKind, Failure},
};

/// The call's story.
pub(super) fn call(call: &CallTrace, end: &CallEnd<'_>, took: Duration) {
    let took_ms = millis(took);
    let source = end.source.map(crate::call::outcome::Source::name);
    let provider = end.outcome.provider.as_deref();
    let attempts = Attempts(&end.outcome.attempts);
    let (correlation_id, model) = (&*call.correlation_id, &**call.model());
    let (operation, door) = (call.operation.name(), call.door.name());
    let Some(failure) = end.error else {
        debug!(
            target: CALL,
            correlation_id, operation, door, model, provider, source, %attempts, took_ms,
            first_token_ms = call.first_token.map(millis),
            input_tokens = end.usage.map(|usage| usage.input_tokens),
            output_tokens = end.usage.map(|usage| usage.output_tokens),
            trace_id = call.trace_id(),
            "call answered"
        );
        return;
    };
    let (kind, error) = (failure.kind.name(), &*failure.message);
    let blamed = failure.provider.as_deref().or(provider);
    if is_news(failure.kind) {
        warn!(
            target: CALL,
            correlation_id, operation, door, model, provider = blamed, source, kind, %attempts, took_ms,
            trace_id = call.trace_id(), error, "call failed"
        );
    } else {
        debug!(
            target: CALL,
            correlation_id, operation, door, model, provider = blamed, source, kind, %attempts, took_ms,
            trace_id = call.trace_id(), error, "call refused"
        );
    }
}

/// The caller hung up.
pub(super) fn cancelled(call: &CallTrace, took: Duration) {
    debug!(
        target: CALL,
        correlation_id = &*call.correlation_id,
        operation = call.operation.name(),
        door = call.door.name(),
        model = &**call.model(),
        kind = ErrorKind::Cancelled.name(),
        attempts = call.attempts,
        took_ms = millis(took),
        "call cancelled"
    );
}

/// A door refused it.
pub(super) fn refused(refusal: &Refusal<'_>, took: Duration) {
    let Refusal { failure, correlation_id, door, .. } = refusal;
    debug!(
        target: CALL,
        correlation_id = &***correlation_id,
        door = door.name(),
        kind = failure.kind.name(),
        took_ms = millis(took),
        error = &*failure.message,
        "call refused at the door"
    );
}

/// Something failed that a person must hear of; the line stands for `met` failures of this reason.
pub(super) fn critical(reason: Critical, failed: &Failed, met: u64) {
    error!(
        target: CALL,
        correlation_id = &*failed.correlation_id,
        reason = reason.name(),
        provider = failed.provider.as_deref(),
        kind = failed.kind.name(),
        attempt = failed.attempt,
        met,
        "critical error"
    );
}

/// A check failed that a person must hear of.
pub(super) fn unhealthy(check: &str, met: u64) {
    error!(target: HEALTH, reason = Critical::Unhealthy.name(), check, met, "critical error");
}

/// An attempt failed: the one place where a provider's raw words are told.
pub(super) fn attempt(attempt: &AttemptTrace, failure: &Failure, took: Duration) {
    debug!(
        target: CALL,
        correlation_id = &*attempt.correlation_id,
        provider = &*attempt.labels.provider(attempt.begun.provider).series.name,
        attempt = attempt.begun.number,
        kind = failure.kind.name(),
        took_ms = millis(took),
        asked_to_wait_ms = failure.wait.map(millis),
        error = &*failure.message,
        inside = failure.inside.as_deref(),
        "attempt failed"
    );
}

/// The same provider is asked again.
pub(super) fn retry(call: &CallTrace, provider: &str, kind: ErrorKind, wait: Duration, reason: WaitReason) {
    debug!(
        target: CALL,
        correlation_id = &*call.correlation_id,
        provider,
        kind = kind.name(),
        wait_ms = millis(wait),
        wait_reason = reason.name(),
        "trying again"
    );
}

/// Another provider is asked.
pub(super) fn fallback(call: &CallTrace, from: &str, to: &str, kind: ErrorKind) {
    debug!(target: CALL, correlation_id = &*call.correlation_id, from, to, kind = kind.name(), "falling back");
}

/// A step down the ladder is taken.
pub(super) fn descended(call: &CallTrace, rung: Rung, kind: ErrorKind) {
    debug!(target: CALL, correlation_id = &*call.correlation_id, rung = rung.name(), kind = kind.name(), "descending");
}

/// A breaker moved.
pub(super) fn transition(provider: &Arc<str>, scope: Scope, transition: Transition) {
    let (provider, from, to) = (&**provider, transition.from.name(), transition.to.name());
    let (scope, reason) = (scope_name(scope), transition.reason);
    if transition.to == BreakerState::Open {
        warn!(target: BREAKER, provider, scope, from, to, reason, "breaker opened");
    } else {
        info!(target: BREAKER, provider, scope, from, to, reason, "breaker moved");
    }
}

/// Whether a call's failure is worth a line at warn. What a caller did wrong is not; nor is what is refused
/// in bulk while something is down, whose cause has had its own line, and whose refusal must stay cheap.
fn is_news(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::RateLimited
        | ErrorKind::InferenceTimeout
        | ErrorKind::NetworkError
        | ErrorKind::ProviderError
        | ErrorKind::ModelOverloaded
        | ErrorKind::ModelLoadingFailed
        | ErrorKind::OutOfMemory
        | ErrorKind::GenerationFailed
        | ErrorKind::StreamBroken
        | ErrorKind::InvalidResponse
        | ErrorKind::Authentication
        | ErrorKind::PermissionDenied
        | ErrorKind::InternalError => true,
        ErrorKind::ContentFiltered
        | ErrorKind::ContextLengthExceeded
        | ErrorKind::ModelNotFound
        | ErrorKind::InvalidInput
        | ErrorKind::CircuitOpen
        | ErrorKind::BudgetExceeded
        | ErrorKind::Shed
        | ErrorKind::ShuttingDown
        | ErrorKind::Cancelled => false,
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Pod => "pod",
        Scope::Fleet => "fleet",
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// `a:rate_limited@0ms+12ms, b:ok@1013ms+240ms`: who, how, when it began and how long it took.
struct Attempts<'a>(&'a [Attempt]);

impl fmt::Display for Attempts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { ", " };
            let how = attempt.error.map_or("ok", ErrorKind::name);
            let (started, took) = (attempt.started_after.as_millis(), attempt.took.as_millis());
            write!(f, "{before}{}:{how}@{started}ms+{took}ms", attempt.provider)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calls_attempts_read_as_one_word_each() {
        let attempt = |provider: &str, started, took, error| Attempt {
            provider: provider.into(),
            started_after: Duration::from_millis(started),
            took: Duration::from_millis(took),
            error,
            waited: Duration::ZERO,
            wait_reason: WaitReason::None,
        };
        let attempts = [attempt("a", 0, 12, Some(ErrorKind::RateLimited)), attempt("b", 1013, 240, None)];
        assert_eq!(Attempts(&attempts).to_string(), "a:rate_limited@0ms+12ms, b:ok@1013ms+240ms");
        assert_eq!(Attempts(&[]).to_string(), "");
    }
}
