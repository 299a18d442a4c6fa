use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn whole(body: &Value, finish: Finish) -> Whole {
    Whole {
        body: Bytes::from(body.to_string()),
        finish: Some(finish),
        usage: Some(Usage { input_tokens: 3, output_tokens: 5 }),
        model: None,
    }
}

fn saying(message: &Value) -> Whole {
    whole(
        &json!({"id": "r1", "object": "chat.completion", "choices": [{"index": 0, "message": message}]}),
        Finish::Stop,
    )
}

fn text_of_answer(message: &Value) -> Option<String> {
    let answer = completion(&saying(message), v1::Outcome::default()).unwrap();
    let mut content = answer.message.unwrap().content.into_iter();
    let first = content.next();
    assert_eq!(content.next(), None, "one part at most");
    match first?.kind? {
        PartKind::Text(text) => Some(text),
        PartKind::Image(_) => panic!("an image"),
    }
}

#[test]
fn a_completion_becomes_an_answer() {
    let outcome = v1::Outcome { provider: "p".into(), ..v1::Outcome::default() };
    let answer = completion(&saying(&json!({"role": "assistant", "content": "hi"})), outcome.clone()).unwrap();
    let message = v1::Message {
        role: v1::Role::Assistant.into(),
        content: vec![v1::Part { kind: Some(PartKind::Text("hi".into())) }],
        ..v1::Message::default()
    };
    let expected = v1::GenerateResponse {
        id: "r1".into(),
        message: Some(message),
        finish_reason: v1::FinishReason::Stop.into(),
        usage: Some(v1::Usage { input_tokens: 3, output_tokens: 5 }),
        outcome: Some(outcome),
    };
    assert_eq!(answer, expected);
}

#[test]
fn a_text_is_read_however_it_is_written() {
    let parts = json!([{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]);
    let table = [
        (json!({"content": "plain"}), Some("plain")),
        (json!({"content": "esc\"aped\n\u{1F600}"}), Some("esc\"aped\n\u{1F600}")),
        (json!({"content": parts}), Some("ab")),
        (json!({"content": null}), None),
        (json!({"content": ""}), None),
        (json!({}), None),
        (json!({"content": null, "refusal": "I cannot"}), Some("I cannot")),
        (json!({"content": "yes", "refusal": "no"}), Some("yes")),
        (json!({"content": "x", "reasoning_content": "because", "audio": {"id": 1}}), Some("x")),
    ];
    for (message, expected) in table {
        assert_eq!(text_of_answer(&message).as_deref(), expected, "{message}");
    }
}

#[test]
fn tool_calls_are_read_however_they_are_written() {
    let message = json!({"content": null, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\": \"it\"}"}},
        {"id": 7, "function": {"name": "wait", "arguments": {"s": 1}}},
        {"function": {"name": "go", "arguments": null}},
    ]});
    let answer =
        completion(&whole(&json!({"choices": [{"message": message}]}), Finish::ToolCalls), v1::Outcome::default());
    let answer = answer.unwrap();
    assert_eq!(answer.finish_reason(), v1::FinishReason::ToolCalls);
    let call = |id: &str, name: &str, arguments: &str| v1::ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let expected = [call("c1", "look", "{\"at\": \"it\"}"), call("7", "wait", "{\"s\":1}"), call("", "go", "")];
    assert_eq!(answer.message.unwrap().tool_calls, expected);
}

#[test]
fn only_the_first_choice_is_told() {
    let body =
        json!({"choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}}]});
    let answer = completion(&whole(&body, Finish::Stop), v1::Outcome::default()).unwrap();
    assert_eq!(answer.message.unwrap().content, [v1::Part { kind: Some(PartKind::Text("a".into())) }]);
}

#[test]
fn an_answer_without_a_message_is_no_answer() {
    let bodies = [
        "",
        "{}",
        "[]",
        "null",
        "{\"choices\": []}",
        "{\"choices\": [{}]}",
        "{\"choices\": [{\"message\": {\"content\": 7}}]}",
    ];
    for body in bodies {
        let whole = Whole { body: Bytes::from(body), finish: None, usage: None, model: None };
        let failure = completion(&whole, v1::Outcome::default()).unwrap_err();
        assert_eq!(failure.kind, ErrorKind::InvalidResponse, "{body}");
        assert!(!failure.message.contains("line"), "the provider's words stay inside: {}", failure.message);
    }
}

#[test]
fn every_finish_has_its_reason() {
    let table = [
        (Some(Finish::Stop), v1::FinishReason::Stop),
        (Some(Finish::Length), v1::FinishReason::Length),
        (Some(Finish::ToolCalls), v1::FinishReason::ToolCalls),
        (Some(Finish::ContentFilter), v1::FinishReason::ContentFilter),
        (Some(Finish::Other), v1::FinishReason::Stop),
        (None, v1::FinishReason::Unspecified),
    ];
    for (finish, expected) in table {
        assert_eq!(finish_reason(finish), expected, "{finish:?}");
    }
}

#[test]
fn a_piece_of_a_stream_is_read_however_it_is_written() {
    let call = |index, id: &str, name: &str, arguments: &str| v1::ToolCallDelta {
        index,
        id: id.into(),
        name: name.into(),
        arguments_delta: arguments.into(),
    };
    let table = [
        (json!({"id": "s", "choices": [{"delta": {"content": "to"}}]}), "to", vec![]),
        (json!({"id": "s", "choices": [{"delta": {"role": "assistant", "content": ""}}]}), "", vec![]),
        (json!({"id": "s", "choices": [{"delta": {"reasoning_content": "hm"}}]}), "", vec![]),
        (json!({"id": "s", "choices": []}), "", vec![]),
        (json!({"id": "s", "choices": null}), "", vec![]),
        (json!({"id": "s", "choices": [{"delta": null, "finish_reason": "stop"}]}), "", vec![]),
        (json!({"id": "s", "choices": [{"delta": {}, "message": {"content": "all of it again"}}]}), "", vec![]),
        (
            json!({"id": "s", "choices": [{"delta": {"tool_calls": [
                {"index": 2, "id": "c", "function": {"name": "f", "arguments": ""}},
                {"index": 3, "function": {"arguments": "{\"a"}},
            ]}}]}),
            "",
            vec![call(2, "c", "f", ""), call(3, "", "", "{\"a")],
        ),
    ];
    for (event, text, tool_calls) in table {
        let expected = Delta { id: "s".into(), text: text.into(), tool_calls };
        assert_eq!(delta(event.to_string().as_bytes()).unwrap(), expected, "{event}");
    }
}

#[test]
fn a_whole_answer_is_a_stream_of_one_message() {
    let message = json!({"content": "hi", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]});
    let only = only_message(&saying(&message), v1::Outcome::default()).unwrap();
    assert_eq!((only.id.as_str(), only.text_delta.as_str()), ("r1", "hi"));
    assert_eq!(only.tool_call_deltas[0].arguments_delta, "{}");
    assert_eq!(only.finish_reason(), v1::FinishReason::Stop);
    assert!(only.usage.is_some() && only.outcome.is_some());
}

fn embedded(data: &Value, asked: usize) -> Result<Vec<Vec<f32>>, Failure> {
    let answer =
        embeddings(&whole(&json!({"object": "list", "data": data}), Finish::Stop), asked, v1::Outcome::default())?;
    Ok(answer.embeddings.into_iter().map(|embedding| embedding.values).collect())
}

#[test]
fn embeddings_come_back_in_the_order_of_their_texts() {
    let numbers = json!([{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1.0, -2e-3]}]);
    assert_eq!(embedded(&numbers, 2).unwrap(), [vec![1.0, -0.002], vec![3.0, 4.5]]);
    let bytes: Vec<u8> = [0.25f32, -1.5].iter().flat_map(|float| float.to_le_bytes()).collect();
    let base64 = json!([{"embedding": STANDARD.encode(bytes)}, {"embedding": []}]);
    assert_eq!(embedded(&base64, 2).unwrap(), [vec![0.25, -1.5], vec![]]);
}

#[test]
fn embeddings_that_fit_no_text_are_no_answer() {
    let table = [
        (json!([{"index": 0, "embedding": [1]}]), 2),
        (json!([{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]), 2),
        (json!([{"index": 5, "embedding": [1]}]), 1),
        (json!([{"embedding": "!!"}]), 1),
        (json!([{"embedding": "AAAA"}]), 1),
        (json!([{"embedding": {"sparse": 1}}]), 1),
        (json!([{"embedding": null}]), 1),
        (json!(null), 0),
    ];
    for (data, asked) in table {
        assert_eq!(embedded(&data, asked).unwrap_err().kind, ErrorKind::InvalidResponse, "{data}");
    }
}

/// JSON that is like an answer here and there, and wrong elsewhere.
fn json_like_an_answer() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "id",
        "choices",
        "index",
        "message",
        "delta",
        "content",
        "refusal",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "text",
        "data",
        "embedding",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..6).prop_map(|map| {
                Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

fn read_in_every_way(body: &[u8]) {
    let whole = Whole { body: Bytes::copy_from_slice(body), finish: None, usage: None, model: None };
    let told = [
        completion(&whole, v1::Outcome::default()).err(),
        only_message(&whole, v1::Outcome::default()).err(),
        embeddings(&whole, 1, v1::Outcome::default()).err(),
        delta(body).err(),
    ];
    for failure in told.into_iter().flatten() {
        assert_eq!(failure.kind, ErrorKind::InvalidResponse);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        read_in_every_way(&body);
    }

    #[test]
    fn no_json_makes_the_reader_panic(body in json_like_an_answer()) {
        read_in_every_way(body.to_string().as_bytes());
    }
}
