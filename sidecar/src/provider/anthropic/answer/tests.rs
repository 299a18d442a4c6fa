use proptest::prelude::*;

use super::*;
use crate::chat::answer::Usage;

fn message(content: &Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 4, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 30 },
    })
}

fn translated(document: &Value) -> (Value, Whole) {
    let whole = translate(document.to_string().as_bytes(), 7).unwrap();
    (serde_json::from_slice(&whole.body).unwrap(), whole)
}

#[test]
fn a_message_becomes_a_completion() {
    let (document, whole) = translated(&message(
        &json!([{ "type": "text", "text": "Hi " }, { "type": "text", "text": "you" }]),
        "end_turn",
    ));
    assert_eq!(
        document,
        json!({
            "id": "msg_1",
            "object": "chat.completion",
            "created": 7,
            "model": "claude-x",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": "Hi you", "refusal": null },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": {
                "prompt_tokens": 42,
                "completion_tokens": 4,
                "total_tokens": 46,
                "prompt_tokens_details": { "cached_tokens": 30 },
            },
        })
    );
    assert_eq!((whole.finish, whole.model.as_deref()), (Some(Finish::Stop), Some("claude-x")));
    assert_eq!(whole.usage, Some(Usage { input_tokens: 42, output_tokens: 4 }));
}

#[test]
fn tools_and_thoughts_come_back() {
    let content = json!([
        { "type": "thinking", "thinking": "Hm.", "signature": "x" },
        { "type": "redacted_thinking", "data": "x" },
        { "type": "tool_use", "id": "toolu_1", "name": "time", "input": { "zone": "CET", "at": "now" } },
        { "type": "tool_use", "id": "toolu_2", "name": "stop", "input": {} },
    ]);
    let (document, whole) = translated(&message(&content, "tool_use"));
    let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    assert_eq!(
        document["choices"][0]["message"],
        json!({
            "role": "assistant",
            "content": null,
            "refusal": null,
            "reasoning_content": "Hm.",
            "tool_calls": [call("toolu_1", "time", r#"{"zone":"CET","at":"now"}"#), call("toolu_2", "stop", "{}")],
        })
    );
    assert_eq!(whole.finish, Some(Finish::ToolCalls));
}

#[test]
fn every_stop_reason_has_its_word() {
    let table = [
        ("end_turn", "stop", Finish::Stop),
        ("stop_sequence", "stop", Finish::Stop),
        ("max_tokens", "length", Finish::Length),
        ("model_context_window_exceeded", "length", Finish::Length),
        ("pause_turn", "length", Finish::Length),
        ("tool_use", "tool_calls", Finish::ToolCalls),
        ("something_new", "stop", Finish::Other),
    ];
    for (reason, word, finish) in table {
        let (document, whole) = translated(&message(&json!([{ "type": "text", "text": "a" }]), reason));
        assert_eq!((&document["choices"][0]["finish_reason"], whole.finish), (&json!(word), Some(finish)), "{reason}");
    }
}

#[test]
fn what_is_no_answer_is_a_failure() {
    let mut unfinished = message(&json!([{ "type": "text", "text": "a" }]), "end_turn");
    unfinished["stop_reason"] = Value::Null;
    let table = [
        (
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } }),
            ErrorKind::ModelOverloaded,
        ),
        (unfinished, ErrorKind::InvalidResponse),
        (message(&json!([]), "end_turn"), ErrorKind::InvalidResponse),
        (message(&json!([]), "refusal"), ErrorKind::ContentFiltered),
        (message(&json!([{ "type": "text", "text": "We" }]), "refusal"), ErrorKind::ContentFiltered),
        (message(&json!("text"), "end_turn"), ErrorKind::InvalidResponse),
        (json!({ "object": "chat.completion" }), ErrorKind::InvalidResponse),
    ];
    for (document, kind) in table {
        assert_eq!(translate(document.to_string().as_bytes(), 0).unwrap_err().kind, kind, "{document}");
    }
    assert!(translate(message(&json!([]), "max_tokens").to_string().as_bytes(), 0).is_ok(), "no room for a word");
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = translate(&body, 0);
    }

    #[test]
    fn any_text_and_arguments_come_back_as_they_were(text in "\\PC{1,40}", key in "\\PC{0,10}", number in any::<i64>()) {
        let input = json!({ key: number });
        let content = json!([{ "type": "text", "text": text }, { "type": "tool_use", "id": "1", "name": "f", "input": input }]);
        let (document, _) = translated(&message(&content, "tool_use"));
        let said = &document["choices"][0]["message"];
        prop_assert_eq!(said["content"].as_str().unwrap(), text);
        let arguments = said["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(arguments).unwrap(), input);
    }
}
