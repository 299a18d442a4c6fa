//! One call as it is seen from outside: begun once, ended once.
//!
//! Fusebox's own time, `fusebox_overhead_seconds`, is the call's time less its waits and attempts, as
//! its outcome tells them. A streamed answer's last attempt lasts until the call does.

use std::{ops::Range, sync::Arc, time::Duration};

use fusebox_base::{
    prometheus::Traced,
    spans::{CallSpan, Start},
};
use fusebox_rules::{critical::Critical, degradation::Level, fleet::bucket::Unit, moment::Moment};
use opentelemetry::{
    Array, KeyValue, StringValue, Value,
    trace::{Span as _, SpanContext, Status},
};

use super::{
    CacheResult, Door, Labels, Ledger, WaitFor,
    attempt::{AttemptTrace, Begun},
    entry,
    errors::Failed,
    lines, names,
};
use crate::{
    call::{
        Call, Priority,
        outcome::{Attempt, Outcome, Source},
    },
    chat::{
        answer::{Finish, Usage},
        request::{Operation, Request},
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
    pub(super) span: Option<Box<CallSpan>>,
    /// What the next attempt asks otherwise than the last.
    pub(super) change: Option<&'static str>,
    /// Of a batch: what attempts ask for now.
    pub(super) inputs: Option<Range<usize>>,
    /// Whether a step down the ladder was taken.
    pub(super) descended: bool,
    /// Whether its answer comes in parts.
    pub(super) stream: bool,
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
                attributes: known(labels, call, model, door),
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
            change: None,
            inputs: None,
            descended: false,
            stream: call.request.stream,
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
        let attempt = AttemptTrace::new(self, self.span.as_deref(), begun, model);
        self.change = None;
        attempt
    }

    /// Another attempt at a provider was left out, for its retry budget was spent.
    pub fn unpaid(&self, provider: usize) {
        self.labels.provider(provider).series.unpaid();
    }

    /// A provider's rate limit, of `unit`, had no room for this call.
    pub fn held_back(&self, provider: usize, unit: Unit) {
        self.labels.provider(provider).series.held_back(unit);
    }

    /// It waited so long for an equal call that is under way at another sidecar.
    pub fn waited(&mut self, time: Duration) {
        self.waited = time;
        self.waited_for(WaitFor::Claim, None, time);
    }

    /// So many look-ups in the cache, or answers to be kept there, came to `result`.
    pub fn cache(&self, result: CacheResult, count: usize) {
        self.labels.telemetry.metrics.cache(result, count as u64);
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
            self.labels.telemetry.metrics.first_token(after, self.traced());
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
        metrics.call_took(took, overhead, self.traced());
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

    /// Its span's place in a sampled trace, for the exemplars of what it is counted in.
    fn traced(&self) -> Option<Traced> {
        traced(self.span.as_ref()?.span.span_context())
    }

    fn end_span(&mut self, end: &CallEnd<'_>) {
        let Some(mut call) = self.span.take() else { return };
        if call.span.is_recording() {
            call.span.set_attributes(answer_attributes(end.finish, end.usage, end.response_model));
            call.span.set_attributes(self.outcome_attributes(end));
            call.span.set_attribute(entry::told(self.door, end.error, self.first_token.is_some()));
            // A server's span is in error only where the server is; what is wrong with the call is the caller's affair.
            if let Some(failure) = end.error.filter(|failure| failure.http_status() >= 500) {
                call.span.set_status(Status::error(failure.message.clone()));
            }
        }
        call.span.end();
    }
}

impl CallTrace {
    /// How it went.
    fn outcome_attributes(&self, end: &CallEnd<'_>) -> impl Iterator<Item = KeyValue> {
        let outcome = end.outcome;
        let fell_back = match end.source {
            Some(Source::Fallback | Source::Simplified | Source::Static) => true,
            Some(Source::Primary | Source::Cache) | None => self.descended,
        };
        [
            Some(KeyValue::new(names::ATTEMPTS, i64::from(self.attempts))),
            outcome.provider.as_ref().map(|name| KeyValue::new(names::PROVIDER, name.to_string())),
            end.source.map(|source| KeyValue::new(names::SOURCE, source.name())),
            end.source.map(|_| KeyValue::new(names::QUALITY, outcome.quality.name())),
            fell_back.then(|| KeyValue::new(names::FELL_BACK, true)),
            outcome.age.map(|age| KeyValue::new(names::CACHE_AGE, age.as_secs_f64())),
            (outcome.level != Level::Full).then(|| KeyValue::new(names::LEVEL, outcome.level.name())),
            self.first_token.map(|after| KeyValue::new(names::FIRST_CHUNK, after.as_secs_f64())),
            end.error.map(|failure| KeyValue::new(names::ERROR_TYPE, failure.kind.name())),
        ]
        .into_iter()
        .flatten()
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

/// A span's place in its trace; `None`: that is not sampled.
pub(super) fn traced(span: &SpanContext) -> Option<Traced> {
    let (trace, span_id) = (span.trace_id().to_bytes(), span.span_id().to_bytes());
    span.is_sampled().then(|| Traced { trace, span: span_id, at: clock::wall() })
}

/// What is known of a call from the start.
fn known(labels: &Labels, call: &Call, model: Option<usize>, door: Door) -> Vec<KeyValue> {
    let request = &call.request;
    let mut known = vec![
        KeyValue::new(names::OPERATION, request.operation.name()),
        KeyValue::new(names::REQUEST_MODEL, requested(labels, model, &request.model)),
        KeyValue::new(names::CORRELATION_ID, call.correlation_id.to_string()),
        KeyValue::new(names::DOOR, door.name()),
    ];
    known.extend(entry::way_in(door, request.operation, request.stream));
    known.extend(request_attributes(request));
    if let Some(run) = &call.options.run_id {
        known.push(KeyValue::new(names::RUN, run.to_string()));
    }
    if call.options.priority == Priority::Batch {
        known.push(KeyValue::new(names::PRIORITY, "batch"));
    }
    known
}

/// What a request asks for, on a call's span and on an attempt's. Nothing of its content.
pub(super) fn request_attributes(request: &Request) -> impl Iterator<Item = KeyValue> {
    let speaks = matches!(request.operation, Operation::Chat | Operation::Completion);
    let most = request.max_tokens.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
    [
        request.stream.then(|| KeyValue::new(names::REQUEST_STREAM, true)),
        most.map(|most| KeyValue::new(names::REQUEST_MAX_TOKENS, most)),
        (speaks && request.choices != 1).then(|| KeyValue::new(names::REQUEST_CHOICES, i64::from(request.choices))),
    ]
    .into_iter()
    .flatten()
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
    use crate::call::outcome::WaitReason;

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
