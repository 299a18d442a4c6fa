//! Prompts that are too long: who is passed over, what is left out, and what the caller is told.

use std::collections::HashMap;

use fusebox_proto::v1::{EmbedRequest, GenerateRequest, Message, Outcome, Role, Sampling, ToolCall};
use fusebox_tests::{
    client::grpc::message,
    provider::{
        Provider, Seen,
        act::{document, json as answer, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tonic::Status;

use crate::support::{Doors, Way};

/// What a caller learns, through either door.
#[derive(Debug, Default)]
struct Heard {
    /// `ok`, or the error's.
    kind: String,
    message: String,
    /// HTTP's status; gRPC's code.
    code: i32,
    details: HashMap<String, String>,
    provider: String,
    source: String,
    quality: String,
    warnings: Vec<String>,
    attempts: usize,
}

impl Heard {
    fn number(&self, detail: &str) -> u64 {
        self.details.get(detail).and_then(|told| told.parse().ok()).unwrap_or_else(|| panic!("{detail} in {self:#?}"))
    }

    fn of(&mut self, outcome: &Outcome) {
        self.provider.clone_from(&outcome.provider);
        self.source = outcome.source().as_str_name().trim_start_matches("SOURCE_").to_lowercase();
        self.quality = outcome.quality().as_str_name().trim_start_matches("QUALITY_").to_lowercase();
        self.warnings.clone_from(&outcome.warnings);
        self.attempts = outcome.attempts.len();
    }

    fn refused(&mut self, status: &Status) {
        let told = fusebox_tests::client::told(status);
        self.kind = told.kind;
        self.message = status.message().to_owned();
        self.code = status.code().into();
        self.details =
            tonic_types::StatusExt::get_error_details(status).error_info().map(|info| info.metadata.clone()).unwrap();
        self.of(&told.outcome.unwrap());
    }
}

/// One call with these `messages`, as HTTP has them.
async fn ask(doors: &Doors, way: Way, messages: &Value, max_tokens: Option<u32>) -> Heard {
    match way {
        Way::HttpWhole | Way::HttpStream => http(doors, way.streams(), messages, max_tokens).await,
        Way::GrpcWhole | Way::GrpcStream => grpc(doors, way.streams(), messages, max_tokens).await,
    }
}

async fn http(doors: &Doors, stream: bool, messages: &Value, max_tokens: Option<u32>) -> Heard {
    let mut body = json!({"model": "chat", "stream": stream, "messages": messages});
    if let Some(tokens) = max_tokens {
        body["max_tokens"] = tokens.into();
    }
    let answer = doors.http.chat(&body).send().await;
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let mut heard = Heard {
        kind: "ok".to_owned(),
        code: answer.status.as_u16().into(),
        provider: header("x-fusebox-provider"),
        source: header("x-fusebox-source"),
        quality: header("x-fusebox-quality"),
        attempts: header("x-fusebox-attempts").parse().unwrap(),
        ..Heard::default()
    };
    let warnings = answer.headers.get_all("x-fusebox-warning").iter();
    heard.warnings = warnings.map(|warning| warning.to_str().unwrap().to_owned()).collect();
    if answer.status != 200 {
        let error = answer.error();
        heard.kind = error["type"].as_str().unwrap().to_owned();
        heard.message = error["message"].as_str().unwrap().to_owned();
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let details = error["details"].as_object().cloned().unwrap_or_default();
        heard.details = details.iter().map(|(name, value)| (name.clone(), plain(value))).collect();
    }
    heard
}

async fn grpc(doors: &Doors, stream: bool, messages: &Value, max_tokens: Option<u32>) -> Heard {
    let request = GenerateRequest {
        model: "chat".to_owned(),
        messages: messages.as_array().unwrap().iter().map(of_json).collect(),
        sampling: Some(Sampling { max_tokens, ..Sampling::default() }),
        ..GenerateRequest::default()
    };
    let mut heard = Heard { kind: "ok".to_owned(), ..Heard::default() };
    let mut client = doors.grpc.clone();
    if !stream {
        match client.generate(request).await {
            Ok(answer) => heard.of(&answer.into_inner().outcome.unwrap()),
            Err(status) => heard.refused(&status),
        }
        return heard;
    }
    match client.stream_generate(request).await {
        Err(status) => heard.refused(&status),
        Ok(answer) => {
            let mut stream = answer.into_inner();
            loop {
                match stream.message().await {
                    Ok(Some(message)) => message.outcome.iter().for_each(|outcome| heard.of(outcome)),
                    Ok(None) => break,
                    Err(status) => {
                        heard.refused(&status);
                        break;
                    }
                }
            }
        }
    }
    heard
}

fn of_json(turn: &Value) -> Message {
    let role = match turn["role"].as_str().unwrap() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => Role::Tool,
    };
    let mut message = message(role, turn["content"].as_str().unwrap_or_default());
    if turn["content"].is_null() {
        message.content.clear();
    }
    let calls = turn["tool_calls"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let call = |call: &Value| ToolCall {
        id: text(&call["id"]),
        name: text(&call["function"]["name"]),
        arguments: text(&call["function"]["arguments"]),
    };
    message.tool_calls = calls.iter().map(call).collect();
    message.tool_call_id = text(&turn["tool_call_id"]);
    message
}

/// A sidecar whose model `chat` the providers serve in this order, each with its window.
async fn start(overflow: &str, serving: &[(&str, &Provider, Option<u32>)]) -> (Sidecar, Doors) {
    let mut config = Config::new();
    for (name, provider, _) in serving {
        config = config.provider(name, provider);
    }
    let seats: Vec<Value> = serving
        .iter()
        .map(|(name, _, window)| json!({"provider": name, "model": format!("served-{name}"), "context_window": window}))
        .collect();
    let models = json!([{"name": "chat", "providers": seats}]);
    let sidecar = Sidecar::start(config.with(json!({"models": models, "context_overflow": overflow}))).await;
    let doors = Doors::of(&sidecar).await;
    (sidecar, doors)
}

/// A turn of some `tokens`, in prose of four letters a token.
fn turn(role: &str, name: &str, tokens: usize) -> Value {
    json!({"role": role, "content": format!("{name} {}", "the cat sat there ".repeat(tokens * 4 / 18))})
}

/// A system's message, `turns` exchanges of some `tokens` a turn, and a last question.
fn conversation(turns: usize, tokens: usize) -> Value {
    let mut messages = vec![turn("system", "rules", 20)];
    for place in 0..turns {
        messages.push(turn("user", &format!("q{place}"), tokens));
        messages.push(turn("assistant", &format!("a{place}"), tokens));
    }
    messages.push(turn("user", "last", 20));
    Value::from(messages)
}

/// The first word of each message that a provider was sent.
fn firsts(seen: &Seen) -> Vec<String> {
    let first = |turn: &Value| turn["content"].as_str().unwrap_or("-").split(' ').next().unwrap().to_owned();
    seen.body["messages"].as_array().unwrap().iter().map(first).collect()
}

fn too_long(message: &str) -> Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}})
}

#[tokio::test]
async fn a_prompt_too_long_for_one_goes_to_a_larger_window_and_the_first_is_not_asked() {
    let (small, large) = (Provider::start(tokens(2)).await, Provider::start(tokens(2)).await);
    let (_sidecar, doors) = start("failover", &[("small", &small, Some(1000)), ("large", &large, Some(100_000))]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(5, 400), None).await;
        assert_eq!((&*heard.kind, &*heard.provider, &*heard.source), ("ok", "large", "fallback"), "{way:?} {heard:#?}");
        assert_eq!((&*heard.quality, heard.attempts), ("full", 1), "{way:?} {heard:#?}");
        // A short one stays where it is first.
        let heard = ask(&doors, way, &conversation(0, 0), None).await;
        assert_eq!(heard.provider, "small", "{way:?}");
    }
    assert_eq!((small.calls(), large.calls()), (4, 4));
    assert!(small.seen().iter().all(|seen| firsts(seen) == ["rules", "last"]));
}

#[tokio::test]
async fn a_prompt_too_long_for_all_is_refused_with_by_how_much_and_nobody_is_asked() {
    let (small, large) = (Provider::start(tokens(2)).await, Provider::start(tokens(2)).await);
    let (_sidecar, doors) = start("failover", &[("small", &small, Some(1000)), ("large", &large, Some(2000))]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(5, 400), Some(500)).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        assert_eq!(heard.code, if matches!(way, Way::HttpWhole | Way::HttpStream) { 413 } else { 11 }, "{way:?}");
        let estimated = heard.number("estimated_tokens");
        assert!((3900..=4300).contains(&estimated), "{way:?} {heard:#?}");
        assert_eq!((heard.number("context_limit_tokens"), heard.number("max_tokens")), (2000, 500), "{way:?}");
        assert_eq!(heard.number("too_many_tokens"), estimated + 500 - 2000, "{way:?}");
        assert!(heard.message.contains(&heard.details["too_many_tokens"]), "{way:?} {}", heard.message);
        let tried = &heard.details["providers"];
        assert_eq!(tried, "small: context_length_exceeded, large: context_length_exceeded", "{way:?}");
        assert_eq!(heard.attempts, 0, "{way:?}");
    }
    assert_eq!((small.calls(), large.calls()), (0, 0));
}

#[tokio::test]
async fn room_for_the_answer_counts_and_an_unknown_window_is_thought_able() {
    let (small, unknown) = (Provider::start(tokens(2)).await, Provider::start(tokens(2)).await);
    let (_sidecar, doors) = start("failover", &[("small", &small, Some(1000)), ("unknown", &unknown, None)]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(0, 0), Some(5000)).await;
        assert_eq!((&*heard.kind, &*heard.provider), ("ok", "unknown"), "{way:?} {heard:#?}");
    }
    assert_eq!(small.calls(), 0);
}

#[tokio::test]
async fn error_is_an_error_at_once_though_another_has_a_larger_window() {
    let (small, large) = (Provider::start(tokens(2)).await, Provider::start(tokens(2)).await);
    let (_sidecar, doors) = start("error", &[("small", &small, Some(1000)), ("large", &large, Some(100_000))]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(5, 400), None).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        assert_eq!(heard.number("context_limit_tokens"), 1000, "{way:?}");
    }
    assert_eq!((small.calls(), large.calls()), (0, 0));
}

#[tokio::test]
async fn the_oldest_turns_are_left_out_for_the_largest_window_and_the_caller_is_told() {
    let (small, large) = (Provider::start(tokens(2)).await, Provider::start(tokens(2)).await);
    let (_sidecar, doors) = start("truncate", &[("small", &small, Some(1000)), ("large", &large, Some(2000))]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(6, 250), Some(100)).await;
        assert_eq!((&*heard.kind, &*heard.provider), ("ok", "large"), "{way:?} {heard:#?}");
        assert_eq!(heard.quality, "limited", "{way:?}");
        let left_out = "left out the oldest 8 of 14 turns";
        assert!(heard.warnings.iter().any(|warning| warning.contains(left_out)), "{way:?} {heard:#?}");
    }
    assert_eq!(small.calls(), 0);
    for seen in large.seen() {
        assert_eq!(firsts(&seen), ["rules", "q4", "a4", "q5", "a5", "last"]);
        assert_eq!((&seen.body["max_tokens"], &seen.body["model"]), (&json!(100), &json!("served-large")));
    }
}

#[tokio::test]
async fn a_tools_answer_is_never_sent_without_its_call() {
    let provider = Provider::start(tokens(2)).await;
    let (_sidecar, doors) = start("truncate", &[("a", &provider, Some(1500))]).await;
    let call = |id: &str| {
        let function = json!({"name": "look", "arguments": "{}"});
        json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": function}]})
    };
    let found = |id: &str| {
        let mut turn = turn("tool", id, 400);
        turn["tool_call_id"] = id.into();
        turn
    };
    let mut messages = vec![turn("system", "rules", 20), turn("user", "last", 20)];
    for id in ["c0", "c1", "c2", "c3", "c4", "c5"] {
        messages.extend([call(id), found(id)]);
    }
    let messages = Value::from(messages);
    for way in Way::ALL {
        let heard = ask(&doors, way, &messages, None).await;
        assert_eq!((&*heard.kind, &*heard.quality), ("ok", "limited"), "{way:?} {heard:#?}");
    }
    for seen in provider.seen() {
        let turns = seen.body["messages"].as_array().unwrap();
        let made: Vec<&Value> =
            turns.iter().filter(|turn| turn["role"] == "assistant").map(|turn| &turn["tool_calls"][0]["id"]).collect();
        let answered: Vec<&Value> =
            turns.iter().filter(|turn| turn["role"] == "tool").map(|turn| &turn["tool_call_id"]).collect();
        assert_eq!(made, answered);
        assert_eq!(made.last().unwrap().as_str(), Some("c5"));
        assert!(made.len() < 6 && made.len() > 1, "{made:?}");
        assert_eq!(firsts(&seen)[..2], ["rules", "last"]);
    }
}

#[tokio::test]
async fn an_answers_share_is_lessened_before_any_turn_is_left_out() {
    let provider = Provider::start(tokens(2)).await;
    let (_sidecar, doors) = start("truncate", &[("a", &provider, Some(2000))]).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(2, 200), Some(1600)).await;
        assert_eq!((&*heard.kind, &*heard.quality), ("ok", "limited"), "{way:?} {heard:#?}");
        assert!(heard.warnings[0].contains("instead of 1600 tokens"), "{way:?} {heard:#?}");
    }
    for seen in provider.seen() {
        assert_eq!(seen.body["messages"].as_array().unwrap().len(), 6);
        let asked = seen.body["max_tokens"].as_u64().unwrap();
        assert!((700..1200).contains(&asked), "{asked}");
    }
}

#[tokio::test]
async fn what_must_stay_and_does_not_fit_is_an_error_that_says_so() {
    let provider = Provider::start(tokens(2)).await;
    let (_sidecar, doors) = start("truncate", &[("a", &provider, Some(1000))]).await;
    let messages = json!([turn("user", "q", 500), turn("assistant", "a", 100), turn("user", "last", 3000)]);
    for way in Way::ALL {
        let heard = ask(&doors, way, &messages, None).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        assert!(heard.message.contains("must stay"), "{way:?} {}", heard.message);
        assert!(heard.number("least_tokens") > 3000, "{way:?}");
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_refusal_is_taken_at_its_word_and_the_rest_of_the_prompt_asked_anew() {
    for way in Way::ALL {
        let said =
            "This model's maximum context length is 2000 tokens. However, your messages resulted in 4000 tokens.";
        let provider = Provider::start(answer(400, &too_long(said)).then(tokens(2))).await;
        let (_sidecar, doors) = start("truncate", &[("a", &provider, None)]).await;
        // Some 2000 tokens, it was thought; the provider counts twice as many, of which half fit.
        let heard = ask(&doors, way, &conversation(10, 100), None).await;
        assert_eq!((&*heard.kind, &*heard.quality, heard.attempts), ("ok", "limited", 2), "{way:?} {heard:#?}");
        let seen = provider.seen();
        let (all, fewer) = (firsts(&seen[0]), firsts(&seen[1]));
        assert_eq!(all.len(), 22, "{way:?}");
        assert!((6..=12).contains(&fewer.len()), "{way:?} {fewer:?}");
        assert_eq!((&*fewer[0], &**fewer.last().unwrap()), ("rules", "last"), "{way:?}");
    }
}

#[tokio::test]
async fn a_refusal_sends_the_prompt_to_a_larger_window_first() {
    let refusal = answer(400, &too_long("This model's maximum context length is 4096 tokens."));
    let (small, large) = (Provider::start(refusal).await, Provider::start(tokens(2)).await);
    let serving = [("small", &small, Some(4096)), ("large", &large, Some(100_000))];
    for overflow in ["failover", "truncate"] {
        let (_sidecar, doors) = start(overflow, &serving).await;
        for way in Way::ALL {
            let heard = ask(&doors, way, &conversation(2, 100), None).await;
            assert_eq!(
                (&*heard.kind, &*heard.provider, &*heard.quality),
                ("ok", "large", "full"),
                "{way:?} {heard:#?}"
            );
        }
    }
    let (_sidecar, doors) = start("error", &serving).await;
    for way in Way::ALL {
        let heard = ask(&doors, way, &conversation(2, 100), None).await;
        assert_eq!((&*heard.kind, heard.attempts), ("context_length_exceeded", 1), "{way:?} {heard:#?}");
    }
}

#[tokio::test]
async fn a_prompt_is_shortened_twice_at_most() {
    for way in Way::ALL {
        let refusal = answer(400, &too_long("the prompt is too long: maximum context length is 2000 tokens"));
        let provider = Provider::start(refusal).await;
        let (_sidecar, doors) = start("truncate", &[("a", &provider, None)]).await;
        let heard = ask(&doors, way, &conversation(20, 100), None).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        let sent: Vec<usize> = provider.seen().iter().map(|seen| firsts(seen).len()).collect();
        assert!(sent.len() == 3 && sent[0] > sent[1] && sent[1] > sent[2], "{way:?} {sent:?}");
    }
}

#[tokio::test]
async fn a_model_whose_vocabulary_is_known_is_counted() {
    let provider = Provider::start(tokens(2)).await;
    let seats = json!([{"provider": "a", "model": "gpt-4o-mini", "context_window": 1000}]);
    let models = json!({"models": [{"name": "chat", "providers": seats}]});
    let sidecar = Sidecar::start(Config::one(&provider).with(models)).await;
    let doors = Doors::of(&sidecar).await;
    // By its bytes 2000 tokens; by the vocabulary some 500, as eight spaces and a word are few.
    let spaced = json!([{"role": "user", "content": "                understanding ".repeat(267)}]);
    // And the other way round: letters of no language.
    let letters = json!([{"role": "user", "content": "q7Zx9Kv2Wp4Bn8Jt1".repeat(150)}]);
    for way in Way::ALL {
        let heard = ask(&doors, way, &spaced, None).await;
        assert_eq!(heard.kind, "ok", "{way:?} {heard:#?}");
        let heard = ask(&doors, way, &letters, None).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        assert!(heard.number("estimated_tokens") > 1200, "{way:?} {heard:#?}");
    }
    assert_eq!(provider.calls(), 4);
}

#[tokio::test]
async fn how_a_provider_counts_is_learnt_from_its_answers_whole_and_streamed() {
    let usage = json!({"prompt_tokens": 1030, "completion_tokens": 1, "total_tokens": 1031});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"});
    let delta = json!({"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"});
    let whole = answer(200, &json!({"choices": [choice], "usage": usage}));
    let events = format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [delta], "usage": usage}));
    let streamed = document(200, "text/event-stream", events);
    for way in Way::ALL {
        let teaching = if way.streams() { streamed.clone() } else { whole.clone() };
        // What the first answer says it cost cannot be true, and teaches nothing.
        let provider = Provider::start(tokens(2).then(teaching)).await;
        let (_sidecar, doors) = start("failover", &[("a", &provider, Some(2500))]).await;
        // 2000 tokens by what is usual, which is worth asking.
        let long = json!([turn("user", "long", 2000)]);
        assert_eq!(ask(&doors, way, &long, None).await.kind, "ok", "{way:?}");
        // A provider that makes a token of two bytes.
        for _ in 0..8 {
            assert_eq!(ask(&doors, way, &json!([turn("user", "taught", 510)]), None).await.kind, "ok", "{way:?}");
        }
        let heard = ask(&doors, way, &long, None).await;
        assert_eq!(heard.kind, "context_length_exceeded", "{way:?} {heard:#?}");
        assert!((3500..=4300).contains(&heard.number("estimated_tokens")), "{way:?} {heard:#?}");
        assert_eq!(provider.calls(), 9, "{way:?}");
    }
}

#[tokio::test]
async fn an_image_is_no_reason_to_think_a_prompt_too_long() {
    let provider = Provider::start(tokens(2)).await;
    let (sidecar, _doors) = start("failover", &[("a", &provider, Some(8192))]).await;
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let url = format!("data:image/png;base64,{png}");
    let parts: Vec<Value> = (0..5).map(|_| json!({"type": "image_url", "image_url": {"url": url}})).collect();
    let long = json!({"type": "text", "text": "the cat sat there ".repeat(400)});
    let content: Vec<Value> = parts.into_iter().chain([long]).collect();
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": content}]});
    assert_eq!(sidecar.http().chat(&body).send().await.status, 200);
}

#[tokio::test]
async fn prompts_and_inputs_too_long_are_refused_and_not_cut() {
    let provider = Provider::start(tokens(2)).await;
    let (sidecar, doors) = start("truncate", &[("a", &provider, Some(1000))]).await;
    let long = "the cat sat there ".repeat(600);
    let prompt = json!({"model": "chat", "prompt": ["short", long], "max_tokens": 10});
    let input = json!({"model": "chat", "input": ["short", long]});
    for (path, body) in [("/v1/completions", prompt), ("/v1/embeddings", input)] {
        let answer = sidecar.http().post(path, &body).send().await;
        assert_eq!(
            (answer.status.as_u16(), &answer.error()["type"]),
            (413, &json!("context_length_exceeded")),
            "{path}"
        );
    }
    let request = EmbedRequest { model: "chat".to_owned(), inputs: vec![long], ..EmbedRequest::default() };
    let status = doors.grpc.clone().embed(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    assert_eq!(provider.calls(), 0);
    // Each input has the window to itself.
    let each = json!({"model": "chat", "input": vec!["the cat sat there ".repeat(100); 5]});
    assert_eq!(sidecar.http().post("/v1/embeddings", &each).send().await.status, 200);
}
