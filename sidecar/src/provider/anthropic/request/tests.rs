use fusebox_rules::error::FailOver;
use proptest::prelude::*;

use super::*;

fn ask(document: &Value) -> Request {
    Request {
        operation: Operation::Chat,
        body: document.to_string().into(),
        model: String::new(),
        model_span: None,
        stream: document["stream"] == true,
        choices: document["n"].as_u64().map_or(1, |n| u32::try_from(n).unwrap()),
        max_tokens: document["max_tokens"].as_u64(),
        max_tokens_span: None,
        formats: crate::chat::request::Formats::default(),
        removed: 0,
        aside: None,
        may_be_empty: false,
    }
}

fn translated(document: &Value) -> (Value, Vec<String>) {
    let translated = translate(&ask(document), "claude", None).unwrap();
    (serde_json::from_slice(&translated.body).unwrap(), translated.warnings)
}

/// The turns that `messages` become, and the system prompt.
fn turns(messages: &Value) -> (Value, Value) {
    let (body, warnings) = translated(&json!({ "messages": messages }));
    assert_eq!(warnings, [""; 0]);
    (body["messages"].clone(), body["system"].clone())
}

fn user(text: &str) -> Value {
    json!({ "role": "user", "content": text })
}

#[test]
fn a_plain_question_becomes_a_message() {
    let (body, warnings) = translated(&json!({
        "model": "chat", "messages": [user("hi")], "temperature": 0.5, "stop": "END", "user": "u1", "stream": true,
        "stream_options": { "include_usage": true },
    }));
    assert_eq!(
        body,
        json!({
            "model": "claude",
            "max_tokens": 4096,
            "stream": true,
            "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }],
            "temperature": 0.5,
            "stop_sequences": ["END"],
            "metadata": { "user_id": "u1" },
        })
    );
    assert!(warnings.is_empty());
}

#[test]
fn messages_become_turns() {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let turn = |role: &str, blocks: &[Value]| json!({ "role": role, "content": blocks });
    let table = [
        (
            "system and developer messages are joined",
            json!([
                { "role": "system", "content": "Be brief." },
                user("a"),
                { "role": "developer", "content": [{ "type": "text", "text": "Be kind." }] },
            ]),
            json!([turn("user", &[text("a")])]),
            json!("Be brief.\n\nBe kind."),
        ),
        (
            "messages of one role are one turn",
            json!([user("a"), user("b"), { "role": "assistant", "content": "c" }, { "role": "assistant", "content": "d" }]),
            json!([turn("user", &[text("a"), text("b")]), turn("assistant", &[text("c"), text("d")])]),
            Value::Null,
        ),
        (
            "empty text is left out",
            json!([user(" \n"), user("a"), { "role": "assistant", "content": null }, { "role": "assistant", "content": "" }, user("b")]),
            json!([turn("user", &[text("a"), text("b")])]),
            Value::Null,
        ),
        (
            "a system prompt alone is asked",
            json!([{ "role": "system", "content": "Say hi." }]),
            json!([turn("user", &[text("Say hi.")])]),
            Value::Null,
        ),
        (
            "the user opens",
            json!([{ "role": "assistant", "content": "Hello." }, user("a")]),
            json!([turn("user", &[text("Go on.")]), turn("assistant", &[text("Hello.")]), turn("user", &[text("a")])]),
            Value::Null,
        ),
        (
            "a turn to be continued ends in no white space",
            json!([user("a"), { "role": "assistant", "content": "The answer is \n" }]),
            json!([turn("user", &[text("a")]), turn("assistant", &[text("The answer is")])]),
            Value::Null,
        ),
        (
            "what is marked for caching stays apart and marked",
            json!([
                { "role": "system", "content": [{ "type": "text", "text": "Long.", "cache_control": { "type": "ephemeral" } }] },
                { "role": "system", "content": "Short." },
                user("a"),
            ]),
            json!([turn("user", &[text("a")])]),
            json!([{ "type": "text", "text": "Long.", "cache_control": { "type": "ephemeral" } }, text("Short.")]),
        ),
    ];
    for (what, messages, expected, system) in table {
        assert_eq!(turns(&messages), (expected, system), "{what}");
    }
}

#[test]
fn images_and_documents_become_sources() {
    let image =
        |url: &str| json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }]);
    let base64 = |kind: &str, data: &str| json!({ "type": "base64", "media_type": kind, "data": data });
    let table = [
        (image("data:image/png;base64,AAAA"), "image", base64("image/png", "AAAA")),
        (image("data:IMAGE/JPG;base64,AAAA"), "image", base64("image/jpeg", "AAAA")),
        (image("data:image/webp;name=a;base64,AAAA"), "image", base64("image/webp", "AAAA")),
        (image("https://example.com/a.png"), "image", json!({ "type": "url", "url": "https://example.com/a.png" })),
        (
            json!([{ "role": "user", "content": [{ "type": "file", "file": { "file_data": "data:application/pdf;base64,JVBE" } }] }]),
            "document",
            base64("application/pdf", "JVBE"),
        ),
    ];
    for (messages, kind, source) in table {
        assert_eq!(turns(&messages).0[0]["content"], json!([{ "type": kind, "source": source }]), "{messages}");
    }
}

#[test]
fn tools_and_their_calls_and_results_go_there() {
    let schema =
        json!({ "type": "object", "properties": { "zone": { "type": "string" }, "at": { "type": "string" } } });
    let (body, warnings) = translated(&json!({
        "messages": [
            user("time?"),
            { "role": "assistant", "content": "Let me see.", "tool_calls": [
                { "id": "call_1", "type": "function", "function": { "name": "time", "arguments": "{\"zone\":\"CET\",\"at\":\"now\"}" } },
                { "id": "functions.time:1", "type": "function", "function": { "name": "time", "arguments": "" } },
            ] },
            { "role": "tool", "tool_call_id": "call_1", "content": "12:00" },
            { "role": "tool", "tool_call_id": "functions.time:1", "content": "" },
            user("thanks"),
        ],
        "tools": [{ "type": "function", "function": { "name": "time", "description": "Tells it", "parameters": schema } },
                  { "type": "function", "function": { "name": "stop" } },
                  { "type": "web_search_20250305", "name": "web_search" }],
        "tool_choice": "required",
        "parallel_tool_calls": false,
    }));
    assert_eq!(
        body["messages"],
        json!([
            { "role": "user", "content": [{ "type": "text", "text": "time?" }] },
            { "role": "assistant", "content": [
                { "type": "text", "text": "Let me see." },
                { "type": "tool_use", "id": "call_1", "name": "time", "input": { "zone": "CET", "at": "now" } },
                { "type": "tool_use", "id": "functions_time_1", "name": "time", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call_1", "content": [{ "type": "text", "text": "12:00" }] },
                { "type": "tool_result", "tool_use_id": "functions_time_1" },
                { "type": "text", "text": "thanks" },
            ] },
        ])
    );
    assert_eq!(
        body["tools"],
        json!([
            { "name": "time", "input_schema": schema, "description": "Tells it" },
            { "name": "stop", "input_schema": { "type": "object" } },
            { "type": "web_search_20250305", "name": "web_search" },
        ])
    );
    assert_eq!(body["tool_choice"], json!({ "type": "any", "disable_parallel_tool_use": true }));
    assert!(warnings.is_empty(), "{warnings:?}");
    let text = body.to_string();
    assert!(text.find("\"zone\"") < text.find("\"at\""), "a schema's order is part of what it says");
}

#[test]
fn a_choice_among_tools_is_renamed() {
    let table = [
        (json!("auto"), Value::Null, json!({ "type": "auto" })),
        (json!("none"), json!(false), json!({ "type": "none" })),
        (json!("required"), json!(true), json!({ "type": "any" })),
        (
            json!({ "type": "function", "function": { "name": "time" } }),
            Value::Null,
            json!({ "type": "tool", "name": "time" }),
        ),
        (Value::Null, Value::Null, Value::Null),
        (Value::Null, json!(false), json!({ "type": "auto", "disable_parallel_tool_use": true })),
    ];
    for (choice, parallel, expected) in table {
        let tool = json!({ "type": "function", "function": { "name": "time" } });
        let (body, _) = translated(&json!({
            "messages": [user("a")], "tools": [tool], "tool_choice": choice, "parallel_tool_calls": parallel,
        }));
        assert_eq!(body["tool_choice"], expected, "{choice} {parallel}");
    }
    let (body, _) = translated(&json!({ "messages": [user("a")], "tool_choice": "auto" }));
    assert_eq!(body.get("tool_choice"), None, "no tools, no choice");
}

#[test]
fn tools_that_only_the_history_knows_are_declared_and_not_called() {
    let (body, _) = translated(&json!({ "messages": [
        user("a"),
        { "role": "assistant", "tool_calls": [{ "id": "1", "type": "function", "function": { "name": "time", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "1", "content": "12" },
    ] }));
    assert_eq!(body["tools"], json!([{ "name": "time", "input_schema": { "type": "object" } }]));
    assert_eq!(body["tool_choice"], json!({ "type": "none" }));
}

#[test]
fn a_format_becomes_an_instruction_at_the_end_of_the_system_prompt() {
    let system = |format: Value| {
        let messages = json!([{ "role": "system", "content": "Be brief." }, user("a")]);
        translated(&json!({ "messages": messages, "response_format": format })).0["system"].as_str().unwrap().to_owned()
    };
    assert_eq!(system(json!({ "type": "text" })), "Be brief.");
    assert!(system(json!({ "type": "json_object" })).starts_with("Be brief.\n\nAnswer with one JSON document"));
    let schema = json!({ "type": "object", "required": ["a"] });
    let told = system(json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } }));
    assert!(told.ends_with(&schema.to_string()), "{told}");
}

#[test]
fn what_the_api_lacks_is_left_out_and_said_so() {
    let table = [
        (json!({ "seed": 1, "logprobs": true }), Some("like it: logprobs, seed")),
        (json!({ "reasoning_effort": "high" }), Some("reasoning_effort")),
        (json!({ "temperature": 1.7 }), Some("temperature 1.7")),
        (json!({ "temperature": 0.5, "top_p": 0.5 }), Some("top_p")),
        (json!({ "temperature": 0.5, "top_p": 1 }), None),
        (json!({ "stop": ["a", "\n"] }), Some("stop sequences")),
        (json!({ "frequency_penalty": 0, "logit_bias": {}, "logprobs": false, "seed": null, "n": 1 }), None),
        (json!({ "store": true, "metadata": { "a": "b" }, "service_tier": "auto", "simulate": { "fail": "x" } }), None),
        (json!({ "messages": [{ "role": "user", "content": "a", "name": "Ann" }] }), Some("names")),
        (json!({ "tools": [{ "type": "function", "function": { "name": "f", "strict": true } }] }), Some("strict")),
        (
            json!({ "messages": [user("a"), { "role": "assistant", "tool_calls": [
                { "id": "1", "type": "function", "function": { "name": "f", "arguments": "[1" } }] }] }),
            Some("arguments"),
        ),
    ];
    for (fields, expected) in table {
        let mut document = json!({ "messages": [user("a")] });
        document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (_, warnings) = translated(&document);
        match expected {
            Some(words) => assert!(matches!(&warnings[..], [one] if one.contains(words)), "{fields}: {warnings:?}"),
            None => assert_eq!(warnings, [""; 0], "{fields}"),
        }
    }
}

#[test]
fn many_fields_left_out_are_one_short_warning() {
    let mut document = json!({ "messages": [user("a")] });
    for number in 0..1000 {
        document[format!("field{number}")] = 1.into();
    }
    let (_, warnings) = translated(&document);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].ends_with(" and 984 more"), "{warnings:?}");
}

#[test]
fn fields_of_the_apis_own_pass_on() {
    let (body, warnings) = translated(
        &json!({ "messages": [user("a")], "top_k": 5, "thinking": { "type": "enabled", "budget_tokens": 1024 } }),
    );
    assert_eq!((&body["top_k"], &body["thinking"]["budget_tokens"]), (&json!(5), &json!(1024)));
    assert!(warnings.is_empty());
}

#[test]
fn the_number_of_tokens_comes_from_the_call_then_the_caller_then_here() {
    let limit = |document: &Value, of_the_call| {
        let body = translate(&ask(document), "claude", of_the_call).unwrap().body;
        serde_json::from_slice::<Value>(&body).unwrap()["max_tokens"].as_u64().unwrap()
    };
    let messages = json!([user("a")]);
    assert_eq!(limit(&json!({ "messages": messages }), None), DEFAULT_MAX_TOKENS);
    assert_eq!(limit(&json!({ "messages": messages, "max_tokens": 10 }), None), 10);
    assert_eq!(limit(&json!({ "messages": messages, "max_tokens": 10 }), Some(5)), 5);
    assert_eq!(limit(&json!({ "messages": messages, "max_tokens": 0 }), None), 1);
}

#[test]
fn what_cannot_be_left_out_makes_the_request_one_for_somebody_else() {
    let content = |part: Value| json!({ "messages": [{ "role": "user", "content": [part] }] });
    let table = [
        (json!({ "messages": [user("a")], "n": 2 }), "more than one choice"),
        (json!({ "messages": [user("a")], "modalities": ["text", "audio"] }), "audio"),
        (json!({ "messages": [user("a")], "functions": [{ "name": "f" }] }), "functions"),
        (
            json!({ "messages": [user("a")], "tools": [{ "type": "custom", "custom": { "name": "f" } }] }),
            "not functions",
        ),
        (content(json!({ "type": "input_audio", "input_audio": {} })), "input_audio"),
        (content(json!({ "type": "image_url", "image_url": { "url": "gs://bucket/a" } })), "images"),
        (content(json!({ "type": "file", "file": { "file_id": "f1" } })), "files"),
        (json!({ "messages": [{ "role": "function", "name": "f", "content": "1" }] }), "function"),
        (json!({ "messages": "hi" }), "list of messages"),
        (json!([]), "JSON object"),
    ];
    for (document, words) in table {
        let refused = translate(&ask(&document), "claude", None).unwrap_err();
        assert!(refused.what.contains(words), "{document}: {refused}");
        let failure = refused.failure();
        assert!(failure.unasked && failure.kind.row().fail_over == FailOver::Yes, "{failure:?}");
    }
    let embed = Request { operation: Operation::Embed, ..ask(&json!({ "input": "a" })) };
    assert_eq!(translate(&embed, "claude", None).unwrap_err().what, "embeddings requests");
}

/// JSON of any shape, with the names that mean something in likely places.
fn document() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "messages",
        "role",
        "content",
        "type",
        "text",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "id",
        "image_url",
        "url",
        "file",
        "tools",
        "tool_choice",
        "parameters",
        "stop",
        "response_format",
        "json_schema",
        "cache_control",
        "stream_options",
        "thinking",
        "user",
        "modalities",
    ]);
    let word = prop::sample::select(vec![
        "user",
        "assistant",
        "system",
        "tool",
        "text",
        "image_url",
        "file",
        "function",
        "data:image/png;base64,",
        "{}",
        "json_schema",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from)
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_document_is_too_strange(messages in prop::collection::vec(document(), 0..4), more in document()) {
        let mut strange = json!({ "messages": messages });
        if let Value::Object(fields) = more {
            strange.as_object_mut().unwrap().extend(fields);
        }
        let mut request = ask(&json!({}));
        request.body = strange.to_string().into();
        if let Ok(translated) = translate(&request, "claude", None) {
            let body: Value = serde_json::from_slice(&translated.body).unwrap();
            let turns = body["messages"].as_array().unwrap();
            prop_assert_eq!(&turns[0]["role"], "user");
            for pair in turns.windows(2) {
                prop_assert_ne!(&pair[0]["role"], &pair[1]["role"]);
            }
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut request = ask(&json!({}));
        request.body = body.into();
        let _ = translate(&request, "claude", None);
    }
}
