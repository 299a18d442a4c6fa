//! Spans over OTLP, if anyone asked for them: where they go, how a call's span joins its caller's
//! trace, and what is sent on. What spans tell, each program says for itself.
//!
//! Sampling, batching, headers, timeout and compression are read by OpenTelemetry's own library from
//! the standard `OTEL_` variables. Exporting happens on two threads of its own; a full queue drops spans.

mod context;
mod export;
mod post;
mod target;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, Span as _, SpanContext, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span},
};
use tokio::{runtime::Runtime, sync::oneshot};

pub use self::{
    context::TraceContext,
    export::write,
    target::{Target, TraceError},
};
use self::{
    export::{CountedExporter, CountedProcessor, Counts, most_waiting},
    post::Poster,
    target::Protocol,
};

/// Makes spans and sends them.
#[derive(Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    counts: Arc<Counts>,
    /// Dropped, it ends the thread that the exporter's connection lives on.
    _connection: oneshot::Sender<()>,
}

/// A call's span, and what its attempts' spans hang from.
#[derive(Debug)]
pub struct CallSpan {
    /// The span itself.
    pub span: Span,
    context: Context,
}

/// What a new span is called, and what is known of it from the start.
pub struct Start {
    /// Its name.
    pub name: String,
    /// When it began.
    pub at: SystemTime,
    /// What is known of it.
    pub attributes: Vec<KeyValue>,
}

/// Where a span stands among others.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Whose child it is; empty: it begins a trace.
    pub parent: TraceContext,
    /// What it has to do with, and is no part of.
    pub linked: TraceContext,
}

/// Spans by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spans {
    /// All that ended.
    pub ended: u64,
    /// Taken by the collector.
    pub exported: u64,
    /// Sent, and not taken.
    pub failed: u64,
    /// Too many waited already.
    pub dropped: u64,
    /// Yet to be exported, or on their way.
    pub waiting: u64,
}

impl Tracer {
    /// Starts exporting to `target` as `service`, at the program's `version`, unless the variables name it otherwise.
    ///
    /// # Errors
    ///
    /// If nothing can be exported as configured. An endpoint that does not answer is no error.
    pub fn try_new(target: &Target, service: &'static str, version: &'static str) -> Result<Self, TraceError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = match exporter(target, &runtime) {
            Ok(exporter) => exporter,
            Err(error) => {
                // Whoever starts this may be on a runtime of their own, where no other may be waited for.
                runtime.shutdown_background();
                return Err(error);
            }
        };
        let (connection, closed) = oneshot::channel();
        thread::Builder::new().name("otlp".into()).spawn(move || drop(runtime.block_on(closed)))?;

        let counts = Arc::new(Counts::default());
        let batches = BatchSpanProcessor::builder(CountedExporter::new(exporter, &counts)).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(service, version))
            .with_span_processor(CountedProcessor::new(batches, &counts, most_waiting()))
            .build();
        let tracer = provider.tracer("fusebox");
        Ok(Self { provider, tracer, counts, _connection: connection })
    }

    /// A call's span, a child of the caller's where `incoming` names one.
    #[must_use]
    pub fn call(&self, start: Start, incoming: &TraceContext) -> CallSpan {
        let span = self.start(SpanKind::Server, start, &incoming.extracted(), None);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        CallSpan { span, context }
    }

    /// An attempt's span.
    #[must_use]
    pub fn attempt(&self, start: Start, call: &CallSpan) -> Span {
        self.start(SpanKind::Client, start, &call.context, None)
    }

    /// A span that is neither.
    #[must_use]
    pub fn other(&self, kind: SpanKind, start: Start, place: &Place) -> Span {
        let linked = place.linked.extracted().span().span_context().clone();
        self.start(kind, start, &place.parent.extracted(), Some(linked))
    }

    /// What tells whoever is asked that `span` is its parent.
    #[must_use]
    pub fn headers(&self, span: &Span) -> TraceContext {
        TraceContext::naming(span.span_context())
    }

    /// Spans by what became of them.
    #[must_use]
    pub fn counts(&self) -> Spans {
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Relaxed);
        Spans {
            ended: read(&counts.ended),
            exported: read(&counts.exported),
            failed: read(&counts.failed),
            dropped: read(&counts.dropped),
            waiting: counts.waiting.load(Relaxed) as u64,
        }
    }

    /// Sends what is queued and ends; blocks for at most `within`.
    pub fn shut_down(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::debug!(target: crate::LOG, %error, "the last spans were not sent");
        }
    }

    fn start(&self, kind: SpanKind, start: Start, parent: &Context, linked: Option<SpanContext>) -> Span {
        let builder = self.tracer.span_builder(start.name).with_kind(kind).with_start_time(start.at);
        let builder = builder.with_attributes(start.attributes);
        let linked = linked.filter(SpanContext::is_valid).map(|context| Link::new(context, Vec::new(), 0));
        let builder = match linked {
            Some(link) => builder.with_links(vec![link]),
            None => builder,
        };
        self.tracer.build_with_context(builder, parent)
    }
}

impl CallSpan {
    /// Notes that the span has to do with another, which is no ancestor of it.
    pub fn link(&mut self, other: &SpanContext) {
        if other.is_valid() {
            self.span.add_link(other.clone(), Vec::new());
        }
    }
}

fn exporter(target: &Target, runtime: &Runtime) -> Result<SpanExporter, TraceError> {
    let _inside = runtime.enter();
    match &target.protocol {
        Protocol::Grpc => {
            let mut builder = SpanExporter::builder().with_tonic().with_protocol(opentelemetry_otlp::Protocol::Grpc);
            builder = builder.with_endpoint(&target.endpoint);
            if let Some(tls) = target.tls()? {
                builder = builder.with_tls_config(tls);
            }
            Ok(builder.build()?)
        }
        Protocol::Http => {
            let poster = Poster::try_new(target, runtime.handle().clone())?;
            let builder = SpanExporter::builder().with_http().with_http_client(poster);
            let builder = builder.with_protocol(opentelemetry_otlp::Protocol::HttpBinary);
            Ok(builder.with_endpoint(&target.endpoint).build()?)
        }
        Protocol::Other(name) => Err(TraceError::Protocol(name.clone())),
    }
}

/// The variables' resource, under our own name where they give none.
fn resource(service: &'static str, version: &'static str) -> Resource {
    const NAME: &str = "service.name";
    let named =
        Resource::builder_empty().with_detectors(&[Box::new(opentelemetry_sdk::resource::EnvResourceDetector::new())]);
    let named = named.build().iter().any(|(key, _)| key.as_str() == NAME)
        || std::env::var("OTEL_SERVICE_NAME").is_ok_and(|name| !name.is_empty());
    let builder = Resource::builder().with_attribute(KeyValue::new("service.version", version));
    if named { builder.build() } else { builder.with_service_name(service).build() }
}

#[cfg(test)]
mod tests;
