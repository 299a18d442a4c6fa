use super::*;
use crate::chat::inspect::inspect;

fn stream(chunks: &[Value]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn chunk(choices: &Value) -> Value {
    json!({"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": choices})
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_streamed_text_becomes_one_message() {
    let events = stream(&[
        chunk(&json!([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}])),
        chunk(&json!([{"index": 0, "delta": {"reasoning_content": "hm"}, "finish_reason": null}])),
        chunk(
            &json!([{"index": 0, "delta": {"content": "one "}, "logprobs": {"content": [1]}, "finish_reason": null}]),
        ),
        chunk(&json!([{"index": 0, "delta": {"role": "assistant", "content": "two"}, "logprobs": {"content": [2]}}])),
        chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])),
        json!({"id": "c-1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ]);
    let whole = parsed(&whole(Operation::Chat, events.as_bytes()).unwrap());
    assert_eq!(
        whole,
        json!({"id": "c-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "logprobs": {"content": [1, 2]},
                "message": {"role": "assistant", "content": "one two", "reasoning_content": "hm"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    );
}

#[test]
fn streamed_calls_of_tools_are_put_together_each_for_itself() {
    let call = |index: u32, id: Option<&str>, name: Option<&str>, arguments: &str| {
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if let (Some(id), Some(name)) = (id, name) {
            call["id"] = id.into();
            call["type"] = "function".into();
            call["function"]["name"] = name.into();
        }
        chunk(&json!([{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null}]))
    };
    let events = stream(&[
        chunk(&json!([{"index": 0, "delta": {"role": "assistant", "content": ""}}])),
        call(0, Some("a"), Some("f"), ""),
        call(0, None, None, "{\"x\""),
        call(1, Some("b"), Some("g"), "{}"),
        call(0, None, None, ":1}"),
        chunk(&json!([{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])),
    ]);
    let whole = parsed(&whole(Operation::Chat, events.as_bytes()).unwrap());
    assert_eq!(
        whole["choices"][0]["message"],
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}]})
    );
}

#[test]
fn several_choices_keep_their_places() {
    let events = stream(&[
        json!({"id": "t", "object": "text_completion", "choices": [{"index": 1, "text": "b", "finish_reason": ""}]}),
        json!({"id": "t", "object": "text_completion", "choices": [{"index": 0, "text": "a", "finish_reason": null}]}),
        json!({"id": "t", "choices": [{"index": 1, "text": "!", "finish_reason": "length"}]}),
        json!({"id": "t", "choices": [{"index": 0, "text": "?", "finish_reason": "stop"}]}),
    ]);
    let whole = parsed(&whole(Operation::Completion, events.as_bytes()).unwrap());
    let said: Vec<_> = whole["choices"].as_array().unwrap().iter().map(|c| (&c["text"], &c["finish_reason"])).collect();
    assert_eq!(said, [(&json!("a?"), &json!("stop")), (&json!("b!"), &json!("length"))]);
    assert_eq!(whole["object"], "text_completion");
}

#[test]
fn a_whole_answer_survives_the_way_there_and_back() {
    let message = json!({"role": "assistant", "content": "hi", "refusal": null});
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    for (operation, object, choice) in [
        (Operation::Chat, "chat.completion", json!({"index": 0, "message": message, "finish_reason": "stop"})),
        (Operation::Chat, "chat.completion", json!({"index": 0, "message": calls, "finish_reason": "tool_calls"})),
        (Operation::Completion, "text_completion", json!({"index": 0, "text": "hi", "finish_reason": "length"})),
    ] {
        let usage = json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7});
        let document = json!({"id": "x", "object": object, "created": 1, "model": "m", "choices": [choice],
            "usage": usage});
        let told = events(operation, document.to_string().as_bytes(), true).unwrap();
        assert_eq!(told.tokens, 1);
        assert_eq!(parsed(&whole(operation, &told.events).unwrap()), document);
        let bare = events(operation, document.to_string().as_bytes(), false).unwrap();
        assert_eq!(without_usage(&told.events), bare.events);
        let mut at = 0;
        while let Some(event) = sse::next_event(&bare.events, &mut at) {
            assert_ne!(inspect(&event.data).unwrap().choices, 0);
        }
    }
}

#[test]
fn what_is_no_answer_is_not_made_one() {
    assert_eq!(whole(Operation::Chat, b": nothing\n\n"), None);
    assert_eq!(events(Operation::Chat, b"{\"data\":[]}", true), None);
    assert_eq!(events(Operation::Chat, b"{\"choices\":[{\"index\":0}]}", true), None);
}

#[test]
fn only_a_caller_that_asks_gets_the_count_of_tokens() {
    for (body, asks) in [
        (r#"{"stream_options":{"include_usage":true}}"#, true),
        (r#"{"stream_options":{"include_usage":false}}"#, false),
        (r#"{"stream_options":null}"#, false),
        ("{}", false),
    ] {
        assert_eq!(asks_for_usage(body.as_bytes()), asks, "{body}");
    }
}
