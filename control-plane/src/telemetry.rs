//! A span for each request, whichever door it comes through, if anyone asked for spans.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use fusebox_base::{
    clock,
    config::Telemetry,
    spans::{Start, Target, TraceContext, TraceError, Tracer},
};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, Status},
};
use opentelemetry_sdk::trace::Span;

/// Where spans go; nowhere, if nobody asked for them.
#[derive(Debug, Clone)]
pub struct Traces(Option<Arc<Tracer>>);

impl Traces {
    /// As `settings`, or else the standard variables, say.
    ///
    /// # Errors
    /// If spans are wanted and cannot be exported as configured. An endpoint that does not answer is no error.
    pub fn try_new(settings: &Telemetry) -> Result<Self, TraceError> {
        let target = Target::from_environment(settings.otlp_endpoint.as_deref());
        let tracer = target.map(|target| Tracer::try_new(&target, "fusebox-control-plane", env!("CARGO_PKG_VERSION")));
        Ok(Self(tracer.transpose()?.map(Arc::new)))
    }

    /// Sends what is left; blocks for `within` at most.
    pub fn flush(&self, within: Duration) {
        if let Some(tracer) = &self.0 {
            tracer.shut_down(within);
        }
    }
}

/// What a handler knows of a request that its span should tell: among the extensions of its response.
#[derive(Debug, Clone)]
pub struct Noted(pub Vec<KeyValue>);

/// Makes a request's span, a child of the caller's.
pub async fn span(State(traces): State<Traces>, request: Request, next: Next) -> Response {
    let span = traces.0.as_deref().map(|tracer| begin(tracer, &request));
    let response = next.run(request).await;
    if let Some(span) = span {
        end(span, &response);
    }
    response
}

fn begin(tracer: &Tracer, request: &Request) -> Span {
    let path = request.extensions().get::<MatchedPath>().map_or(request.uri().path(), MatchedPath::as_str);
    let method = request.method().to_string();
    let header = |name: &str| request.headers().get(name).cloned();
    let incoming = TraceContext { parent: header("traceparent"), state: header("tracestate") };
    let attributes =
        vec![KeyValue::new("http.request.method", method.clone()), KeyValue::new("http.route", path.to_owned())];
    let start = Start { name: format!("{method} {path}"), at: clock::wall(), attributes };
    tracer.call(start, &incoming).span
}

fn end(mut span: Span, response: &Response) {
    let status = response.status();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if let Some(Noted(attributes)) = response.extensions().get() {
        span.set_attributes(attributes.clone());
    }
    let grpc = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse::<i64>().ok());
    if let Some(code) = grpc {
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", code));
    }
    if status.is_server_error() || grpc.is_some_and(|code| code != 0) {
        span.set_status(Status::error(""));
    }
    span.end();
}
