use std::{collections::HashMap, sync::Arc, time::Duration};

use fusebox_base::{prometheus::Format, testing::page::Page};
use fusebox_rules::fleet::Stamp;
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue as Attribute, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use super::super::fixture;
use crate::{
    call::{TraceContext, outcome::WaitReason},
    chat::answer::{Finish, Usage},
    error::{ErrorKind, Failure},
    telemetry::{Applied, BreakerState, Door, Facts, Labels, Telemetry, Transition},
};

const FLUSH: Duration = Duration::from_secs(10);

/// Takes what is exported.
struct Collector(mpsc::UnboundedSender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.send(request.into_inner()).map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector, and telemetry that exports to it.
struct Traced {
    telemetry: Arc<Telemetry>,
    labels: Arc<Labels>,
    exported: mpsc::UnboundedReceiver<ExportTraceServiceRequest>,
    _server: JoinSet<()>,
}

impl Traced {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Without a scheme, as people write it.
        let endpoint = listener.local_addr().unwrap().to_string();
        let (sender, exported) = mpsc::unbounded_channel();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let service = TraceServiceServer::new(Collector(sender));
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        let (telemetry, labels) = fixture::telemetry(Some(&endpoint));
        Self { telemetry, labels, exported, _server: server }
    }

    /// Every span by name, and the resource's attributes.
    async fn finish(mut self) -> (HashMap<String, Span>, HashMap<String, Value>) {
        let telemetry = Arc::clone(&self.telemetry);
        tokio::task::spawn_blocking(move || telemetry.flush(FLUSH)).await.unwrap();
        let (mut spans, mut resource) = (HashMap::new(), HashMap::new());
        while let Ok(request) = self.exported.try_recv() {
            for group in request.resource_spans {
                resource.extend(attributes(&group.resource.unwrap().attributes));
                for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                    let before = spans.insert(span.name.clone(), span);
                    assert!(before.is_none(), "{before:?} came twice");
                }
            }
        }
        (spans, resource)
    }
}

fn attributes(list: &[Attribute]) -> HashMap<String, Value> {
    list.iter().map(|one| (one.key.clone(), one.value.clone().unwrap().value.unwrap())).collect()
}

fn text(text: &str) -> Value {
    Value::StringValue(text.into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_its_attempts_are_spans_below_the_callers_own() {
    let traced = Traced::start().await;
    let mut call = fixture::call("chat");
    call.trace = fixture::context(PARENT, "vendor=1");
    let mut trace = traced.telemetry.begin(&traced.labels, &call, Door::Grpc);

    let first = trace.attempt(0, Some("llama"), 1);
    let sent_first = first.headers(&call);
    let failure = Failure::new(ErrorKind::RateLimited, "in our words").inside("raw words");
    first.ended(Err(&failure));
    trace.retry(0, failure.kind, Duration::from_millis(250), WaitReason::RetryAfter);
    trace.tripped(0, Transition { from: BreakerState::Closed, to: BreakerState::Open, reason: "five in a row" });
    trace.fallback(0, 1, failure.kind);
    let mut second = trace.attempt(1, Some("claude"), 2);
    let sent_second = second.headers(&call);
    second.first_token(crate::clock::now());
    trace.first_token();
    let usage = Some(Usage { input_tokens: 7, output_tokens: 9 });
    second.ended(Ok(&Facts { finish: Some(Finish::Length), usage, model: Some("claude-3") }));
    let outcome = fixture::outcome(&[("vllm", Some(failure.kind)), ("cloud", None)]);
    trace.ended(fixture::answered(&outcome));

    let (spans, resource) = traced.finish().await;
    assert_eq!(resource["service.name"], text("fusebox-sidecar"));
    assert_eq!(spans.len(), 3, "{:?}", spans.keys());
    let (server, first, second) = (&spans["chat chat"], &spans["chat llama"], &spans["chat claude"]);

    assert!([server, first, second].iter().all(|span| hex(&span.trace_id) == TRACE_ID));
    assert_eq!(hex(&server.parent_span_id), "b7ad6b7169203331");
    assert!([first, second].iter().all(|span| span.parent_span_id == server.span_id));
    assert_eq!(server.kind(), SpanKind::Server);
    assert!([first, second].iter().all(|span| span.kind() == SpanKind::Client));
    for (sent, span) in [(sent_first, first), (sent_second, second)] {
        let parent = format!("00-{TRACE_ID}-{}-01", hex(&span.span_id));
        assert_eq!(sent.parent.unwrap(), parent, "what a provider is sent names the attempt");
        assert_eq!(sent.state.unwrap(), "vendor=1");
    }

    let told = attributes(&server.attributes);
    for (name, value) in [
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.request.model", text("chat")),
        ("gen_ai.response.model", text("llama-answered")),
        ("gen_ai.usage.input_tokens", Value::IntValue(100)),
        ("gen_ai.usage.output_tokens", Value::IntValue(400)),
        ("fusebox.correlation_id", text("corr-1")),
        ("fusebox.door", text("grpc")),
        ("fusebox.source", text("primary")),
        ("fusebox.provider", text("cloud")),
        ("fusebox.attempts", Value::IntValue(2)),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert!(matches!(told["gen_ai.response.time_to_first_chunk"], Value::DoubleValue(_)));
    assert!(!told.contains_key("error.type"));
    let events: Vec<_> = server.events.iter().map(|event| (&*event.name, attributes(&event.attributes))).collect();
    assert_eq!(
        events.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["fusebox.retry", "fusebox.breaker", "fusebox.fallback"]
    );
    assert_eq!(
        (&events[0].1["fusebox.wait"], &events[0].1["fusebox.wait.reason"]),
        (&Value::DoubleValue(0.25), &text("retry_after"))
    );
    assert_eq!(events[1].1["fusebox.breaker.to"], text("open"));
    assert_eq!(
        (&events[2].1["fusebox.fallback.from"], &events[2].1["fusebox.fallback.to"]),
        (&text("vllm"), &text("cloud"))
    );

    let told = attributes(&first.attributes);
    assert_eq!((&told["gen_ai.provider.name"], &told["server.address"]), (&text("openai"), &text("127.0.0.1")));
    assert_eq!((&told["server.port"], &told["fusebox.attempt"]), (&Value::IntValue(8000), &Value::IntValue(1)));
    assert_eq!(told["error.type"], text("rate_limited"));
    assert_eq!(first.status.as_ref().unwrap().code(), StatusCode::Error);
    let told = attributes(&second.attributes);
    assert_eq!(
        (&told["gen_ai.provider.name"], &told["server.address"]),
        (&text("anthropic"), &text("api.example.com"))
    );
    assert_eq!((&told["server.port"], &told["gen_ai.response.model"]), (&Value::IntValue(443), &text("claude-3")));
    assert!(format!("{:?}", told["gen_ai.response.finish_reasons"]).contains("length"));
    assert!(!told.contains_key("error.type"));
    let everything = format!("{spans:?}");
    for secret in ["user:secret", "raw words", "secret plan"] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_does_not_sample_is_obeyed_and_its_trace_goes_on() {
    let traced = Traced::start().await;
    let mut call = fixture::call("chat");
    call.trace = fixture::context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "vendor=1");
    let mut trace = traced.telemetry.begin(&traced.labels, &call, Door::Http);
    let attempt = trace.attempt(0, None, 1);
    let sent = attempt.headers(&call).parent.unwrap();
    let sent = sent.to_str().unwrap();
    assert!(sent.starts_with(&format!("00-{TRACE_ID}-")) && sent.ends_with("-00"), "{sent}");
    attempt.ended(Ok(&Facts::default()));
    trace.ended(fixture::answered(&fixture::outcome(&[("vllm", None)])));
    let (spans, _) = traced.finish().await;
    assert!(spans.is_empty(), "{spans:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_makes_no_sense_begins_a_new_trace() {
    let traced = Traced::start().await;
    let nonsense = fixture::context("00-00000000000000000000000000000000-b7ad6b7169203331-01", "vendor=1");
    for (model, context) in [("chat", TraceContext::default()), ("big", nonsense)] {
        let mut call = fixture::call(model);
        call.trace = context;
        let mut trace = traced.telemetry.begin(&traced.labels, &call, Door::Http);
        let sent = trace.attempt(0, Some(&format!("{model}-inside")), 1).headers(&call);
        assert!(sent.parent.unwrap().to_str().unwrap().ends_with("-01"));
        assert_eq!(sent.state, None, "a state without its parent means nothing");
        drop(trace);
    }
    let (spans, _) = traced.finish().await;
    let (chat, big) = (&spans["chat chat"], &spans["chat big"]);
    assert!(chat.parent_span_id.is_empty() && big.parent_span_id.is_empty());
    assert_ne!(chat.trace_id, big.trace_id);
    assert_eq!(spans["chat big-inside"].parent_span_id, big.span_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_failure_of_ours_puts_a_calls_span_in_error() {
    for (kind, status) in [
        (ErrorKind::NetworkError, StatusCode::Error),
        (ErrorKind::InvalidInput, StatusCode::Unset),
        (ErrorKind::Cancelled, StatusCode::Unset),
    ] {
        let traced = Traced::start().await;
        let trace = traced.telemetry.begin(&traced.labels, &fixture::call("chat"), Door::Http);
        if kind == ErrorKind::Cancelled {
            drop(trace);
        } else {
            trace.ended(fixture::failed(&fixture::outcome(&[]), &Failure::new(kind, "in our words")));
        }
        let (spans, _) = traced.finish().await;
        let span = &spans["chat chat"];
        assert_eq!(attributes(&span.attributes)["error.type"], text(kind.name()));
        assert_eq!(
            span.status.as_ref().map_or(StatusCode::Unset, opentelemetry_proto::tonic::trace::v1::Status::code),
            status,
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_says_nothing_holds_up_no_call_and_no_shutdown() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (telemetry, labels) = fixture::telemetry(Some(&format!("http://{}", silent.local_addr().unwrap())));
    for _ in 0..10_000 {
        drop(telemetry.begin(&labels, &fixture::call("chat"), Door::Http));
    }
    let flushed = Arc::clone(&telemetry);
    let flush = tokio::task::spawn_blocking(move || flushed.flush(Duration::from_millis(50)));
    tokio::time::timeout(Duration::from_secs(5), flush).await.expect("flushing is bounded").unwrap();
    let page = Page::read(&telemetry.render(Format::default()));
    assert_eq!(page.value("fusebox_spans_total{result=\"ended\"}"), Some(10_000.0));
    assert_eq!(page.value("fusebox_spans_total{result=\"exported\"}"), Some(0.0));
    assert_eq!(page.value("fusebox_calls_total{model=\"chat\",source=\"none\",kind=\"cancelled\"}"), Some(10_000.0));
}

#[test]
fn an_endpoint_that_is_none_is_refused_at_the_start() {
    assert!(Telemetry::try_new(&fixture::settings(Some("http://[oops")), 1).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_joins_the_operators_trace_while_it_is_news_and_is_linked_to_it_after() {
    let version = 1_700_000_000_000_u64;
    for (seconds_later, joins) in [(0, true), (59, true), (61, false)] {
        let traced = Traced::start().await;
        traced.telemetry.applied(&Applied {
            version,
            trace: Some(PARENT),
            sidecar: "pod-1",
            began: crate::clock::wall(),
            now: Stamp::from_millis(version + 1_000 * seconds_later),
            done: joins,
        });
        let (spans, _) = traced.finish().await;
        let span = &spans["apply settings"];
        assert_eq!(span.kind(), SpanKind::Consumer);
        assert_eq!(hex(&span.trace_id) == TRACE_ID, joins, "{seconds_later} s later");
        assert_eq!(span.parent_span_id.is_empty(), !joins);
        let linked: Vec<_> = span.links.iter().map(|link| hex(&link.trace_id)).collect();
        assert_eq!(linked, if joins { vec![] } else { vec![TRACE_ID.to_owned()] });
        let told = attributes(&span.attributes);
        assert_eq!((&told["fusebox.sidecar.id"], told.contains_key("error.type")), (&text("pod-1"), !joins));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_sampled_is_an_exemplar_and_only_where_the_format_has_them() {
    const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let traced = Traced::start().await;
    let page = |parent: &'static str, format| {
        let mut call = fixture::call("chat");
        call.trace = fixture::context(parent, "vendor=1");
        let mut trace = traced.telemetry.begin(&traced.labels, &call, Door::Http);
        let attempt = trace.attempt(0, None, 1);
        trace.first_token();
        attempt.ended(Ok(&Facts::default()));
        trace.ended(fixture::answered(&fixture::outcome(&[("vllm", None)])));
        traced.telemetry.render(format)
    };
    let shown = |page: &str| page.lines().filter(|line| line.contains(" # {trace_id=")).count();
    assert_eq!(shown(&page(UNSAMPLED, Format::OpenMetrics)), 0);
    let sampled = page(PARENT, Format::OpenMetrics);
    // Of the call, of its first token, and of its attempt.
    assert_eq!(shown(&sampled), 3, "{sampled}");
    assert!(sampled.lines().filter(|line| line.contains(TRACE_ID)).all(|line| line.contains("_bucket{")));
    assert_eq!(shown(&page(PARENT, Format::Prometheus)), 0);
}
