//! What a trace tells of a call's way: each wait, re-prompt, hedge, step, part and look-up, where it happened.

use fusebox_tests::{
    client::grpc::ask,
    collector::{Collector, find, hex},
    provider::{
        Provider,
        act::{Act, hang, json as answer, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status::StatusCode};
use serde_json::{Value, json};

use super::{TRACE, attribute, event, parent, traced};
use crate::support::{Doors, Way, hello, ms};

fn down() -> Act {
    answer(500, &json!({"error": {"message": "down"}}))
}

async fn started(config: Config) -> (Collector, Sidecar) {
    let collector = Collector::start().await;
    let sidecar = Sidecar::start(traced(config, &collector.endpoint())).await;
    (collector, sidecar)
}

async fn one_call(collector: &Collector) -> (Span, Vec<Span>) {
    collector.calls(1).await.remove(0)
}

fn names(span: &Span) -> Vec<&str> {
    span.events.iter().map(|event| event.name.as_str()).collect()
}

#[tokio::test]
async fn a_re_prompt_says_so_on_its_event_and_on_its_attempt() {
    let provider = Provider::start(text(&["no JSON"]).then(text(&["{}"]))).await;
    let retry = json!({"retry": {"max_retries": 2, "base_delay": "1ms"}});
    let (collector, sidecar) = started(Config::one(&provider).each(&retry)).await;
    let mut body = hello("chat", false);
    body["response_format"] = json!({"type": "json_object"});
    assert_eq!(sidecar.http().chat(&body).send().await.status, 200);
    let (call, attempts) = one_call(&collector).await;
    let told = event(&call, "fusebox.retry", &["error.type", "fusebox.change", "fusebox.provider"]);
    assert_eq!(told, ["invalid_response", "reprompt", "a"]);
    assert_eq!(find(&attempts[0].attributes, "fusebox.change"), None);
    assert_eq!(attribute(&attempts[1], "fusebox.change"), "reprompt");
    assert!(!format!("{call:?}{attempts:?}").contains("no JSON"), "what was said is in no span");
}

#[tokio::test]
async fn a_hedge_is_an_event_and_the_attempt_that_lost_was_given_up() {
    let (a, b) = (Provider::start(text(&["usual"])).await, Provider::start(text(&["other"])).await);
    let hedging = json!({"hedging": {"enabled": true, "quantile": 0.95, "minimum_samples": 5}});
    let (collector, sidecar) = started(Config::one(&a).provider("b", &b).with(hedging)).await;
    for _ in 0..5 {
        assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    }
    a.play(hang());
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    let (call, attempts) = collector.calls(6).await.remove(5);
    let hedge = event(&call, "fusebox.hedge", &["fusebox.fallback.from", "fusebox.fallback.to", "fusebox.wait"]);
    assert_eq!(hedge[..2], ["a", "b"]);
    assert!(hedge[2].parse::<f64>().unwrap() >= 0.0);
    let ends: Vec<_> = attempts.iter().map(|attempt| find(&attempt.attributes, "error.type")).collect();
    assert_eq!(ends, [Some("cancelled".to_owned()), None]);
    assert_eq!(attribute(&attempts[1], "fusebox.change"), "hedge");
    assert!(attempts[1].start_time_unix_nano < attempts[0].end_time_unix_nano, "they were asked beside each other");
    assert_eq!(attribute(&call, "fusebox.fallback"), "true");
}

#[tokio::test]
async fn waits_for_a_place_and_for_an_equal_call_are_events_and_the_equal_call_is_linked() {
    let provider = Provider::start(tokens(1).after(ms(150))).await;
    let cache = json!({"cache": {"mode": "prefer"}});
    let (collector, sidecar) = started(Config::one(&provider).with(cache)).await;
    let call = || async { sidecar.http().chat(&hello("chat", false)).send().await.status };
    let (first, second) = tokio::join!(call(), call());
    assert!(first == 200 && second == 200, "{first} and {second}");
    assert_eq!(provider.calls(), 1);
    let calls = collector.calls(2).await;
    let (asked, shared): (Vec<_>, Vec<_>) = calls.iter().partition(|(_, attempts)| !attempts.is_empty());
    let ((asked, _), (shared, _)) = (asked[0], shared[0]);
    let waited = event(shared, "fusebox.wait", &["fusebox.wait.reason", "fusebox.wait"]);
    assert_eq!(waited[0], "equal_call");
    assert!(waited[1].parse::<f64>().unwrap() > 0.0);
    assert_eq!(event(shared, "fusebox.cache", &["fusebox.cache.result"]), ["shared"]);
    let [link] = &shared.links[..] else { panic!("one link, not {:#?}", shared.links) };
    assert_eq!((&link.trace_id, &link.span_id), (&asked.trace_id, &asked.span_id));
    assert_eq!(attribute(shared, "fusebox.source"), "cache");
}

#[tokio::test]
async fn the_cache_and_each_step_down_are_told_with_how_old_the_answer_is() {
    let provider = Provider::start(tokens(1).times(1, down())).await;
    let config = Config::one(&provider).with(json!({
        "cache": {"mode": "fallback"},
        "degradation": {"fallback_response": "sorry"},
    }));
    let (collector, sidecar) = started(config).await;
    for content in ["one", "one", "two"] {
        let mut body = hello("chat", false);
        body["messages"][0]["content"] = content.into();
        assert_eq!(sidecar.http().chat(&body).send().await.status, 200);
    }
    let calls: Vec<_> = collector.calls(3).await.into_iter().map(|(call, _)| call).collect();
    assert_eq!(names(&calls[0]), Vec::<&str>::new(), "nothing happened");
    assert_eq!(names(&calls[1]), ["fusebox.cache", "fusebox.ladder"]);
    assert_eq!(event(&calls[1], "fusebox.cache", &["fusebox.cache.result"]), ["hit"]);
    assert_eq!(event(&calls[1], "fusebox.ladder", &["fusebox.ladder.rung", "error.type"]), ["cache", "provider_error"]);
    assert!(attribute(&calls[1], "fusebox.cache.age").parse::<f64>().unwrap() >= 0.0);
    assert_eq!(attribute(&calls[1], "fusebox.quality"), "cached");
    assert_eq!(names(&calls[2]), ["fusebox.cache", "fusebox.ladder"]);
    assert_eq!(event(&calls[2], "fusebox.cache", &["fusebox.cache.result"]), ["miss"]);
    assert_eq!(event(&calls[2], "fusebox.ladder", &["fusebox.ladder.rung"]), ["static"]);
    for call in &calls[1..] {
        assert_eq!(attribute(call, "fusebox.fallback"), "true");
        assert_eq!(find(&call.attributes, "error.type"), None, "it was answered");
    }
}

#[tokio::test]
async fn a_cool_down_that_is_waited_for_is_an_event_where_it_began() {
    let limited = answer(429, &json!({})).header("retry-after-ms", "120");
    let provider = Provider::start(limited.then(tokens(1))).await;
    let retry = json!({"retry": {"max_retries": 2, "base_delay": "1ms"}});
    let (collector, sidecar) = started(Config::one(&provider).each(&retry)).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
    let (call, attempts) = one_call(&collector).await;
    let waited: Vec<_> = call.events.iter().filter(|event| event.name.starts_with("fusebox.")).collect();
    let reasons: Vec<_> = waited.iter().filter_map(|event| find(&event.attributes, "fusebox.wait.reason")).collect();
    assert!(reasons.iter().any(|reason| reason == "retry_after" || reason == "cool_down"), "{waited:#?}");
    let gap = attempts[1].start_time_unix_nano - attempts[0].end_time_unix_nano;
    assert!(gap > 100_000_000, "{gap} ns between them");
    for event in &waited {
        assert!(event.time_unix_nano >= call.start_time_unix_nano, "{event:?}");
        assert!(event.time_unix_nano <= attempts[1].start_time_unix_nano, "{event:?}");
    }
}

#[tokio::test]
async fn a_batch_tells_its_parts_and_each_attempt_its_inputs() {
    let provider = Provider::start(tokens(1)).await;
    let (collector, sidecar) = started(Config::one(&provider).each(&json!({"max_batch": 2}))).await;
    let body = json!({"model": "chat", "input": ["a", "b", "c", "d", "e"]});
    assert_eq!(sidecar.http().post("/v1/embeddings", &body).send().await.status, 200);
    let (call, attempts) = one_call(&collector).await;
    assert_eq!(call.name, "embeddings chat");
    assert_eq!(event(&call, "fusebox.parts", &["fusebox.parts"]), ["3"]);
    let inputs: Vec<_> = attempts.iter().map(|attempt| attribute(attempt, "fusebox.inputs")).collect();
    assert_eq!(inputs, ["0-1", "2-3", "4-4"]);
    assert_eq!(attribute(&call, "http.route"), "/v1/embeddings");
}

#[tokio::test]
async fn a_stream_that_goes_on_elsewhere_is_two_attempts_and_says_how_it_went_on() {
    let words = ["Once ", "upon ", "a ", "time."];
    let a = Provider::start(text(&words).stops_after(2).cut()).await;
    let cases = [("prefill", "continue", text(&words).continues()), ("none", "anew", text(&words))];
    for (continuation, change, act) in cases {
        let b = Provider::start(act).await;
        let config = Config::one(&a).provider_with("b", &b.base_url(), json!({"continuation": continuation}));
        let (collector, sidecar) = started(config).await;
        let ended = Doors::of(&sidecar).await.call(Way::HttpStream, "chat").await;
        assert_eq!(ended.good(), words.concat());
        let (call, attempts) = one_call(&collector).await;
        let told = event(&call, "fusebox.fallback", &["fusebox.fallback.from", "fusebox.fallback.to", "error.type"]);
        assert_eq!(told, ["a", "b", "stream_broken"]);
        assert_eq!(attribute(&attempts[0], "error.type"), "stream_broken");
        assert_eq!(attribute(&attempts[1], "fusebox.change"), change);
        assert_eq!(attribute(&call, "fusebox.fallback"), "true");
        assert_eq!(attribute(&call, "http.response.status_code"), "200");
    }
}

#[tokio::test]
async fn a_run_is_named_and_a_call_beyond_its_budget_is_the_callers_affair() {
    let provider = Provider::start(tokens(1)).await;
    let (collector, sidecar) = started(Config::one(&provider).with(json!({"run_budgets": {"max_calls": 1}}))).await;
    for status in [200, 429] {
        let call = sidecar.http().chat(&hello("chat", false)).header("x-fusebox-run-id", "run-7");
        assert_eq!(call.send().await.status, status);
    }
    let calls = collector.calls(2).await;
    assert!(calls.iter().all(|(call, _)| attribute(call, "fusebox.run_id") == "run-7"));
    let (refused, attempts) = &calls[1];
    assert_eq!((attribute(refused, "error.type").as_str(), attempts.len()), ("budget_exceeded", 0));
    assert_ne!(refused.status.as_ref().map(Status::code), Some(StatusCode::Error));
}

#[tokio::test]
async fn what_a_door_refuses_is_a_span_in_its_callers_trace_too() {
    let provider = Provider::start(tokens(1)).await;
    let (collector, sidecar) = started(Config::one(&provider)).await;
    let bad = json!({"model": "chat", "messages": [], "temperature": 9});
    let call = sidecar.http().chat(&bad).header("traceparent", &parent(true));
    assert_eq!(call.send().await.status, 422);
    let mut request = tonic::Request::new(ask("hello"));
    request.metadata_mut().insert("traceparent", parent(true).parse().unwrap());
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    assert!(sidecar.grpc().await.generate(request).await.is_err());
    let calls = collector.calls(2).await;
    let told: [&[(&str, &str)]; 2] = [
        &[("http.response.status_code", "422"), ("http.route", "/v1/chat/completions"), ("fusebox.door", "http")],
        &[("rpc.response.status_code", "INVALID_ARGUMENT"), ("fusebox.door", "grpc")],
    ];
    for ((refused, attempts), told) in calls.iter().zip(told) {
        assert_eq!((hex(&refused.trace_id).as_str(), attempts.len()), (TRACE, 0));
        assert_eq!(attribute(refused, "error.type"), "invalid_input");
        for (key, value) in told {
            assert_eq!(attribute(refused, key), *value);
        }
    }
}

#[tokio::test]
async fn a_probe_is_a_trace_of_its_own_that_the_provider_joins() {
    let provider = Provider::start(down().then(tokens(1))).await;
    let breaker = json!({"breaker": {"failure_threshold": 1, "open_for": "50ms", "success_threshold": 1,
                                     "half_open_max_calls": 1, "ramp": "0s", "probe": "active"}});
    let (collector, sidecar) = started(Config::one(&provider).each(&breaker)).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 503);
    let is_probe = |span: &&Span| span.name == "probe a";
    let spans = collector.until("a probe's span", |spans| spans.iter().any(|span| is_probe(&span))).await;
    let probe = spans.iter().find(is_probe).unwrap();
    assert_eq!((probe.kind(), probe.parent_span_id.is_empty()), (SpanKind::Client, true));
    for (key, value) in [("fusebox.probe", "true"), ("fusebox.provider", "a"), ("gen_ai.provider.name", "openai")] {
        assert_eq!(attribute(probe, key), value);
    }
    let sent = format!("00-{}-{}-01", hex(&probe.trace_id), hex(&probe.span_id));
    let heard: Vec<Option<String>> =
        provider.seen().iter().map(|seen| seen.header("traceparent").map(str::to_owned)).collect();
    assert!(heard.contains(&Some(sent)), "{heard:?}");
}

#[tokio::test]
async fn the_log_names_the_trace_of_a_call_that_failed() {
    let provider = Provider::start(down()).await;
    let config = Config::one(&provider).with(json!({"telemetry": {"log_format": "json"}}));
    let (collector, sidecar) = started(config).await;
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 503);
    let (call, _) = one_call(&collector).await;
    sidecar.logged("the call's line", |line| line.contains("call failed")).await;
    let log = sidecar.log();
    let line = log.lines().find(|line| line.contains("call failed")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let named = line.get("trace_id").or_else(|| line["fields"].get("trace_id"));
    assert_eq!(named.and_then(Value::as_str), Some(hex(&call.trace_id).as_str()), "{line}");
}
