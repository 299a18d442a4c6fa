//! Spans that are no call's and no attempt's: of what a door refused, of the sidecar's own questions to a provider, and
//! of operators' settings as they come into force.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use fusebox_base::spans::{Place, Start, TraceContext};
use fusebox_rules::fleet::Stamp;
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span;

use super::{Labels, Refusal, Telemetry, entry, names};
use crate::{clock, error::Failure};

/// A change of the fleet's settings that is older is not news: whoever hears of it only now, as it starts, makes a trace
/// of its own, with a link to the operator's.
const NEWS: Duration = Duration::from_secs(60);

/// The sidecar's own question to a provider. Dropped without [`ProbeTrace::ended`], it was given up.
#[derive(Debug)]
pub struct ProbeTrace {
    labels: Arc<Labels>,
    span: Option<Span>,
}

/// What operators have set has come into force here, or could not.
#[derive(Debug)]
pub struct Applied<'a> {
    /// Their version.
    pub version: u64,
    /// Where the operator's request to set them is told of, in `traceparent`'s words; `None`: nobody traced it.
    pub trace: Option<&'a str>,
    /// Which sidecar this is.
    pub sidecar: &'a str,
    /// When it began to apply them.
    pub began: SystemTime,
    /// Now, by the fleet's clock.
    pub now: Stamp,
    /// Whether all of it is in force.
    pub done: bool,
}

impl Telemetry {
    /// The span of what a door refused before it was a call.
    pub(super) fn span_of(&self, refusal: &Refusal<'_>, took: Duration) {
        let Some(tracer) = &self.tracer else { return };
        let Refusal { failure, correlation_id, door, operation, trace, .. } = *refusal;
        let mut attributes = vec![
            KeyValue::new(names::CORRELATION_ID, correlation_id.to_string()),
            KeyValue::new(names::DOOR, door.name()),
            KeyValue::new(names::ERROR_TYPE, failure.kind.name()),
            entry::told(door, Some(failure), false),
        ];
        if let Some(operation) = operation {
            attributes.push(KeyValue::new(names::OPERATION, operation.name()));
            attributes.extend(entry::way_in(door, operation, false));
        }
        let name = operation.map_or("refused", crate::chat::request::Operation::name).to_owned();
        let mut call = tracer.call(Start { name, at: clock::wall() - took, attributes }, trace);
        if failure.http_status() >= 500 {
            call.span.set_status(Status::error(failure.message.clone()));
        }
        call.span.end();
    }

    /// A question of the sidecar's own begins, to the provider of that index.
    #[must_use]
    pub fn probe(&self, labels: &Arc<Labels>, provider: usize) -> ProbeTrace {
        let span = self.tracer.as_ref().map(|tracer| {
            let asked = labels.provider(provider);
            let name = asked.series.name.to_string();
            let mut attributes = vec![
                KeyValue::new(names::PROBE, true),
                KeyValue::new(names::OPERATION, "chat"),
                KeyValue::new(names::PROVIDER_SYSTEM, asked.system),
                KeyValue::new(names::PROVIDER, name.clone()),
            ];
            attributes.extend(asked.address_attributes());
            let start = Start { name: format!("probe {name}"), at: clock::wall(), attributes };
            tracer.other(SpanKind::Client, start, &Place::default())
        });
        ProbeTrace { labels: Arc::clone(labels), span }
    }

    /// Joins the trace of whoever set them, so that one trace tells of a change from the operator's request to the last
    /// sidecar.
    pub fn applied(&self, applied: &Applied<'_>) {
        let (Some(tracer), Some(parent)) = (&self.tracer, applied.trace) else { return };
        let setting = TraceContext::under(parent);
        // A version is the shared time at which it was set, or hardly later.
        let is_news = applied.now.since(Stamp::from_millis(applied.version)) <= NEWS;
        let place = match is_news {
            true => Place { parent: setting, ..Place::default() },
            false => Place { linked: setting, ..Place::default() },
        };
        let version = i64::try_from(applied.version).unwrap_or(i64::MAX);
        let attributes = vec![
            KeyValue::new(names::SETTINGS_VERSION, version),
            KeyValue::new(names::SIDECAR, applied.sidecar.to_owned()),
        ];
        let start = Start { name: "apply settings".to_owned(), at: applied.began, attributes };
        let mut span = tracer.other(SpanKind::Consumer, start, &place);
        if !applied.done {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, "refused"));
            span.set_status(Status::error("the configuration would be wrong with them; the last good one stays"));
        }
        span.end();
    }
}

impl ProbeTrace {
    /// The trace context to send to the provider.
    #[must_use]
    pub fn headers(&self) -> TraceContext {
        match (&self.labels.telemetry.tracer, &self.span) {
            (Some(tracer), Some(span)) => tracer.headers(span),
            _ => TraceContext::default(),
        }
    }

    /// The question was answered, or was not.
    pub fn ended(mut self, failure: Option<&Failure>) {
        let Some(mut span) = self.span.take() else { return };
        if let Some(failure) = failure {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, failure.kind.name()));
            span.set_status(Status::error(failure.message.clone()));
        }
        span.end();
    }
}
