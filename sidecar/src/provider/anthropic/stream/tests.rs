use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::chat::sse::{Events, Reader};

struct Played {
    /// The chunks, of each its first choice's delta or, without choices, its usage.
    deltas: Vec<Value>,
    chunks: Vec<Value>,
    sum: Step,
    out: BytesMut,
}

fn start() -> Value {
    json!({ "type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": [], "stop_reason": null,
        "usage": { "input_tokens": 5, "output_tokens": 1, "cache_read_input_tokens": 2 },
    } })
}

fn block(index: u64, block: &Value) -> Value {
    json!({ "type": "content_block_start", "index": index, "content_block": block })
}

fn tool(index: u64, id: &str) -> Value {
    block(index, &json!({ "type": "tool_use", "id": id, "name": "time", "input": {} }))
}

fn delta(index: u64, delta: &Value) -> Value {
    json!({ "type": "content_block_delta", "index": index, "delta": delta })
}

fn text(words: &str) -> Value {
    delta(0, &json!({ "type": "text_delta", "text": words }))
}

fn arguments(index: u64, part: &str) -> Value {
    delta(index, &json!({ "type": "input_json_delta", "partial_json": part }))
}

fn block_stop(index: u64) -> Value {
    json!({ "type": "content_block_stop", "index": index })
}

fn stop(reason: &str) -> Value {
    json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null }, "usage": { "output_tokens": 9 } })
}

fn end() -> Value {
    json!({ "type": "message_stop" })
}

fn play(include_usage: bool, events: &[Value]) -> Result<Played, Failure> {
    let mut translator = Translator::new(7, include_usage);
    let (mut out, mut sum) = (BytesMut::new(), Step::default());
    for event in events {
        let step = translator.event(event["type"].as_str(), event.to_string().as_bytes(), &mut out)?;
        sum.tokens += step.tokens;
        sum.finish = sum.finish.or(step.finish);
        sum.usage = sum.usage.or(step.usage);
        sum.model = sum.model.or(step.model);
        sum.done |= step.done;
    }
    let read: Events = Reader::new(1 << 20).push(out.clone().freeze()).unwrap();
    let chunks: Vec<Value> = read.iter().map(|event| serde_json::from_slice(&event.data).unwrap()).collect();
    let deltas = chunks.iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
    Ok(Played { deltas, chunks, sum, out })
}

#[test]
fn text_becomes_chunks() {
    let ping = json!({ "type": "ping" });
    let opening = block(0, &json!({ "type": "text", "text": "" }));
    let events = [start(), ping, opening, text("He\"l\n"), text("lo"), block_stop(0), stop("end_turn"), end()];
    let played = play(false, &events).unwrap();
    assert_eq!(
        played.deltas,
        [
            json!({ "role": "assistant", "content": "" }),
            json!({ "content": "He\"l\n" }),
            json!({ "content": "lo" }),
            json!({})
        ]
    );
    assert_eq!(
        played.chunks[1],
        json!({
            "id": "msg_1", "object": "chat.completion.chunk", "created": 7, "model": "claude-x",
            "choices": [{ "index": 0, "delta": { "content": "He\"l\n" }, "logprobs": null, "finish_reason": null }],
        })
    );
    assert_eq!(played.chunks[3]["choices"][0]["finish_reason"], "stop");
    let usage = Usage { input_tokens: 7, output_tokens: 9 };
    let model = Some("claude-x".into());
    assert_eq!(played.sum, Step { tokens: 2, finish: Some(Finish::Stop), usage: Some(usage), model, done: true });
    assert!(played.out.ends_with(b"\n\n"));
}

#[test]
fn usage_comes_last_if_it_was_asked_for() {
    let played = play(true, &[start(), text("a"), stop("max_tokens"), stop("max_tokens"), end()]).unwrap();
    let last = played.chunks.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!((&last["usage"]["prompt_tokens"], &last["usage"]["total_tokens"]), (&json!(7), &json!(16)));
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    let before = &played.chunks[..played.chunks.len() - 1];
    assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(before.last().unwrap()["choices"][0]["finish_reason"], "length");
    assert_eq!(played.chunks.len(), 4, "a finish told twice is told on once");
}

#[test]
fn thoughts_are_reasoning_and_their_signature_is_not_told() {
    let events = [
        start(),
        block(0, &json!({ "type": "thinking", "thinking": "", "signature": "" })),
        delta(0, &json!({ "type": "thinking_delta", "thinking": "Hm." })),
        delta(0, &json!({ "type": "signature_delta", "signature": "abc" })),
        block(1, &json!({ "type": "redacted_thinking", "data": "abc" })),
        block_stop(1),
    ];
    let played = play(false, &events).unwrap();
    assert_eq!(played.deltas[1..], [json!({ "reasoning_content": "Hm." })]);
    assert_eq!(played.sum.tokens, 1);
}

#[test]
fn interleaved_tool_calls_keep_apart() {
    let events = [
        start(),
        text("Let me see."),
        tool(1, "a"),
        tool(3, "b"),
        block(2, &json!({ "type": "server_tool_use", "id": "s", "name": "web_search", "input": {} })),
        arguments(3, "{\"zone\":"),
        arguments(2, "{\"query\":1}"),
        arguments(1, ""),
        arguments(1, "{\"at\":\"now\"}"),
        arguments(3, "\"CET\"}"),
        block_stop(1),
        block_stop(2),
        block_stop(3),
        stop("tool_use"),
    ];
    let played = play(false, &events).unwrap();
    let mut calls: Vec<(String, String)> = Vec::new();
    for call in played.deltas.iter().flat_map(|delta| delta["tool_calls"].as_array().cloned().unwrap_or_default()) {
        let index = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
        if let Some(id) = call["id"].as_str() {
            assert_eq!((index, &call["function"]["name"]), (calls.len(), &json!("time")));
            calls.push((id.to_owned(), String::new()));
        }
        calls[index].1.push_str(call["function"]["arguments"].as_str().unwrap());
    }
    let expected = [("a", "{\"at\":\"now\"}"), ("b", "{\"zone\":\"CET\"}")];
    assert_eq!(calls, expected.map(|(id, arguments)| (id.to_owned(), arguments.to_owned())));
    assert_eq!(played.sum.tokens, 6, "the text, two calls and three parts of their arguments");
    assert_eq!(played.sum.finish, Some(Finish::ToolCalls));
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let joined = |events: &[Value]| {
        let played = play(false, events).unwrap();
        let parts = played.deltas.iter().filter_map(|delta| delta["tool_calls"][0]["function"]["arguments"].as_str());
        parts.collect::<String>()
    };
    assert_eq!(joined(&[start(), tool(0, "a"), block_stop(0)]), "{}");
    assert_eq!(joined(&[start(), tool(0, "a"), arguments(0, ""), block_stop(0)]), "{}");
    let whole = block(0, &json!({ "type": "tool_use", "id": "a", "name": "time", "input": { "zone": "CET" } }));
    assert_eq!(joined(&[start(), whole, block_stop(0)]), "{\"zone\":\"CET\"}");
}

#[test]
fn events_without_a_name_go_by_their_type() {
    let mut translator = Translator::new(0, false);
    let mut out = BytesMut::new();
    translator.event(None, start().to_string().as_bytes(), &mut out).unwrap();
    assert_eq!(translator.event(None, text("a").to_string().as_bytes(), &mut out).unwrap().tokens, 1);
    assert!(translator.event(None, b"{}", &mut out).is_err());
}

#[test]
fn what_the_api_does_not_promise_breaks_the_stream() {
    let error = |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "no" } });
    let table = [
        (vec![start(), error("overloaded_error")], ErrorKind::ModelOverloaded),
        (vec![start(), json!({ "type": "error", "error": null })], ErrorKind::GenerationFailed),
        (vec![text("a")], ErrorKind::StreamBroken),
        (vec![start(), start()], ErrorKind::StreamBroken),
        (vec![start(), delta(0, &json!({ "type": "text_delta", "text": 7 }))], ErrorKind::StreamBroken),
        (vec![start(), json!({ "type": "content_block_delta" })], ErrorKind::StreamBroken),
        (std::iter::once(start()).chain((0..2000).map(|index| tool(index, "a"))).collect(), ErrorKind::StreamBroken),
    ];
    for (events, kind) in table {
        assert_eq!(play(false, &events).err().map(|failure| failure.kind), Some(kind), "{:?}", events.last());
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    let events = [
        start(),
        json!({ "type": "something_new", "x": 1 }),
        block(0, &json!({ "type": "something_new" })),
        delta(0, &json!({ "type": "citations_delta", "citation": {} })),
        arguments(7, "{}"),
        block_stop(7),
        json!({ "type": "message_delta", "delta": {}, "usage": { "output_tokens": 2 } }),
    ];
    let played = play(false, &events).unwrap();
    assert_eq!((played.chunks.len(), played.sum.tokens, played.sum.finish), (1, 0, None));
}

proptest! {
    #[test]
    fn no_bytes_panic(
        events in prop::collection::vec((prop::option::of(prop::sample::select(vec![
            "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error",
        ])), prop::collection::vec(any::<u8>(), 0..60)), 0..8),
    ) {
        let mut translator = Translator::new(0, true);
        let mut out = BytesMut::new();
        for (name, data) in events {
            let _ = translator.event(name, &data, &mut out);
        }
        prop_assert!(out.is_empty(), "nothing can be said before a message has begun");
    }

    #[test]
    fn any_text_comes_through_as_it_was(words in prop::collection::vec("\\PC{0,20}|[\"\\\\\n\r\t\u{0}]{1,4}", 0..8)) {
        let events: Vec<Value> = std::iter::once(start()).chain(words.iter().map(|word| text(word))).collect();
        let played = play(false, &events).unwrap();
        let said: String = played.deltas.iter().filter_map(|delta| delta["content"].as_str()).collect();
        prop_assert_eq!(said, words.concat());
        prop_assert_eq!(played.sum.tokens as usize, words.iter().filter(|word| !word.is_empty()).count());
    }
}
