//! Spans as a collector gets them: whose they are, what they are called, where they hang.

mod exporter;
mod story;

use fusebox_tests::{
    client::grpc::ask,
    collector::{Collector, find, hex},
    provider::{
        Provider,
        act::{json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status::StatusCode};
use serde_json::json;

use crate::support::{Doors, Way, hello};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// `config`, its spans sent to `endpoint` at once.
fn traced(config: Config, endpoint: &str) -> Config {
    config.with(json!({"telemetry": {"otlp_endpoint": endpoint}})).env("OTEL_BSP_SCHEDULE_DELAY", "20")
}

fn parent(sampled: bool) -> String {
    format!("00-{TRACE}-{CALLER}-0{}", u8::from(sampled))
}

/// One call each way, bearing `traceparent`.
async fn call_all_ways(sidecar: &Sidecar, traceparent: &str) {
    for stream in [false, true] {
        let call = sidecar.http().chat(&hello("chat", stream)).header("traceparent", traceparent);
        let call = call.header("tracestate", "a=1").header("baggage", "user=7,tier=gold");
        assert_eq!(call.send().await.status, 200);
    }
    let mut client = sidecar.grpc().await;
    let request = || {
        let mut request = tonic::Request::new(ask("hello"));
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
        request.metadata_mut().insert("tracestate", "a=1".parse().unwrap());
        request.metadata_mut().insert("baggage", "user=7,tier=gold".parse().unwrap());
        request
    };
    client.generate(request()).await.unwrap();
    let mut stream = client.stream_generate(request()).await.unwrap().into_inner();
    while stream.message().await.unwrap().is_some() {}
}

fn attribute(span: &Span, key: &str) -> String {
    find(&span.attributes, key).unwrap_or_else(|| panic!("no {key} in {:#?}", span.attributes))
}

/// The attributes `keys` of the event `name`.
fn event(span: &Span, name: &str, keys: &[&str]) -> Vec<String> {
    let found = span.events.iter().find(|event| event.name == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {:#?}", span.events));
    keys.iter().map(|key| find(&found.attributes, key).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_call_is_a_server_span_in_its_callers_trace_and_each_attempt_a_client_span_in_it() {
    let (collector, provider) = (Collector::start().await, Provider::start(tokens(3)).await);
    let sidecar = Sidecar::start(traced(Config::one(&provider), &collector.endpoint())).await;
    call_all_ways(&sidecar, &parent(true)).await;
    let calls = collector.calls(4).await;
    assert_eq!(calls.len(), 4);
    for ((call, attempts), seen) in calls.iter().zip(provider.seen()) {
        assert_eq!((hex(&call.trace_id), hex(&call.parent_span_id)), (TRACE.to_owned(), CALLER.to_owned()));
        let [attempt] = &attempts[..] else { panic!("one attempt, not {attempts:#?}") };
        assert_eq!((attempt.kind(), hex(&attempt.trace_id)), (SpanKind::Client, TRACE.to_owned()));
        let sent = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
        assert_eq!(seen.header("traceparent"), Some(sent.as_str()), "the attempt is the provider's parent");
        assert_eq!(seen.header("tracestate"), Some("a=1"));
        assert_eq!(seen.header("baggage"), Some("user=7,tier=gold"), "the application's own words go on as they came");
        assert!(call.start_time_unix_nano <= attempt.start_time_unix_nano, "{call:#?}");
        assert!(attempt.end_time_unix_nano <= call.end_time_unix_nano, "{call:#?}");
    }
    assert_eq!(collector.resource("service.name").as_deref(), Some("fusebox-sidecar"));
    assert!(collector.resource("service.version").is_some());
}

#[tokio::test]
async fn spans_tell_a_call_by_the_names_of_the_genai_conventions() {
    let (collector, provider) = (Collector::start().await, Provider::start(tokens(3).model("meta/llama")).await);
    let sidecar = Sidecar::start(traced(Config::one(&provider), &collector.endpoint())).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        doors.call(way, "chat").await.good();
    }
    let doors = ["http", "http", "grpc", "grpc"];
    for (index, (call, attempts)) in collector.calls(4).await.into_iter().enumerate() {
        assert_eq!(call.name, "chat chat");
        let way_in: &[(&str, &str)] = match (doors[index], index % 2) {
            ("http", _) => &[
                ("http.request.method", "POST"),
                ("http.route", "/v1/chat/completions"),
                ("http.response.status_code", "200"),
            ],
            (_, 0) => &[
                ("rpc.system.name", "grpc"),
                ("rpc.method", "fusebox.v1.InferenceService/Generate"),
                ("rpc.response.status_code", "OK"),
            ],
            _ => &[("rpc.method", "fusebox.v1.InferenceService/StreamGenerate"), ("rpc.response.status_code", "OK")],
        };
        for (key, value) in way_in {
            assert_eq!(attribute(&call, key), *value);
        }
        assert_eq!(find(&call.attributes, "fusebox.fallback"), None, "nothing went wrong");
        assert_eq!(attribute(&call, "fusebox.quality"), "full");
        assert_eq!(attribute(&call, "gen_ai.request.model"), "chat");
        assert_eq!(attribute(&call, "fusebox.door"), doors[index]);
        assert_eq!(attribute(&call, "fusebox.source"), "primary");
        assert_eq!(attribute(&call, "fusebox.attempts"), "1");
        assert!(!attribute(&call, "fusebox.correlation_id").is_empty());
        let attempt = &attempts[0];
        assert_eq!(attempt.name, "chat served-a");
        assert_eq!(attribute(attempt, "gen_ai.request.model"), "served-a");
        assert_eq!(attribute(attempt, "gen_ai.provider.name"), "openai");
        assert_eq!(attribute(attempt, "server.address"), "127.0.0.1");
        assert_eq!(attribute(attempt, "server.port"), provider.address().port().to_string());
        assert_eq!(attribute(attempt, "fusebox.attempt"), "1");
        for span in [&call, attempt] {
            assert_eq!(attribute(span, "gen_ai.operation.name"), "chat");
            assert_eq!(attribute(span, "gen_ai.response.model"), "meta/llama");
            assert_eq!(attribute(span, "gen_ai.response.finish_reasons"), "stop");
            // A provider counts a stream's tokens only if it is asked to, as the gRPC door does.
            if index != 1 {
                assert!(attribute(span, "gen_ai.usage.input_tokens").parse::<u32>().unwrap() > 0);
                assert_eq!(attribute(span, "gen_ai.usage.output_tokens"), "3");
            }
            assert_eq!(attribute(span, "fusebox.provider"), "a");
            assert_eq!(find(&span.attributes, "error.type"), None);
            let first = find(&span.attributes, "gen_ai.response.time_to_first_chunk");
            assert_eq!(first.is_some(), index % 2 == 1, "of streams: {first:?}");
            assert_eq!(find(&span.attributes, "gen_ai.request.stream").is_some(), index % 2 == 1, "of streams");
            assert!(!format!("{span:?}").contains("hello"), "what was said is in no span");
        }
    }
}

#[tokio::test]
async fn waits_and_fallbacks_are_events_of_the_calls_span() {
    let collector = Collector::start().await;
    let [a, b] = [Provider::start(answer(500, &json!({}))).await, Provider::start(tokens(1)).await];
    let retry = json!({"retry": {"max_retries": 2, "base_delay": "20ms"}});
    let config = Config::one(&a).each(&retry).provider("b", &b);
    let sidecar = Sidecar::start(traced(config, &collector.endpoint())).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    let (call, attempts) = collector.calls(1).await.remove(0);
    assert_eq!(attempts.len(), a.calls() + b.calls());
    let (last, failed) = attempts.split_last().unwrap();
    assert_eq!(attribute(last, "fusebox.provider"), "b");
    for (index, attempt) in failed.iter().enumerate() {
        assert_eq!(attribute(attempt, "fusebox.attempt"), (index + 1).to_string());
        assert_eq!(attribute(attempt, "error.type"), "provider_error");
        assert_eq!(attempt.status.as_ref().map(Status::code), Some(StatusCode::Error));
    }
    let retries = call.events.iter().filter(|event| event.name == "fusebox.retry").count();
    assert_eq!(retries, a.calls() - 1, "{:#?}", call.events);
    let retry = event(&call, "fusebox.retry", &["fusebox.provider", "error.type", "fusebox.wait.reason"]);
    assert_eq!(retry[..2], ["a", "provider_error"]);
    assert!(!retry[2].is_empty());
    let fallback = event(&call, "fusebox.fallback", &["fusebox.fallback.from", "fusebox.fallback.to", "error.type"]);
    assert_eq!(fallback, ["a", "b", "provider_error"]);
    assert_eq!(attribute(&call, "fusebox.source"), "fallback");
    assert_eq!(attribute(&call, "fusebox.fallback"), "true", "what a tail sampler looks for");
    assert_eq!(attribute(&attempts[0], "http.response.status_code"), "500", "what the provider said");
    assert_eq!(find(&call.attributes, "error.type"), None, "the call itself was answered");
}

#[tokio::test]
async fn a_breaker_that_opens_is_an_event_and_a_failed_call_an_error() {
    let (collector, provider) = (Collector::start().await, Provider::start(answer(500, &json!({}))).await);
    let config = Config::one(&provider).each(&json!({"breaker": {"failure_threshold": 1}}));
    let sidecar = Sidecar::start(traced(config, &collector.endpoint())).await;
    for status in [503, 503] {
        assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, status);
    }
    assert_eq!(sidecar.http().chat(&hello("nobody", false)).send().await.status, 404);
    let calls = collector.calls(3).await;
    for ((call, _), status) in calls.iter().zip(["503", "503", "404"]) {
        assert_eq!(attribute(call, "http.response.status_code"), status);
    }
    let tripped =
        event(&calls[0].0, "fusebox.breaker", &["fusebox.provider", "fusebox.breaker.from", "fusebox.breaker.to"]);
    assert_eq!(tripped, ["a", "closed", "open"]);
    let kinds = ["provider_error", "circuit_open", "model_not_found"];
    for (((call, attempts), kind), attempted) in calls.iter().zip(kinds).zip([1, 0, 0]) {
        assert_eq!(attribute(call, "error.type"), kind);
        assert_eq!(attempts.len(), attempted, "{kind}");
        // What is the caller's own fault is no error of the server's.
        let error = call.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error);
        assert_eq!(error, kind != "model_not_found", "{kind}");
    }
}

#[tokio::test]
async fn a_call_without_a_trace_begins_one() {
    let (collector, provider) = (Collector::start().await, Provider::start(tokens(1)).await);
    let sidecar = Sidecar::start(traced(Config::one(&provider), &collector.endpoint())).await;
    for traceparent in [None, Some("nonsense"), Some("00-00000000000000000000000000000000-0000000000000000-01")] {
        let call = sidecar.http().chat(&hello("chat", false));
        let call = match traceparent {
            Some(value) => call.header("traceparent", value),
            None => call,
        };
        assert_eq!(call.send().await.status, 200);
    }
    let calls = collector.calls(3).await;
    for (call, _) in &calls {
        assert!(call.parent_span_id.is_empty() && call.trace_id.iter().any(|byte| *byte != 0), "{call:#?}");
    }
    assert!(calls[0].0.trace_id != calls[1].0.trace_id && calls[1].0.trace_id != calls[2].0.trace_id);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_says_so_to_the_provider() {
    let never = |config: Config| config.env("OTEL_TRACES_SAMPLER", "always_off");
    let as_is = |config: Config| config;
    type Change = fn(Config) -> Config;
    let cases: [(Change, bool); 2] = [(never, true), (as_is, false)];
    for (change, caller_samples) in cases {
        let (collector, provider) = (Collector::start().await, Provider::start(tokens(1)).await);
        let config = change(traced(Config::one(&provider), &collector.endpoint()));
        let mut sidecar = Sidecar::start(config).await;
        call_all_ways(&sidecar, &parent(caller_samples)).await;
        // Its last act is to send what it still has.
        sidecar.signal("TERM").await;
        assert!(sidecar.ended().await.success());
        assert_eq!(collector.spans(), []);
        for seen in provider.seen() {
            let passed = seen.header("traceparent").expect("a trace goes on");
            assert!(passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-00"), "{passed}");
        }
    }
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let (collector, provider) = (Collector::start().await, Provider::start(tokens(1)).await);
    let config = traced(Config::one(&provider), &collector.endpoint()).env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let mut sidecar = Sidecar::start(config).await;
    call_all_ways(&sidecar, &parent(true)).await;
    assert_eq!(collector.exports(), 0);
    sidecar.signal("TERM").await;
    assert!(sidecar.ended().await.success());
    assert_eq!(collector.spans().len(), 8);
}
