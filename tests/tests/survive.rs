//! A stream that breaks after its first token goes on elsewhere, or says how far it got. No token comes twice.

use std::time::Duration;

use fusebox_proto::v1::{CallOptions, GenerateRequest};
use fusebox_tests::{
    client::grpc::ask,
    provider::{
        Provider, Script,
        act::{Act, json as answer, text},
    },
    sidecar::{Config, Sidecar},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{Doors, Ended, Way, hello, ms};

const WORDS: [&str; 9] = ["Once ", "upon ", "a ", "time\n", "there ", "wäs ", "a ", "red ", "fox."];

fn whole() -> String {
    WORDS.concat()
}

/// The same answer to every request.
fn story() -> Act {
    text(&WORDS)
}

/// Another answer.
fn other() -> Act {
    text(&["Once ", "there ", "was ", "none."])
}

/// Every way to break after `after` tokens.
fn breaks(act: &Act, after: usize) -> Vec<(&'static str, Act)> {
    let act = || act.clone().stops_after(after);
    vec![
        ("cut", act().cut()),
        ("reset", act().reset()),
        ("stalled", act().hang()),
        ("kept alive only", act().keep_alives(ms(20))),
        ("ended without a reason", act().end()),
        ("done without a reason", act().done_without_finish()),
        ("framing broken", act().garbage()),
        ("malformed", act().malformed()),
        ("an error told", act().error_event("overloaded_error", "Overloaded")),
    ]
}

fn quick() -> Value {
    json!({"timeouts": {"first_token": "300ms", "idle": "200ms"}})
}

fn prefill() -> Value {
    json!({"continuation": "prefill"})
}

fn twice() -> Value {
    json!({"retry": {"max_retries": 1, "base_delay": "1ms"}})
}

/// `a`, and `b` with `changes` over the usual.
async fn start(a: &Provider, b: &Provider, changes: Value) -> (Sidecar, Doors) {
    let config = Config::one(a).provider_with("b", &b.base_url(), changes).each(&quick());
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

fn is_whole(ended: &Ended, what: &str) {
    assert_eq!(ended.good(), whole(), "{what}: {ended:#?}");
    assert_eq!((ended.finish.as_str(), ended.finishes), ("stop", 1), "{what}: {ended:#?}");
}

/// The caller is told which one answered, where there is still a place to say it.
fn went_on_at(ended: &Ended, way: Way, attempts: usize) {
    if way == Way::GrpcStream {
        assert_eq!((ended.provider.as_str(), ended.source.as_str()), ("b", "fallback"), "{ended:#?}");
        assert_eq!(ended.attempts, attempts, "{ended:#?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_in_any_way_is_continued_by_the_next_provider() {
    for (what, act) in breaks(&story(), 4) {
        let (a, b) = (Provider::start(act).await, Provider::start(story().continues()).await);
        let (_sidecar, doors) = start(&a, &b, prefill()).await;
        for (call, way) in Way::STREAMS.into_iter().enumerate() {
            let ended = doors.call(way, "chat").await;
            is_whole(&ended, what);
            assert_eq!(ended.tokens.len(), WORDS.len(), "{what}: {ended:#?}");
            went_on_at(&ended, way, 2);
            assert_eq!((a.calls(), b.calls()), (call + 1, call + 1), "{what}");
            let messages = &b.seen()[call].body["messages"];
            assert_eq!(messages[1], json!({"role": "assistant", "content": WORDS[..4].concat()}), "{what}");
        }
    }
}

#[tokio::test]
async fn the_caller_of_the_openai_surface_sees_one_answer() {
    let a = Provider::start(story().stops_after(3).cut()).await;
    let b = Provider::start(story().continues()).await;
    let (sidecar, _) = start(&a, &b, prefill()).await;
    let mut body = hello("chat", true);
    body["stream_options"] = json!({"include_usage": true});
    let events = sidecar.http().chat(&body).send().await.events();
    assert!(events.last().unwrap().is_done());
    let chunks: Vec<Value> =
        events.iter().map(fusebox_tests::client::SseEvent::json).filter(Value::is_object).collect();
    for name in ["id", "created", "object"] {
        assert!(chunks.iter().all(|chunk| chunk[name] == chunks[0][name]), "{name}: {chunks:#?}");
    }
    let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    assert_eq!(deltas().filter(|delta| delta["role"].is_string()).count(), 1, "{chunks:#?}");
    assert_eq!(deltas().filter_map(|delta| delta["content"].as_str()).collect::<String>(), whole());
    assert_eq!(chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count(), 1);
    let usage = &chunks.last().unwrap()["usage"];
    // Three tokens of the first, six of the second; its prompt of seven held three of the answer.
    assert_eq!(usage, &json!({"prompt_tokens": 7 + 4, "completion_tokens": 3 + 6, "total_tokens": 20}));
    let metrics = sidecar.metrics().await;
    for (provider, direction, tokens) in
        [("a", "input", 4.0), ("a", "output", 3.0), ("b", "input", 7.0), ("b", "output", 6.0)]
    {
        let labels = [("provider", provider), ("direction", direction)];
        assert_eq!(metrics.sum("fusebox_tokens_total", &labels), tokens, "{labels:?}");
    }
    assert_eq!(metrics.sum("fusebox_calls_total", &[("source", "fallback")]), 1.0);
    assert_eq!(metrics.sum("fusebox_attempts_total", &[("provider", "a"), ("kind", "stream_broken")]), 1.0);
}

#[tokio::test]
async fn vllm_is_told_to_continue_the_last_message_with_the_tokens_that_are_left() {
    let a = Provider::start(story().stops_after(4).cut()).await;
    let b = Provider::start(story().continues()).await;
    let (sidecar, _) = start(&a, &b, json!({"continuation": "continue_final_message"})).await;
    let mut body = hello("chat", true);
    body["max_tokens"] = json!(100);
    let answer = sidecar.http().chat(&body).send().await;
    assert_eq!(answer.events().iter().map(fusebox_tests::client::SseEvent::text).collect::<String>(), whole());
    let asked = &b.seen()[0].body;
    assert_eq!((&asked["continue_final_message"], &asked["add_generation_prompt"]), (&json!(true), &json!(false)));
    assert_eq!((&asked["max_tokens"], &asked["model"]), (&json!(96), &json!("served-b")));
    assert_eq!(a.seen()[0].body["max_tokens"], 100);
}

#[tokio::test]
async fn a_text_completion_goes_on_from_its_prompt_wherever_it_is_asked() {
    let a = Provider::start(story().stops_after(4).cut()).await;
    let b = Provider::start(story().continues()).await;
    let (sidecar, _) = start(&a, &b, json!({})).await;
    let body = json!({"model": "chat", "prompt": "Tell. ", "stream": true});
    let answer = sidecar.http().post("/v1/completions", &body).send().await;
    assert_eq!(answer.events().iter().map(fusebox_tests::client::SseEvent::text).collect::<String>(), whole());
    assert_eq!(b.seen()[0].body["prompt"], format!("Tell. {}", WORDS[..4].concat()));
}

#[tokio::test]
async fn anthropic_continues_without_the_white_space_that_it_would_refuse() {
    let a = Provider::start(story().stops_after(4).cut()).await;
    let b = Provider::start(story().continues()).await;
    let (_sidecar, doors) = start(&a, &b, json!({"kind": "anthropic"})).await;
    for (call, way) in Way::STREAMS.into_iter().enumerate() {
        let ended = doors.call(way, "chat").await;
        is_whole(&ended, "anthropic");
        went_on_at(&ended, way, 2);
        let turns = &b.seen()[call].body["messages"];
        assert_eq!(turns[1]["content"][0]["text"], WORDS[..4].concat().trim_end(), "{turns}");
    }
}

#[tokio::test]
async fn a_refusal_to_continue_is_nobodys_answer_and_not_asked_for_again() {
    let refusal =
        answer(400, &json!({"error": {"message": "prefill is not supported", "type": "invalid_request_error"}}));
    let a = Provider::start(story().stops_after(4).cut()).await;
    let b = Provider::start(story().if_continued(refusal)).await;
    let (sidecar, doors) = start(&a, &b, prefill()).await;
    let ended = doors.call(Way::GrpcStream, "chat").await;
    is_whole(&ended, "refused");
    went_on_at(&ended, Way::GrpcStream, 3);
    assert_eq!(b.calls(), 2, "asked to continue, then for a new answer");
    let ended = doors.call(Way::HttpStream, "chat").await;
    is_whole(&ended, "refused before");
    assert_eq!(b.calls(), 3, "it has said that it does not continue");
    assert!(!ended.everything.contains("prefill"));
    assert_eq!(sidecar.metrics().await.sum("fusebox_breaker_state", &[("provider", "b")]), 0.0);
}

#[tokio::test]
async fn an_equal_answer_is_passed_on_from_where_the_first_one_broke() {
    for (what, act) in breaks(&story(), 5) {
        let (a, b) = (Provider::start(act).await, Provider::start(story()).await);
        let (_sidecar, doors) = start(&a, &b, json!({})).await;
        for way in Way::STREAMS {
            let ended = doors.call(way, "chat").await;
            is_whole(&ended, what);
            went_on_at(&ended, way, 2);
        }
        assert_eq!(b.seen()[0].body["messages"], a.seen()[0].body["messages"], "{what}: the same question");
    }
}

#[tokio::test]
async fn another_answer_is_given_up_and_the_first_provider_asked_again() {
    for way in Way::STREAMS {
        let a = Provider::start(story().stops_after(4).cut().then(story())).await;
        let b = Provider::start(other().every(ms(30)).hang()).await;
        let config = Config::one(&a).provider("b", &b).each(&quick()).each(&twice());
        let sidecar = Sidecar::start(config).await;
        let ended = Doors::of(&sidecar).await.call(way, "chat").await;
        is_whole(&ended, "asked again");
        b.gone(0).await;
        assert_eq!((a.calls(), b.calls()), (2, 1));
        if way == Way::GrpcStream {
            assert_eq!((ended.provider.as_str(), ended.source.as_str(), ended.attempts), ("a", "primary", 3));
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_goes_on_each_time() {
    for way in Way::STREAMS {
        let step = |tokens| story().continues().stops_after(tokens).cut();
        let a = Provider::start(step(2).then(step(2)).then(step(2))).await;
        let b = Provider::start(step(2).then(step(20))).await;
        let config = Config::one(&a).provider("b", &b).each(&quick()).each(&prefill());
        let sidecar = Sidecar::start(config.each(&json!({"retry": {"max_retries": 5}}))).await;
        let ended = Doors::of(&sidecar).await.call(way, "chat").await;
        // 2 from a, 2 from b, 2 from a, and the last three from b, which is cut before it says why it finished.
        assert!(ended.text.starts_with(&WORDS[..8].concat()) && whole().starts_with(&ended.text), "{ended:#?}");
        assert!(a.calls() + b.calls() >= 4, "{ended:#?}");
    }
}

#[tokio::test]
async fn where_nothing_serves_the_error_says_how_far_the_answer_got() {
    for (what, act) in breaks(&story(), 4) {
        let (a, b) = (Provider::start(act).await, Provider::start(other()).await);
        let (sidecar, doors) = start(&a, &b, json!({})).await;
        for way in Way::STREAMS {
            let ended = doors.call(way, "chat").await;
            assert_eq!((ended.text.as_str(), ended.finishes), (WORDS[..4].concat().as_str(), 0), "{what}: {ended:#?}");
            let problem = ended.failed();
            assert!(problem.message.contains("4 tokens had been sent"), "{what}: {problem:?}");
            if what != "an error told" {
                assert_eq!(problem.kind, "stream_broken", "{what}");
            }
            if way == Way::GrpcStream {
                let tried: Vec<_> = problem.tried.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
                assert_eq!(tried[0], ("a", problem.kind.as_str()), "{what}");
                assert_eq!(tried[1..], [("b", "cancelled")], "{what}");
            }
        }
        let events = sidecar.http().chat(&hello("chat", true)).send().await.events();
        let details = &events.last().unwrap().json()["error"]["details"];
        assert_eq!((&details["tokens_sent"], &details["characters_sent"]), (&json!("4"), &json!("17")), "{what}");
    }
}

#[tokio::test]
async fn a_tools_call_is_never_put_together_from_two() {
    let call = |act: Act| act.tool("weather", &["{\"city\":", "\"Lviv\"}"]);
    let a = Provider::start(call(story()).stops_after(WORDS.len() + 2).cut()).await;
    let b = Provider::start(call(story()).continues()).await;
    let (_sidecar, doors) = start(&a, &b, prefill()).await;
    for way in Way::STREAMS {
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.kind(), ended.finishes), ("stream_broken", 0), "{ended:#?}");
        assert_eq!(b.calls(), 0, "there is nobody to ask for the other half");
    }
    let held = Config::one(&a).provider("b", &b).each(&quick()).with(json!({"streams": {"holdback": "whole"}}));
    let sidecar = Sidecar::start(held).await;
    for way in Way::STREAMS {
        let ended = Doors::of(&sidecar).await.call(way, "chat").await;
        assert_eq!((ended.good(), ended.finishes), (whole().as_str(), 1), "{ended:#?}");
        assert_eq!((ended.finish.as_str(), ended.provider.as_str()), ("tool_calls", "b"), "{ended:#?}");
    }
}

/// A streamed call that wants this held back.
async fn held_back(doors: &Doors, way: Way, holdback: &str) -> Result<(String, String), String> {
    if way == Way::HttpStream {
        let answer = doors.http.chat(&hello("chat", true)).header("x-fusebox-holdback", holdback).send().await;
        let events = answer.events();
        let said = events.iter().map(fusebox_tests::client::SseEvent::text).collect();
        let kind = events.last().unwrap().json()["error"]["type"].as_str().map(str::to_owned);
        let provider = answer.header("x-fusebox-provider").unwrap_or_default().to_owned();
        return kind.map_or(Ok((said, provider)), Err);
    }
    let options = CallOptions { holdback: holdback.to_owned(), ..CallOptions::default() };
    let request = GenerateRequest { model: "chat".into(), options: Some(options), ..ask("hello") };
    let mut stream =
        doors.grpc.clone().stream_generate(request).await.map_err(|status| status.to_string())?.into_inner();
    let (mut said, mut provider) = (String::new(), String::new());
    while let Some(message) = stream.message().await.map_err(|_| "stream_broken".to_owned())? {
        said.push_str(&message.text_delta);
        provider = message.outcome.map(|outcome| outcome.provider).unwrap_or(provider);
    }
    Ok((said, provider))
}

#[tokio::test]
async fn a_break_within_what_is_held_back_is_mended_unseen_by_any_answer() {
    for (act, held, passed_on) in [
        (story().stops_after(4).cut(), "4", "3"),
        (story().stops_after(4).every(ms(50)).cut(), "5s", "60ms"),
        (story().stops_after(8).hang(), "whole", "0"),
    ] {
        let a = Provider::start(act).await;
        let b = Provider::start(other()).await;
        let (_sidecar, doors) = start(&a, &b, json!({})).await;
        for way in Way::STREAMS {
            let told = held_back(&doors, way, held).await;
            assert_eq!(told, Ok(("Once there was none.".into(), "b".into())), "{held} by {way:?}");
            let told = held_back(&doors, way, passed_on).await;
            assert_eq!(told, Err("stream_broken".into()), "{passed_on} by {way:?}");
        }
    }
}

#[tokio::test]
async fn what_is_held_back_comes_whole_and_in_order_once_it_may() {
    for holdback in ["0", "2", "8", "9", "100", "30ms", "10s", "whole"] {
        let a = Provider::start(story().every(ms(10))).await;
        let sidecar = Sidecar::start(Config::one(&a).with(json!({"streams": {"holdback": holdback}}))).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::STREAMS {
            is_whole(&doors.call(way, "chat").await, holdback);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_held_back_is_refused_by_name() {
    let a = Provider::start(story()).await;
    let sidecar = Sidecar::start(Config::one(&a)).await;
    let answer = sidecar.http().chat(&hello("chat", true)).header("x-fusebox-holdback", "some").send().await;
    assert_eq!(answer.status.as_u16(), 422);
    assert!(answer.error()["field_errors"]["x-fusebox-holdback"].is_array(), "{}", answer.text());
    let doors = Doors::of(&sidecar).await;
    assert!(held_back(&doors, Way::GrpcStream, "some").await.is_err_and(|status| status.contains("holdback")));
    assert_eq!(a.calls(), 0);
}

#[tokio::test]
async fn a_stream_that_becomes_too_slow_goes_on_elsewhere_and_alone_goes_on_as_it_is() {
    let many: Vec<String> = (0..40).map(|word| format!("word{word} ")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let slow = json!({"breaker": {"min_tokens_per_second": 20.0}, "timeouts": {"idle": "1s"}});
    let a = Provider::start(text(&many).every(ms(100))).await;
    let b = Provider::start(text(&many).continues()).await;
    let config = Config::one(&a).provider_with("b", &b.base_url(), prefill()).each(&slow);
    let (together, alone) = (Sidecar::start(config).await, Sidecar::start(Config::one(&a).each(&slow)).await);
    let together = async {
        let doors = Doors::of(&together).await;
        let ended = futures_util::future::join_all(Way::STREAMS.map(|way| doors.call(way, "chat"))).await;
        for (way, ended) in Way::STREAMS.into_iter().zip(ended) {
            assert_eq!((ended.good(), ended.finishes), (many.concat().as_str(), 1), "{way:?}: {ended:#?}");
            went_on_at(&ended, way, 2);
            assert!(ended.took < Duration::from_millis(3900), "{ended:#?}");
        }
        assert_eq!(b.calls(), 2);
    };
    let alone = async {
        let ended = Doors::of(&alone).await.call(Way::HttpStream, "chat").await;
        assert_eq!(ended.good(), many.concat(), "slow is better than broken: {ended:#?}");
    };
    futures_util::future::join(together, alone).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_while_the_rest_is_asked_for_stops_that_too() {
    let a = Provider::start(story().stops_after(2).cut()).await;
    let b = Provider::start(fusebox_tests::provider::act::hang()).await;
    let config = Config::one(&a).provider_with("b", &b.base_url(), prefill());
    let sidecar = Sidecar::start(config).await;
    let mut open = sidecar.http().chat(&hello("chat", true)).open().await;
    open.event().await.unwrap();
    b.saw(1).await;
    drop(open);
    b.gone(0).await;
    let idle = |metrics: &fusebox_tests::client::Metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0;
    sidecar.metrics_until("no call in flight", idle).await;
}

#[tokio::test]
async fn the_calls_deadline_holds_over_all_that_goes_on_with_it() {
    let a = Provider::start(story().stops_after(2).cut()).await;
    let b = Provider::start(fusebox_tests::provider::act::hang()).await;
    let config = Config::one(&a).provider_with("b", &b.base_url(), prefill());
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::STREAMS {
        let ended = doors.call_within(way, "chat", Some(ms(400))).await;
        assert!(ended.problem.is_some() && ended.took < ms(900), "{ended:#?}");
    }
}

#[tokio::test]
async fn a_call_makes_no_more_attempts_than_it_may() {
    let step = || story().continues().stops_after(1).cut();
    let (a, b) = (Provider::start(step()).await, Provider::start(step()).await);
    let config = Config::one(&a).provider("b", &b).each(&prefill()).each(&json!({"retry": {"max_retries": 50}}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let options = CallOptions { max_attempts: Some(3), ..CallOptions::default() };
    let request = GenerateRequest { model: "chat".into(), options: Some(options), ..ask("hello") };
    let mut stream = doors.grpc.clone().stream_generate(request).await.unwrap().into_inner();
    let mut said = String::new();
    let status = loop {
        match stream.message().await {
            Ok(message) => said.push_str(&message.expect("an error").text_delta),
            Err(status) => break status,
        }
    };
    assert_eq!((said, a.calls() + b.calls()), (WORDS[..3].concat(), 3), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_that_break_anywhere_each_come_whole_and_once() {
    const CALLS: usize = 1000;
    const AT_ONCE: usize = 32;
    let broken = |continues: bool| -> Vec<Act> {
        let story = || if continues { story().continues() } else { story() };
        let places = (0..=WORDS.len()).flat_map(|after| breaks(&story(), after));
        let mut acts: Vec<Act> = places.map(|(_, act)| act).collect();
        acts.extend(std::iter::repeat_n(story(), 30));
        acts.push(answer(503, &json!({})));
        acts
    };
    let a = Provider::start(Script::at_random(1, broken(true))).await;
    let b = Provider::start(Script::at_random(2, broken(false))).await;
    let c = Provider::start(story().continues()).await;
    let short = json!({"timeouts": {"first_token": "500ms", "idle": "300ms"}});
    let config = Config::new()
        .provider_with("a", &a.base_url(), prefill())
        .provider("b", &b)
        .provider_with("c", &c.base_url(), prefill())
        .each(&short)
        .each(&json!({"retry": {"max_retries": 2, "base_delay": "1ms"}}));
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    let calls = stream::iter(0..CALLS).map(|call| {
        let doors = doors.clone();
        let way = Way::STREAMS[call % 2];
        async move { (way, doors.call(way, "chat").await) }
    });
    let mut calls = calls.buffer_unordered(AT_ONCE);
    let mut went_on = 0;
    while let Some((way, ended)) = calls.next().await {
        is_whole(&ended, &format!("{way:?}"));
        went_on += usize::from(ended.attempts > 1);
    }
    assert!(went_on > CALLS / 4, "only {went_on} streams had to go on elsewhere");
    let idle = |metrics: &fusebox_tests::client::Metrics| metrics.sum("fusebox_in_flight", &[]) == 0.0;
    let metrics = sidecar.metrics_until("no call in flight", idle).await;
    assert_eq!(metrics.sum("fusebox_calls_total", &[]), CALLS as f64, "each is counted once");
}
