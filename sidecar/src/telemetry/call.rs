//! One call as it is seen from outside: begun once, ended once.
//!
//! Fusebox's own time, `fusebox_overhead_seconds`, is the call's time less its waits and attempts, as
//! its outcome tells them. A streamed answer's last attempt lasts until the call does.

use std::{sync::Arc, time::Duration};

use fusebox_base::spans::{CallSpan, Start};
use fusebox_rules::{critical::Critical, fleet::bucket::Unit, ladder::Rung, moment::Moment};
use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{Span as _, Status},
};

use super::{
    CacheResult, Door, Labels, Ledger, Transition,
    attempt::{AttemptTrace, Begun},
    errors::Failed,
    lines, names,
};
use crate::{
    call::{
        Call, Priority,
        outcome::{Attempt, Outcome, Source, WaitReason},
    },
    chat::{
        answer::{Finish, Usage},
        request::Operation,
    },
    clock,
    error::{ErrorKind, Failure},
};

/// Follows one call. Dropped without [`CallTrace::ended`], it records that the caller hung up, so
/// that every call has exactly one outcome.
#[derive(Debug)]
pub struct CallTrace {
    pub(super) labels: Arc<Labels>,
    pub(super) correlation_id: Arc<str>,
    /// `None`: a model that is not configured.
    model: Option<usize>,
    pub(super) operation: Operation,
    pub(super) door: Door,
    priority: Priority,
    arrived: Moment,
    /// From the arrival.
    pub(super) first_token: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) ledger: Option<Arc<Ledger>>,
    span: Option<Box<CallSpan>>,
    /// For an equal call elsewhere.
    waited: Duration,
    over: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub struct CallEnd<'a> {
    /// Where the answer came from; `None`: there was none.
    pub source: Option<Source>,
    /// How it failed; `None`: it was answered to its end.
    pub error: Option<&'a Failure>,
    /// What was tried.
    pub outcome: &'a Outcome,
    /// Why the model stopped.
    pub finish: Option<Finish>,
    /// What it cost.
    pub usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub response_model: Option<&'a str>,
}

impl CallTrace {
    pub(super) fn new(labels: &Arc<Labels>, call: &Call, door: Door) -> Self {
        let telemetry = &labels.telemetry;
        telemetry.metrics.call_began();
        let model = labels.model_index(&call.request.model);
        let span = telemetry.tracer.as_ref().map(|tracer| {
            let operation = call.request.operation.name();
            let start = Start {
                name: format!("{operation} {}", labels.model(model).series.name),
                at: clock::wall() - clock::now().since(call.arrived),
                attributes: vec![
                    KeyValue::new(names::OPERATION, operation),
                    KeyValue::new(names::REQUEST_MODEL, requested(labels, model, &call.request.model)),
                    KeyValue::new(names::CORRELATION_ID, call.correlation_id.to_string()),
                    KeyValue::new(names::DOOR, door.name()),
                ],
            };
            Box::new(tracer.call(start, &call.trace))
        });
        Self {
            labels: Arc::clone(labels),
            correlation_id: Arc::clone(&call.correlation_id),
            model,
            operation: call.request.operation,
            door,
            priority: call.options.priority,
            arrived: call.arrived,
            first_token: None,
            attempts: 0,
            ledger: None,
            span,
            waited: Duration::ZERO,
            over: false,
        }
    }

    /// Keeps account of what the attempts that begin from now on use.
    #[must_use]
    pub fn account(&mut self) -> Arc<Ledger> {
        Arc::clone(self.ledger.get_or_insert_default())
    }

    /// Attempt `number`, from 1, begins at the provider of that index, which knows the model by the name given;
    /// `None`: by the caller's own.
    #[must_use]
    pub fn attempt(&mut self, provider: usize, model: Option<&str>, number: u32) -> AttemptTrace {
        self.attempts = self.attempts.max(number);
        let begun = Begun { provider, model_index: self.model, number };
        AttemptTrace::new(self, self.span.as_deref(), begun, model)
    }

    /// An attempt failed with `kind` and another follows at the same provider after `wait`.
    pub fn retry(&mut self, provider: usize, kind: ErrorKind, wait: Duration, reason: WaitReason) {
        let series = &self.labels.provider(provider).series;
        series.retry(kind);
        lines::retry(self, &series.name, kind, wait, reason);
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::RETRY_EVENT,
                vec![
                    KeyValue::new(names::PROVIDER, series.name.to_string()),
                    KeyValue::new(names::ERROR_TYPE, kind.name()),
                    KeyValue::new(names::WAIT, wait.as_secs_f64()),
                    KeyValue::new(names::WAIT_REASON, reason.name()),
                ],
            );
        }
    }

    /// Another attempt at a provider was left out, for its retry budget was spent.
    pub fn unpaid(&self, provider: usize) {
        self.labels.provider(provider).series.unpaid();
    }

    /// A provider's rate limit, of `unit`, had no room for this call.
    pub fn held_back(&self, provider: usize, unit: Unit) {
        self.labels.provider(provider).series.held_back(unit);
    }

    /// A provider failed with `kind`, and another is asked instead.
    pub fn fallback(&mut self, from: usize, to: usize, kind: ErrorKind) {
        let (from, to) = (&self.labels.provider(from).series.name, &self.labels.provider(to).series.name);
        lines::fallback(self, from, to, kind);
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::FALLBACK_EVENT,
                vec![
                    KeyValue::new(names::FALLBACK_FROM, from.to_string()),
                    KeyValue::new(names::FALLBACK_TO, to.to_string()),
                    KeyValue::new(names::ERROR_TYPE, kind.name()),
                ],
            );
        }
    }

    /// Every provider failed, with `kind` in sum, and this step down is taken.
    pub fn descended(&mut self, rung: Rung, kind: ErrorKind) {
        lines::descended(self, rung, kind);
        if let Some(span) = &mut self.span {
            let event = vec![KeyValue::new(names::RUNG, rung.name()), KeyValue::new(names::ERROR_TYPE, kind.name())];
            span.span.add_event(names::LADDER_EVENT, event);
        }
    }

    /// It waited so long for an equal call that is under way at another sidecar.
    pub fn waited(&mut self, time: Duration) {
        self.waited = time;
    }

    /// So many look-ups in the cache, or answers to be kept there, came to `result`.
    pub fn cache(&self, result: CacheResult, count: usize) {
        self.labels.telemetry.metrics.cache(result, count as u64);
    }

    /// This call moved a provider's breaker. Only the call's span is told; the rest is `Telemetry::transition`'s.
    pub fn tripped(&mut self, provider: usize, transition: Transition) {
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::BREAKER_EVENT,
                vec![
                    KeyValue::new(names::PROVIDER, self.labels.provider(provider).series.name.to_string()),
                    KeyValue::new(names::BREAKER_FROM, transition.from.name()),
                    KeyValue::new(names::BREAKER_TO, transition.to.name()),
                    KeyValue::new(names::BREAKER_REASON, transition.reason),
                ],
            );
        }
    }

    /// An attempt at the provider of that index cost this much, and came to nothing.
    pub fn spent(&self, provider: usize, usage: Usage) {
        let price = self.labels.model(self.model).price(provider);
        self.labels.provider(provider).series.used(usage, price);
        if let Some(ledger) = &self.ledger {
            ledger.used(usage, price);
        }
    }

    /// The caller's first token is here. Later ones change nothing.
    pub fn first_token(&mut self) {
        if self.first_token.is_none() {
            let after = clock::now().since(self.arrived);
            self.first_token = Some(after);
            self.labels.telemetry.metrics.first_token(after);
        }
    }

    /// The call's one outcome.
    pub fn ended(mut self, end: CallEnd<'_>) {
        self.over = true;
        let now = clock::now();
        let took = now.since(self.arrived);
        let own = took.saturating_sub(self.waited);
        let overhead = overhead(own, self.first_token.is_some(), &end.outcome.attempts);
        let kind = end.error.map(|failure| failure.kind);
        self.count(end.source, kind, took, Some(overhead));
        if let Some(failure) = end.error {
            let tried = end.outcome.attempts.iter().filter_map(|attempt| attempt.error);
            let critical = Critical::of_call(failure.kind, end.source.is_some(), tried);
            self.remember(failure.kind, critical, failure.provider.clone(), now);
        }
        lines::call(&self, &end, took);
        self.end_span(&end);
    }

    /// The name that metrics know its model by.
    pub(super) fn model(&self) -> &Arc<str> {
        &self.labels.model(self.model).series.name
    }

    fn count(&self, source: Option<Source>, kind: Option<ErrorKind>, took: Duration, overhead: Option<Duration>) {
        let metrics = &self.labels.telemetry.metrics;
        self.labels.model(self.model).series.call(source, kind);
        metrics.call_took(took, overhead);
        metrics.call_left();
        if kind == Some(ErrorKind::Shed) {
            metrics.shed(self.priority);
        }
    }

    fn remember(&self, kind: ErrorKind, critical: Option<Critical>, provider: Option<Arc<str>>, at: Moment) {
        self.labels.telemetry.remember(Failed {
            kind,
            critical,
            operation: Some(self.operation),
            provider,
            correlation_id: Arc::clone(&self.correlation_id),
            attempt: None,
            at,
        });
    }

    fn end_span(&mut self, end: &CallEnd<'_>) {
        let Some(mut call) = self.span.take() else { return };
        if call.span.is_recording() {
            call.span.set_attributes(answer_attributes(end.finish, end.usage, end.response_model));
            call.span.set_attribute(KeyValue::new(names::ATTEMPTS, i64::from(self.attempts)));
            let provider = end.outcome.provider.as_ref().map(|name| KeyValue::new(names::PROVIDER, name.to_string()));
            let source = end.source.map(|source| KeyValue::new(names::SOURCE, source.name()));
            let first = self.first_token.map(|after| KeyValue::new(names::FIRST_CHUNK, after.as_secs_f64()));
            let error = end.error.map(|failure| KeyValue::new(names::ERROR_TYPE, failure.kind.name()));
            call.span.set_attributes([provider, source, first, error].into_iter().flatten());
            // A server's span is in error only where the server is; what is wrong with the call is the caller's affair.
            if let Some(failure) = end.error.filter(|failure| failure.http_status() >= 500) {
                call.span.set_status(Status::error(failure.message.clone()));
            }
        }
        call.span.end();
    }
}

impl Drop for CallTrace {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = clock::now();
        let took = now.since(self.arrived);
        // What was tried is not known here, so neither is Fusebox's own part of the time.
        self.count(None, Some(ErrorKind::Cancelled), took, None);
        self.remember(ErrorKind::Cancelled, None, None, now);
        lines::cancelled(self, took);
        if let Some(mut call) = self.span.take() {
            call.span.set_attribute(KeyValue::new(names::ERROR_TYPE, ErrorKind::Cancelled.name()));
            call.span.set_attribute(KeyValue::new(names::ATTEMPTS, i64::from(self.attempts)));
            call.span.end();
        }
    }
}

/// What an answer says of itself, on a call's span and on an attempt's.
pub(super) fn answer_attributes(
    finish: Option<Finish>,
    usage: Option<Usage>,
    model: Option<&str>,
) -> impl Iterator<Item = KeyValue> {
    let finish = finish.map(|finish| {
        KeyValue::new(
            names::FINISH_REASONS,
            Value::Array(Array::String(vec![StringValue::from(names::finish(finish))])),
        )
    });
    let tokens = usage.map(|usage| {
        [
            KeyValue::new(names::INPUT_TOKENS, i64::from(usage.input_tokens)),
            KeyValue::new(names::OUTPUT_TOKENS, i64::from(usage.output_tokens)),
        ]
    });
    let model = model.map(|model| KeyValue::new(names::RESPONSE_MODEL, model.to_owned()));
    finish.into_iter().chain(tokens.into_iter().flatten()).chain(model)
}

/// The model as the caller named it, cut where it is longer than any name is; the default's where it named none.
fn requested(labels: &Labels, index: Option<usize>, name: &str) -> String {
    const LONGEST: usize = 128;
    if name.is_empty() {
        return labels.model(index).series.name.to_string();
    }
    name.chars().take(LONGEST).collect()
}

/// The part of `took` that went neither into `attempts` nor into the waits before them.
fn overhead(took: Duration, streamed: bool, attempts: &[Attempt]) -> Duration {
    let Some((last, before)) = attempts.split_last() else { return took };
    let last_took = if streamed { took.saturating_sub(last.started_after) } else { last.took };
    let waited: Duration = attempts.iter().map(|attempt| attempt.waited).sum();
    let tried: Duration = before.iter().map(|attempt| attempt.took).sum();
    took.saturating_sub(waited.saturating_add(tried).saturating_add(last_took))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(started_ms: u64, took_ms: u64, waited_ms: u64) -> Attempt {
        Attempt {
            provider: "a".into(),
            started_after: Duration::from_millis(started_ms),
            took: Duration::from_millis(took_ms),
            error: None,
            waited: Duration::from_millis(waited_ms),
            wait_reason: WaitReason::None,
        }
    }

    #[test]
    fn overhead_is_what_neither_attempts_nor_waits_took() {
        let cases: [(&str, u64, bool, Vec<Attempt>, u64); 6] = [
            ("nobody asked", 3, false, vec![], 3),
            ("one whole answer", 103, false, vec![attempt(1, 100, 0)], 3),
            ("a retry after a wait", 266, false, vec![attempt(1, 10, 0), attempt(62, 200, 50)], 6),
            ("a stream, whose first token came after 20 ms", 500, true, vec![attempt(2, 20, 0)], 2),
            ("a stream at the second try", 500, true, vec![attempt(1, 30, 0), attempt(45, 20, 10)], 5),
            ("marks that contradict each other", 5, false, vec![attempt(1, 100, 7)], 0),
        ];
        for (what, took, streamed, attempts, expected) in cases {
            let overhead = overhead(Duration::from_millis(took), streamed, &attempts);
            assert_eq!(overhead, Duration::from_millis(expected), "{what}");
        }
    }
}
