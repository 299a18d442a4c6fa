//! Spans over OTLP, if anyone asked for them: where they go, how a call's span joins its caller's
//! trace, and what is sent on. What spans tell, each program says for itself.
//!
//! Sampling, batching, headers, timeout and compression are read by OpenTelemetry's own library from
//! the standard `OTEL_` variables. Exporting happens on two threads of its own; a full queue drops spans.

mod export;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::{Span as _, SpanKind, TraceContextExt, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{
    SpanExporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span},
};
use tokio::sync::oneshot;

use self::export::{CountedExporter, CountedProcessor, Counts};

/// Spans cannot be exported as configured.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The certificate to trust cannot be read.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {path}: {source}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The endpoint, a header or another setting is wrong.
    #[error("telemetry.otlp_endpoint or an OTEL_EXPORTER_OTLP_ variable: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The exporter's thread cannot be started.
    #[error("the exporter of spans cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// W3C trace context.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TraceContext {
    /// `traceparent`, as it came.
    pub parent: Option<HeaderValue>,
    /// `tracestate`, as it came.
    pub state: Option<HeaderValue>,
}

/// Where spans go.
#[derive(Debug, PartialEq, Eq)]
pub struct Target {
    endpoint: String,
    certificate: Option<PathBuf>,
}

/// Makes spans and sends them.
#[derive(Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
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

impl Target {
    /// Where spans go by `configured` and this process's variables; `None`: nowhere.
    #[must_use]
    pub fn from_environment(configured: Option<&str>) -> Option<Self> {
        Self::resolve(configured, |name| std::env::var(name).ok())
    }

    /// Where spans go by `configured` and the variables that `env` reads; `None`: nowhere.
    fn resolve(configured: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let is = |name: &str, value: &str| set(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
        if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
            return None;
        }
        let either = |what: &str| {
            set(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}")).or_else(|| set(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        let endpoint = match configured.filter(|endpoint| !endpoint.is_empty()) {
            // Our own setting is as plain as a host and a port; a collector is a neighbour.
            Some(endpoint) => with_scheme(endpoint, true),
            None => {
                with_scheme(&either("ENDPOINT")?, either("INSECURE").is_some_and(|it| it.eq_ignore_ascii_case("true")))
            }
        };
        Some(Self { endpoint, certificate: either("CERTIFICATE").map(PathBuf::from) })
    }

    fn tls(&self) -> Result<Option<ClientTlsConfig>, TraceError> {
        if !self.endpoint.starts_with("https:") {
            return Ok(None);
        }
        let Some(path) = &self.certificate else {
            return Ok(Some(ClientTlsConfig::new().with_native_roots()));
        };
        let pem = std::fs::read(path).map_err(|source| TraceError::Certificate { path: path.clone(), source })?;
        Ok(Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))))
    }
}

impl Tracer {
    /// Starts exporting to `target` as `service`, at the program's `version`, unless the variables name it otherwise.
    ///
    /// # Errors
    ///
    /// If nothing can be exported as configured. An endpoint that does not answer is no error.
    pub fn try_new(target: &Target, service: &'static str, version: &'static str) -> Result<Self, TraceError> {
        let mut builder = SpanExporter::builder().with_tonic().with_endpoint(&target.endpoint);
        if let Some(tls) = target.tls()? {
            builder = builder.with_tls_config(tls);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let exporter = {
            let _inside = runtime.enter();
            builder.build()?
        };
        let (connection, closed) = oneshot::channel();
        thread::Builder::new().name("otlp".into()).spawn(move || drop(runtime.block_on(closed)))?;

        let counts = Arc::new(Counts::default());
        let batches = BatchSpanProcessor::builder(CountedExporter::new(exporter, &counts)).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource(service, version))
            .with_span_processor(CountedProcessor::new(batches, &counts))
            .build();
        let tracer = provider.tracer("fusebox");
        let propagator = TraceContextPropagator::new();
        Ok(Self { provider, tracer, propagator, counts, _connection: connection })
    }

    /// A call's span, a child of the caller's where `incoming` names one.
    #[must_use]
    pub fn call(&self, start: Start, incoming: &TraceContext) -> CallSpan {
        let parent = self.propagator.extract_with_context(&Context::new(), &Incoming(incoming));
        let span = self.start(SpanKind::Server, start, &parent);
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        CallSpan { span, context }
    }

    /// An attempt's span.
    #[must_use]
    pub fn attempt(&self, start: Start, call: &CallSpan) -> Span {
        self.start(SpanKind::Client, start, &call.context)
    }

    /// What tells whoever is asked that `span` is its parent.
    #[must_use]
    pub fn headers(&self, span: &Span) -> TraceContext {
        let mut outgoing = Outgoing::default();
        let context = Context::new().with_remote_span_context(span.span_context().clone());
        self.propagator.inject_context(&context, &mut outgoing);
        outgoing.0
    }

    /// Spans by what became of them.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let counts = &self.counts;
        let read = |count: &AtomicU64| count.load(Relaxed);
        [("ended", read(&counts.ended)), ("exported", read(&counts.exported)), ("failed", read(&counts.failed))]
    }

    /// Sends what is queued and ends; blocks for at most `within`.
    pub fn shut_down(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::debug!(target: crate::LOG, %error, "the last spans were not sent");
        }
    }

    fn start(&self, kind: SpanKind, start: Start, parent: &Context) -> Span {
        let builder = self.tracer.span_builder(start.name).with_kind(kind).with_start_time(start.at);
        self.tracer.build_with_context(builder.with_attributes(start.attributes), parent)
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

fn with_scheme(endpoint: &str, insecure: bool) -> String {
    match (endpoint.contains("://"), insecure) {
        (true, _) => endpoint.to_owned(),
        (false, true) => format!("http://{endpoint}"),
        (false, false) => format!("https://{endpoint}"),
    }
}

struct Incoming<'a>(&'a TraceContext);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = match key {
            "traceparent" => &self.0.parent,
            "tracestate" => &self.0.state,
            _ => &None,
        };
        value.as_ref()?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

#[derive(Default)]
struct Outgoing(TraceContext);

impl Injector for Outgoing {
    fn set(&mut self, key: &str, value: String) {
        let value = HeaderValue::try_from(value).ok().filter(|value| !value.is_empty());
        match key {
            "traceparent" => self.0.parent = value,
            "tracestate" => self.0.state = value,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
