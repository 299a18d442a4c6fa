//! Spans of what the control plane does, if anyone asked for spans: one for each request, whichever door it comes
//! through, and one for each delivery of alerts. Names are OpenTelemetry's for HTTP and RPC, and ours where there are none.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, Uri, header},
    middleware::Next,
    response::Response,
};
use fusebox_base::{
    clock,
    config::Telemetry,
    spans::{Place, Spans, Start, Target, TraceContext, TraceError, Tracer},
};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span;
use parking_lot::Mutex;
use tonic::Code;

/// What the conventions call what is not known.
const OTHER: &str = "_OTHER";

tokio::task_local! {
    /// What is told of what this task does.
    static DOING: Arc<Doing>;
}

/// A span that is not over, for what happens inside it.
#[derive(Debug)]
struct Doing {
    context: TraceContext,
    notes: Mutex<Vec<KeyValue>>,
}

/// Where spans go; nowhere, if nobody asked for them.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Tracer>>);

/// How something that has a span went, in the span's words.
#[derive(Debug, Default)]
pub struct End {
    /// What became known of it.
    pub attributes: Vec<KeyValue>,
    /// What class of failure it was, and a sentence about it; `None`: it went well.
    pub error: Option<(&'static str, String)>,
}

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

    /// Spans by what became of them; `None`: none are made.
    #[must_use]
    pub fn counts(&self) -> Option<Spans> {
        self.0.as_deref().map(Tracer::counts)
    }

    /// Sends what is left; blocks for `within` at most.
    pub fn flush(&self, within: Duration) {
        if let Some(tracer) = &self.0 {
            tracer.shut_down(within);
        }
    }

    /// Does `work` within a span of its own called `name`, a client's; `end` says how it went.
    pub async fn client<T>(
        &self,
        name: String,
        attributes: Vec<KeyValue>,
        work: impl Future<Output = T>,
        end: impl FnOnce(&T) -> End,
    ) -> T {
        let Some(tracer) = self.0.as_deref() else { return work.await };
        let start = Start { name, at: clock::wall(), attributes };
        let mut span = tracer.other(SpanKind::Client, start, &Place::default());
        let (done, notes) = within(tracer.headers(&span), work).await;
        let End { attributes, error } = end(&done);
        span.set_attributes(notes.into_iter().chain(attributes));
        if let Some((class, why)) = error {
            span.set_attribute(KeyValue::new("error.type", class));
            span.set_status(Status::error(why));
        }
        span.end();
        done
    }
}

/// What tells others that they are asked, or told, on behalf of the span that this task works within; empty: there is none.
#[must_use]
pub fn current() -> TraceContext {
    DOING.try_with(|doing| doing.context.clone()).unwrap_or_default()
}

/// Notes something on the span that this task works within, if there is one.
pub fn note(attribute: KeyValue) {
    let _ = DOING.try_with(|doing| doing.notes.lock().push(attribute));
}

/// Makes a request's span, a child of the caller's.
pub async fn span(State(traces): State<Traces>, request: Request, next: Next) -> Response {
    let Some(tracer) = traces.0.as_deref().filter(|_| !is_routine(request.uri().path())) else {
        return next.run(request).await;
    };
    let span = begin(tracer, &request);
    let (response, notes) = within(tracer.headers(&span), next.run(request)).await;
    end(span, notes, &response);
    response
}

async fn within<T>(context: TraceContext, work: impl Future<Output = T>) -> (T, Vec<KeyValue>) {
    let doing = Arc::new(Doing { context, notes: Mutex::default() });
    let done = DOING.scope(Arc::clone(&doing), work).await;
    let notes = std::mem::take(&mut *doing.notes.lock());
    (done, notes)
}

/// What machines ask all day. Nobody looks for it in traces, where it would drown the rest.
fn is_routine(path: &str) -> bool {
    ["/livez", "/readyz", "/metrics"].contains(&path) || path.starts_with("/grpc.health.v1.Health/")
}

fn begin(tracer: &Tracer, request: &Request) -> Span {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let (name, attributes) = match is_grpc(request.headers()) {
        true => rpc(request.uri(), matched.is_some()),
        false => http(request.method(), request.uri(), matched),
    };
    let start = Start { name, at: clock::wall(), attributes };
    tracer.call(start, &TraceContext::of(request.headers())).span
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// `known`: there is a service of that name.
fn rpc(uri: &Uri, known: bool) -> (String, Vec<KeyValue>) {
    let method = if known { uri.path().trim_start_matches('/') } else { OTHER }.to_owned();
    (method.clone(), vec![KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method)])
}

fn http(method: &Method, uri: &Uri, matched: Option<&str>) -> (String, Vec<KeyValue>) {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    let (word, name) = match known.contains(method) {
        true => (method.as_str(), method.as_str()),
        false => (OTHER, "HTTP"),
    };
    let mut attributes = vec![
        KeyValue::new("http.request.method", word.to_owned()),
        KeyValue::new("url.path", uri.path().chars().take(256).collect::<String>()),
    ];
    attributes.extend(uri.scheme_str().map(|scheme| KeyValue::new("url.scheme", scheme.to_owned())));
    let Some(route) = matched else { return (name.to_owned(), attributes) };
    attributes.push(KeyValue::new("http.route", route.to_owned()));
    (format!("{name} {route}"), attributes)
}

fn end(mut span: Span, notes: Vec<KeyValue>, response: &Response) {
    span.set_attributes(notes);
    let status = response.status();
    if is_grpc(response.headers()) {
        // An answer without one in its head went well: what streams, up to there.
        let sent = response.headers().get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
        let code = sent.map_or(Code::Ok, Code::from_i32);
        span.set_attribute(KeyValue::new("rpc.response.status_code", name_of(code)));
        if code == Code::Unimplemented {
            // Of a method that no service has, no more is told than that: callers cannot make names.
            span.update_name(OTHER);
            span.set_attribute(KeyValue::new("rpc.method", OTHER));
        }
        if is_ours(code) {
            span.set_attribute(KeyValue::new("error.type", name_of(code)));
            span.set_status(Status::error(code.description()));
        }
    } else {
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(status.canonical_reason().unwrap_or_default()));
        }
    }
    span.end();
}

/// Whether a server's span is in error for it: the others are the caller's affair.
const fn is_ours(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
