//! Traces of what operators do, from whoever asks for it to the sidecars that do it; and of alerts as they are delivered.

use fusebox_proto::v1;
use fusebox_tests::{
    collector::{Collector, find, hex},
    control_plane::{self, ControlPlane},
    operator::Fusebox,
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    receiver::Receiver,
    redis::Server,
};
use http::Method;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status::StatusCode};
use serde_json::{Value, json};

use super::config;
use crate::fleet::{One, fleet};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Sidecars, their control plane, and a collector to which all of them send spans at once.
struct Traced {
    collector: Collector,
    control: ControlPlane,
    sidecars: Vec<One>,
    first: Provider,
    _second: Provider,
    _redis: Server,
}

impl Traced {
    async fn start(count: usize, changes: Value) -> Self {
        let (collector, redis) = (Collector::start().await, Server::start().await);
        let (first, second) = (Provider::start(tokens(1)).await, Provider::start(tokens(1)).await);
        let telemetry = || json!({"telemetry": {"otlp_endpoint": collector.endpoint()}});
        let at_once = ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "20".to_owned());
        let url = redis.url();
        let sidecars =
            fleet(count, |_| config(&url, &first, &second).with(telemetry()).env(at_once.0.as_str(), &at_once.1)).await;
        let mut settings = json!({"fleet": {"redis": url}});
        for more in [telemetry(), changes] {
            settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        }
        let folder = tempfile::tempdir().unwrap();
        let control = ControlPlane::start_in(folder, &control_plane::config(settings), &[at_once]).await;
        control.until("all sidecars", |fleet| fleet.sidecars.len() == count && !fleet.stale).await;
        Self { collector, control, sidecars, first, _second: second, _redis: redis }
    }

    /// The change's own span, and those of its application, once all of them are there.
    async fn change(&self) -> (Span, Vec<Span>) {
        let is_change = |span: &&Span| {
            span.kind() == SpanKind::Server && find(&span.attributes, "fusebox.settings.version").is_some()
        };
        let is_application = |span: &&Span| span.name == "apply settings" && hex(&span.trace_id) == TRACE;
        let all = |spans: &[Span]| {
            let applied = spans.iter().filter(is_application).count();
            applied == self.sidecars.len() && spans.iter().any(|span| is_change(&span))
        };
        let spans = self.collector.until("the change and what became of it", all).await;
        let change = spans.iter().find(is_change).unwrap().clone();
        (change, spans.iter().filter(is_application).cloned().collect())
    }
}

fn attribute(span: &Span, key: &str) -> String {
    find(&span.attributes, key).unwrap_or_else(|| panic!("no {key} in {:#?}", span.attributes))
}

#[tokio::test]
async fn a_change_is_one_trace_from_the_command_to_each_sidecars_application_of_it() {
    let scene = Traced::start(2, json!({})).await;
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let fusebox = Fusebox::at(scene.control.grpc_address()).with("TRACEPARENT", &parent);
    let _ = fusebox.run("provider disable first --reason drill").await.good();
    let (request, applied) = scene.change().await;
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
    assert_eq!(request.name, "fusebox.v1.ControlService/SetProvider");
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "fusebox.v1.ControlService/SetProvider"),
        ("rpc.response.status_code", "OK"),
        ("fusebox.sidecars.applied", "2"),
        ("fusebox.sidecars.total", "2"),
    ] {
        assert_eq!(attribute(&request, key), value, "{key}");
    }
    assert!(attribute(&request, "fusebox.effects").contains("first"), "{request:#?}");
    assert_eq!(applied.len(), 2);
    for span in &applied {
        assert_eq!((span.name.as_str(), span.kind()), ("apply settings", SpanKind::Consumer));
        assert_eq!((&span.trace_id, &span.parent_span_id), (&request.trace_id, &request.span_id));
        assert_eq!(attribute(span, "fusebox.settings.version"), attribute(&request, "fusebox.settings.version"));
        assert!(span.start_time_unix_nano >= request.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= request.end_time_unix_nano, "the request waited for it");
    }
    assert_ne!(attribute(&applied[0], "fusebox.sidecar.id"), attribute(&applied[1], "fusebox.sidecar.id"));
}

#[tokio::test]
async fn over_rest_it_is_the_same_and_machines_knocking_make_no_spans() {
    let scene = Traced::start(1, json!({})).await;
    for page in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(scene.control.http().get(page).send().await.status, 200);
    }
    let body = json!({"enabled": false, "reason": "a drill", "change": {"wait": "10s"}});
    let parent = format!("00-{TRACE}-{CALLER}-01");
    let asked = scene.control.http().request(Method::PATCH, "/api/v1/providers/first", body.to_string());
    let asked = asked.header("content-type", "application/json").header("traceparent", &parent);
    let answer = asked.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (request, applied) = scene.change().await;
    assert_eq!(request.name, "PATCH /api/v1/providers/{name}");
    for (key, value) in [
        ("http.request.method", "PATCH"),
        ("http.route", "/api/v1/providers/{name}"),
        ("url.path", "/api/v1/providers/first"),
        ("http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(&request, key), value, "{key}");
    }
    assert_eq!(applied[0].parent_span_id, request.span_id);
    let missing = scene.control.http().get("/api/v1/nothing").send().await;
    assert_eq!(missing.status, 404);
    let spans = scene.collector.until("the last one", |spans| spans.iter().any(|span| span.name == "GET")).await;
    let knocks = spans.iter().filter(|span| span.name.contains("livez") || span.name.contains("metrics")).count();
    assert_eq!(knocks, 0);
}

#[tokio::test]
async fn a_delivery_of_alerts_is_a_clients_span_that_its_receiver_joins() {
    let receiver = Receiver::start().await;
    let channel = json!({"name": "hook", "kind": "webhook", "url": receiver.url("/alerts")});
    let route = json!({"group_wait": "0s", "group_interval": "1s"});
    let scene = Traced::start(1, json!({"alerts": {"channels": [channel], "routes": [route]}})).await;
    scene.control.logged("that it delivers", |line| line.contains("this replica delivers alerts")).await;
    scene.first.play(answer(500, &json!({})));
    for _ in 0..6 {
        scene.sidecars[0].call().await;
    }
    let sent = |span: &Span| format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id));
    let was_told = |span: &&Span| {
        let told = receiver.told();
        span.name == "deliver alerts" && told.iter().any(|told| told.header("traceparent") == Some(sent(span).as_str()))
    };
    let spans = scene.collector.until("its span", |spans| spans.iter().any(|span| was_told(&span))).await;
    let delivery = spans.iter().find(was_told).unwrap();
    assert_eq!(delivery.kind(), SpanKind::Client);
    for (key, value) in [("fusebox.channel", "hook"), ("fusebox.fleet", "default")] {
        assert_eq!(attribute(delivery, key), value);
    }
    assert_ne!(delivery.status.as_ref().map(Status::code), Some(StatusCode::Error));
}

#[tokio::test]
async fn spans_of_the_control_plane_are_counted_and_a_collector_that_hangs_delays_no_change() {
    let redis = Server::start().await;
    let hanging = Collector::hanging().await;
    let telemetry = json!({"telemetry": {"otlp_endpoint": hanging.endpoint()}, "fleet": {"redis": redis.url()}});
    let env =
        [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_BSP_MAX_QUEUE_SIZE", "4"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let control = ControlPlane::start_in(folder, &control_plane::config(telemetry), &env).await;
    let mut operator = control.grpc().await;
    for _ in 0..50 {
        let asked = operator.get_fleet(v1::GetFleetRequest {});
        tokio::time::timeout(crate::support::ms(2000), asked).await.expect("in time").unwrap();
    }
    let page = control.http().get("/metrics").send().await.text();
    let value = |series: &str| -> f64 {
        let line =
            page.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series} in {page}"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    };
    assert!(value("fusebox_spans_total{result=\"ended\"}") >= 50.0);
    assert!(value("fusebox_spans_total{result=\"dropped\"}") > 0.0);
    assert!(value("fusebox_spans_waiting") <= 4.0);
}
