//! A collector of spans: OTLP over gRPC, as the sidecar's exporter speaks it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// How long a test waits for spans before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is taken.
    Takes,
    /// It is taken, after so long.
    Slow(Duration),
    /// It is never answered.
    Hangs,
    /// It is refused.
    Refuses,
}

/// A running collector. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    shelf: Arc<Shelf>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shelf {
    manner: Manner,
    told: Mutex<Told>,
    news: watch::Sender<()>,
}

#[derive(Debug, Default, Clone)]
struct Told {
    spans: Vec<Span>,
    resource: Vec<KeyValue>,
    exports: usize,
}

struct Desk(Arc<Shelf>);

#[tonic::async_trait]
impl TraceService for Desk {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        {
            let mut told = self.0.told.lock();
            told.exports += 1;
            if self.0.manner == Manner::Refuses {
                return Err(Status::invalid_argument("not from you"));
            }
            for group in request.into_inner().resource_spans {
                told.resource = group.resource.unwrap_or_default().attributes;
                told.spans.extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        }
        self.0.news.send_replace(());
        match self.0.manner {
            Manner::Takes | Manner::Refuses => {}
            Manner::Slow(pause) => tokio::time::sleep(pause).await,
            Manner::Hangs => std::future::pending().await,
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// One that takes what it is sent.
    pub async fn start() -> Self {
        Self::with(Manner::Takes).await
    }

    /// One that takes what it is sent and never answers.
    pub async fn hanging() -> Self {
        Self::with(Manner::Hangs).await
    }

    /// One that deals so with what it is sent.
    pub async fn with(manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(Shelf { manner, told: Mutex::default(), news: watch::Sender::new(()) });
        let server = Server::builder().add_service(TraceServiceServer::new(Desk(Arc::clone(&shelf))));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ = server.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Self { address, shelf, _tasks: tasks }
    }

    /// What a sidecar's configuration calls `telemetry.otlp_endpoint`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every span so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.shelf.told.lock().spans.clone()
    }

    /// An attribute of whoever sent them.
    #[must_use]
    pub fn resource(&self, key: &str) -> Option<String> {
        find(&self.shelf.told.lock().resource, key)
    }

    /// How often it was sent spans.
    #[must_use]
    pub fn exports(&self) -> usize {
        self.shelf.told.lock().exports
    }

    /// Waits until `done` holds of the spans, and returns them.
    pub async fn until(&self, what: &str, done: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        let mut news = self.shelf.news.subscribe();
        let waiting = async {
            loop {
                let spans = self.spans();
                if done(&spans) {
                    return spans;
                }
                news.changed().await.expect("the shelf lives as long as the collector");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(spans) => spans,
            Err(_) => panic!("waited {PATIENCE:?} for {what}; there are {:#?}", self.spans()),
        }
    }

    /// Waits for the spans of `calls` calls, and returns each call's with those of its attempts, in their order.
    pub async fn calls(&self, calls: usize) -> Vec<(Span, Vec<Span>)> {
        let servers = |spans: &[Span]| spans.iter().filter(|span| span.kind() == SpanKind::Server).count();
        // An attempt's span ends before its call's, so it is there if that is.
        let spans = self.until(&format!("{calls} calls' spans"), |spans| servers(spans) >= calls).await;
        let mut found: Vec<_> = spans.iter().filter(|span| span.kind() == SpanKind::Server).cloned().collect();
        found.sort_by_key(|span| span.start_time_unix_nano);
        let attempts_of = |call: &Span| {
            let mut attempts: Vec<_> =
                spans.iter().filter(|span| span.parent_span_id == call.span_id).cloned().collect();
            attempts.sort_by_key(|span| span.start_time_unix_nano);
            attempts
        };
        found.into_iter().map(|call| (call.clone(), attempts_of(&call))).collect()
    }
}

/// The attribute `key` among `attributes`, as text.
#[must_use]
pub fn find(attributes: &[KeyValue], key: &str) -> Option<String> {
    attributes.iter().find(|attribute| attribute.key == key).map(|attribute| text(attribute.value.as_ref()))
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(it)) => it.to_string(),
        Some(Value::ArrayValue(list)) => {
            list.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(",")
        }
        other => format!("{other:?}"),
    }
}

/// An id as `traceparent` writes it.
#[must_use]
pub fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
