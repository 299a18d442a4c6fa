//! One attempt of a call at one provider, as it is seen from outside.

use std::{ops::Range, sync::Arc, time::Duration};

use fusebox_base::spans::{CallSpan, Start};
use fusebox_rules::{critical::Critical, moment::Moment};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, Status},
};
use opentelemetry_sdk::trace::Span;

use super::{
    CallTrace, Labels, Ledger,
    call::{answer_attributes, traced},
    errors::Failed,
    lines, names,
};
use crate::{
    call::{Call, TraceContext},
    chat::{
        answer::{Finish, Usage},
        request::Operation,
    },
    clock,
    error::{ErrorKind, Failure},
};

/// Follows one attempt. Dropped without [`AttemptTrace::ended`], it records that it was given up.
#[derive(Debug)]
pub struct AttemptTrace {
    pub(super) labels: Arc<Labels>,
    pub(super) correlation_id: Arc<str>,
    pub(super) begun: Begun,
    ledger: Option<Arc<Ledger>>,
    operation: Operation,
    started: Moment,
    /// From the start.
    first_token: Option<Duration>,
    span: Option<Box<Span>>,
    over: bool,
}

/// What of an answer an attempt's span and counters tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'a> {
    /// Why the model stopped.
    pub finish: Option<Finish>,
    /// What it cost, if the provider said.
    pub usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub model: Option<&'a str>,
}

/// Which attempt it is, and at whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) provider: usize,
    pub(super) model_index: Option<usize>,
    pub(super) number: u32,
}

impl AttemptTrace {
    pub(super) fn new(call: &CallTrace, parent: Option<&CallSpan>, begun: Begun, model: Option<&str>) -> Self {
        let labels = &call.labels;
        let span = labels.telemetry.tracer.as_ref().zip(parent).map(|(tracer, parent)| {
            let provider = labels.provider(begun.provider);
            let operation = call.operation.name();
            let model = model.unwrap_or_else(|| call.model());
            let mut attributes = vec![
                KeyValue::new(names::OPERATION, operation),
                KeyValue::new(names::PROVIDER_SYSTEM, provider.system),
                KeyValue::new(names::REQUEST_MODEL, model.to_owned()),
                KeyValue::new(names::PROVIDER, provider.series.name.to_string()),
                KeyValue::new(names::ATTEMPT, i64::from(begun.number)),
            ];
            attributes.extend(call.stream.then(|| KeyValue::new(names::REQUEST_STREAM, true)));
            attributes.extend(call.change.map(|change| KeyValue::new(names::CHANGE, change)));
            attributes.extend(call.inputs.as_ref().map(|inputs| KeyValue::new(names::INPUTS, shown(inputs))));
            attributes.extend(provider.address_attributes());
            let start = Start { name: format!("{operation} {model}"), at: clock::wall(), attributes };
            Box::new(tracer.attempt(start, parent))
        });
        Self {
            labels: Arc::clone(labels),
            correlation_id: Arc::clone(&call.correlation_id),
            begun,
            ledger: call.ledger.clone(),
            operation: call.operation,
            started: clock::now(),
            first_token: None,
            span,
            over: false,
        }
    }

    /// The trace context to send to the provider: this attempt's, or the call's own as it came where no spans are made.
    #[must_use]
    pub fn headers(&self, call: &Call) -> TraceContext {
        match (&self.labels.telemetry.tracer, &self.span) {
            (Some(tracer), Some(span)) => TraceContext { baggage: call.trace.baggage.clone(), ..tracer.headers(span) },
            _ => call.trace.clone(),
        }
    }

    /// The provider's first token came at `at`. Later ones change nothing.
    pub fn first_token(&mut self, at: Moment) {
        if self.first_token.is_none() {
            self.first_token = Some(at.since(self.started));
        }
    }

    /// The attempt is over; a stream's with its last token.
    pub fn ended(mut self, end: Result<&Facts<'_>, &Failure>) {
        self.over = true;
        let now = clock::now();
        match end {
            Ok(facts) => {
                self.count(None, now);
                self.used(facts.usage);
                self.end_span(facts, None);
            }
            Err(failure) => {
                self.count(Some(failure.kind), now);
                self.used(failure.usage);
                self.remember(failure.kind, now);
                lines::attempt(&self, failure, now.since(self.started));
                let facts = Facts { usage: failure.usage, ..Facts::default() };
                self.end_span(&facts, Some(failure));
            }
        }
    }

    fn count(&self, kind: Option<ErrorKind>, now: Moment) {
        let of = self.span.as_ref().and_then(|span| traced(span.span_context()));
        self.labels.provider(self.begun.provider).series.attempt(kind, now.since(self.started), of);
    }

    /// What was used is paid for, whatever came of it.
    fn used(&self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let price = self.labels.model(self.begun.model_index).price(self.begun.provider);
        self.labels.provider(self.begun.provider).series.used(usage, price);
        if let Some(ledger) = &self.ledger {
            ledger.used(usage, price);
        }
    }

    fn remember(&self, kind: ErrorKind, at: Moment) {
        self.labels.telemetry.remember(Failed {
            kind,
            critical: Critical::of_attempt(kind),
            operation: Some(self.operation),
            provider: Some(Arc::clone(&self.labels.provider(self.begun.provider).series.name)),
            correlation_id: Arc::clone(&self.correlation_id),
            attempt: Some(self.begun.number),
            at,
        });
    }

    fn end_span(&mut self, facts: &Facts<'_>, error: Option<&Failure>) {
        let Some(mut span) = self.span.take() else { return };
        if span.is_recording() {
            span.set_attributes(answer_attributes(facts.finish, facts.usage, facts.model));
            if let Some(after) = self.first_token {
                span.set_attribute(KeyValue::new(names::FIRST_CHUNK, after.as_secs_f64()));
            }
            if let Some(failure) = error {
                span.set_attribute(KeyValue::new(names::ERROR_TYPE, failure.kind.name()));
                let status = failure.number("provider_status").and_then(|status| i64::try_from(status).ok());
                span.set_attributes(status.map(|status| KeyValue::new(names::HTTP_STATUS, status)));
                span.set_status(Status::error(failure.message.clone()));
            }
        }
        span.end();
    }
}

impl Drop for AttemptTrace {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = clock::now();
        self.count(Some(ErrorKind::Cancelled), now);
        self.remember(ErrorKind::Cancelled, now);
        if let Some(mut span) = self.span.take() {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, ErrorKind::Cancelled.name()));
            span.end();
        }
    }
}

/// Which inputs, the last one included.
fn shown(inputs: &Range<usize>) -> String {
    format!("{}-{}", inputs.start, inputs.end.saturating_sub(1))
}
