use bytes::Bytes;
use fusebox_proto::v1::media::Source;
use prost_types::{ListValue, Struct, Value as PlainValue, value::Kind};
use serde_json::{Value, json};

use super::*;
use crate::chat::{parse::parse, request::Operation};

fn text(text: &str) -> v1::Part {
    v1::Part { kind: Some(PartKind::Text(text.to_owned())) }
}

fn png() -> v1::Part {
    let source = Some(Source::Data(Bytes::from_static(b"\x89PNG\r\n\x1a\n")));
    v1::Part { kind: Some(PartKind::Image(v1::Media { mime_type: String::new(), source })) }
}

fn says(role: Role, content: Vec<v1::Part>) -> v1::Message {
    v1::Message { role: role.into(), content, ..v1::Message::default() }
}

fn hello() -> v1::GenerateRequest {
    v1::GenerateRequest { messages: vec![says(Role::User, vec![text("hello")])], ..v1::GenerateRequest::default() }
}

fn tool(name: &str, parameters: &str) -> v1::Tool {
    v1::Tool { name: name.to_owned(), description: String::new(), parameters: parameters.to_owned() }
}

fn plain(kind: Kind) -> PlainValue {
    PlainValue { kind: Some(kind) }
}

fn extra(fields: Vec<(&str, Kind)>) -> Option<Struct> {
    Some(Struct { fields: fields.into_iter().map(|(key, kind)| (key.to_owned(), plain(kind))).collect() })
}

/// The document that `request` becomes, having passed the check that all requests must pass.
fn document(request: &v1::GenerateRequest, stream: bool) -> Value {
    let mut faults = Faults::default();
    let body = serde_json::to_vec(&chat(request, How { stream, bounds: Bounds::NONE }, &mut faults)).unwrap();
    assert_eq!(faults.paths(), <[&str; 0]>::default());
    let checked = parse(Operation::Chat, Bytes::from(body)).unwrap();
    assert_eq!(checked.stream, stream);
    assert_eq!(checked.model, request.model);
    assert_eq!(checked.max_tokens, request.sampling.as_ref().and_then(|sampling| sampling.max_tokens).map(u64::from));
    serde_json::from_slice(&checked.body).unwrap()
}

fn faults(request: &v1::GenerateRequest) -> Vec<String> {
    let mut faults = Faults::default();
    let body = serde_json::to_vec(&chat(request, How { stream: false, bounds: Bounds::NONE }, &mut faults)).unwrap();
    told(faults, Operation::Chat, body)
}

/// The places that the caller is told of, whether the door or the check of all requests noted them.
fn told(faults: Faults, operation: Operation, body: Vec<u8>) -> Vec<String> {
    let failure = faults.settle(operation, parse(operation, Bytes::from(body))).unwrap_err();
    failure.fields.into_iter().map(|fault| fault.path).collect()
}

#[test]
fn the_shortest_request_becomes_the_shortest_document() {
    assert_eq!(document(&hello(), false), json!({"messages": [{"role": "user", "content": "hello"}]}));
}

#[test]
fn a_stream_is_asked_for_with_its_usage() {
    let expected = json!({
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hello"}],
    });
    assert_eq!(document(&hello(), true), expected);
}

#[test]
fn every_field_finds_its_place() {
    let request = v1::GenerateRequest {
        model: "chat".to_owned(),
        messages: vec![
            says(Role::System, vec![text("be brief")]),
            v1::Message { name: "ann".to_owned(), ..says(Role::User, vec![text("what is"), text("this?"), png()]) },
            v1::Message {
                tool_calls: vec![
                    v1::ToolCall { id: "c1".into(), name: "look".into(), arguments: r#"{"at":"it"}"#.into() },
                    v1::ToolCall { id: "c2".into(), name: "wait".into(), arguments: String::new() },
                ],
                ..says(Role::Assistant, vec![])
            },
            v1::Message { tool_call_id: "c1".into(), ..says(Role::Tool, vec![text("a cat")]) },
            v1::Message { tool_call_id: "c2".into(), ..says(Role::Tool, vec![]) },
        ],
        sampling: Some(v1::Sampling {
            max_tokens: Some(7),
            temperature: Some(0.5),
            top_p: Some(1.0),
            stop: vec!["\n".into(), "END".into()],
            seed: Some(-3),
            frequency_penalty: Some(-2.0),
            presence_penalty: Some(2.0),
        }),
        response_format: Some(v1::ResponseFormat {
            kind: Some(FormatKind::JsonSchema(v1::JsonSchema {
                name: "reply".into(),
                schema: r#"{"type": "object"}"#.into(),
            })),
        }),
        tools: vec![
            v1::Tool { description: "looks".into(), ..tool("look", r#"{"type":"object","properties":{}}"#) },
            tool("wait", ""),
        ],
        tool_choice: "look".into(),
        options: None,
        extra: extra(vec![
            ("top_k", Kind::NumberValue(40.0)),
            ("min_p", Kind::NumberValue(0.05)),
            (
                "logit_bias",
                Kind::StructValue(Struct { fields: [("1".to_owned(), plain(Kind::NumberValue(-100.0)))].into() }),
            ),
            (
                "guided",
                Kind::ListValue(ListValue { values: vec![plain(Kind::BoolValue(true)), plain(Kind::NullValue(0))] }),
            ),
            ("user", Kind::StringValue("u-1".into())),
        ]),
    };
    let expected = json!({
        "model": "chat",
        "max_tokens": 7,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "what is"},
                {"type": "text", "text": "this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"it\"}"}},
                {"id": "c2", "type": "function", "function": {"name": "wait", "arguments": "{}"}},
            ]},
            {"role": "tool", "content": "a cat", "tool_call_id": "c1"},
            {"role": "tool", "content": "", "tool_call_id": "c2"},
        ],
        "temperature": 0.5,
        "top_p": 1.0,
        "stop": ["\n", "END"],
        "seed": -3,
        "frequency_penalty": -2.0,
        "presence_penalty": 2.0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "reply", "schema": {"type": "object"}}},
        "tools": [
            {"type": "function", "function": {
                "name": "look", "description": "looks", "parameters": {"type": "object", "properties": {}},
            }},
            {"type": "function", "function": {"name": "wait"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "top_k": 40,
        "min_p": 0.05,
        "logit_bias": {"1": -100},
        "guided": [true, null],
        "user": "u-1",
    });
    assert_eq!(document(&request, false), expected);
}

#[test]
fn a_json_answer_can_be_asked_for_without_a_schema() {
    let with = |kind| v1::GenerateRequest { response_format: Some(v1::ResponseFormat { kind }), ..hello() };
    let asked = document(&with(Some(FormatKind::JsonObject(true))), false);
    assert_eq!(asked["response_format"], json!({"type": "json_object"}));
    for kind in [None, Some(FormatKind::JsonObject(false))] {
        assert_eq!(document(&with(kind), false).get("response_format"), None);
    }
    let unnamed = v1::JsonSchema { name: String::new(), schema: "{}".into() };
    let asked = document(&with(Some(FormatKind::JsonSchema(unnamed))), false);
    assert_eq!(asked["response_format"]["json_schema"]["name"], "answer");
}

#[test]
fn a_choice_of_tools_is_a_word_or_a_tools_name() {
    let choosing = |choice: &str, tools: Vec<v1::Tool>| {
        let request = v1::GenerateRequest { tool_choice: choice.into(), tools, ..hello() };
        document(&request, false).get("tool_choice").cloned()
    };
    for word in ["auto", "none", "required"] {
        assert_eq!(choosing(word, vec![tool("look", "")]), Some(json!(word)));
    }
    assert_eq!(choosing("", vec![tool("look", "")]), None);
    assert_eq!(choosing("auto", vec![]), None, "no tools, no choice");
    assert_eq!(choosing("none", vec![]), None, "no tools, no choice");
}

#[test]
fn every_fault_of_a_message_is_named_where_it_is() {
    let call = || v1::ToolCall { id: "c".into(), name: "n".into(), arguments: "{}".into() };
    let image = |source| v1::Part { kind: Some(PartKind::Image(v1::Media { mime_type: "image/png".into(), source })) };
    let table: [(v1::Message, &[&str]); 21] = [
        (says(Role::Unspecified, vec![text("x")]), &["role"]),
        (v1::Message { role: 99, ..says(Role::User, vec![text("x")]) }, &["role"]),
        (says(Role::User, vec![]), &["content"]),
        (says(Role::System, vec![]), &["content"]),
        (says(Role::Assistant, vec![]), &["content"]),
        (says(Role::Tool, vec![text("x")]), &["tool_call_id"]),
        (v1::Message { tool_call_id: "c".into(), ..says(Role::User, vec![text("x")]) }, &["tool_call_id"]),
        (v1::Message { tool_calls: vec![call()], ..says(Role::User, vec![text("x")]) }, &["tool_calls"]),
        (
            v1::Message { tool_calls: vec![call(), v1::ToolCall::default()], ..says(Role::Assistant, vec![]) },
            &["tool_calls[1].id", "tool_calls[1].name"],
        ),
        (says(Role::User, vec![text("x"), v1::Part { kind: None }]), &["content[1]"]),
        (says(Role::User, vec![image(None)]), &["content[0].image"]),
        (says(Role::User, vec![image(Some(Source::Data(Bytes::new())))]), &["content[0].image.data"]),
        (
            says(Role::User, vec![image(Some(Source::Data(Bytes::from_static(b"GIF89a"))))]),
            &["content[0].image.mime_type"],
        ),
        (says(Role::System, vec![png()]), &["content[0].image"]),
        (says(Role::User, vec![text(" \n")]), &["content"]),
        (says(Role::User, vec![text(""), text("\u{0}")]), &["content"]),
        (v1::Message { tool_call_id: "never".into(), ..says(Role::Tool, vec![text("x")]) }, &["tool_call_id"]),
        (v1::Message { name: "n".repeat(257), ..says(Role::User, vec![text("x")]) }, &["name"]),
        (
            v1::Message {
                tool_calls: vec![v1::ToolCall { name: "n".repeat(257), ..call() }],
                ..says(Role::Assistant, vec![])
            },
            &["tool_calls[0].name"],
        ),
        (
            v1::Message {
                tool_calls: vec![v1::ToolCall { id: "i".repeat(16_385), ..call() }],
                ..says(Role::Assistant, vec![])
            },
            &["tool_calls[0].id"],
        ),
        (
            v1::Message {
                name: "n".repeat(257),
                ..says(Role::User, vec![image(None), text("x"), v1::Part { kind: None }])
            },
            &["content[0].image", "content[2]", "name"],
        ),
    ];
    for (message, expected) in table {
        let name = format!("{message:?}");
        let request = v1::GenerateRequest { messages: vec![says(Role::User, vec![text("x")]), message], ..hello() };
        let expected: Vec<_> = expected.iter().map(|path| format!("messages[1].{path}")).collect();
        assert_eq!(faults(&request), expected, "{name}");
    }
}

#[test]
fn every_fault_outside_the_messages_is_named_where_it_is() {
    let sampling = |sampling| v1::GenerateRequest { sampling: Some(sampling), ..hello() };
    let none = v1::Sampling::default;
    let schema = |schema: &str| v1::GenerateRequest {
        response_format: Some(v1::ResponseFormat {
            kind: Some(FormatKind::JsonSchema(v1::JsonSchema { name: "n".into(), schema: schema.into() })),
        }),
        ..hello()
    };
    let tools = |tools| v1::GenerateRequest { tools, ..hello() };
    let choice = |choice: &str| v1::GenerateRequest { tool_choice: choice.into(), ..tools(vec![tool("look", "")]) };
    let more = |key, kind| v1::GenerateRequest { extra: extra(vec![(key, kind)]), ..hello() };
    let bias = |token: &str, by| {
        Kind::StructValue(Struct { fields: [(token.to_owned(), plain(Kind::NumberValue(by)))].into() })
    };
    let nan_inside = Kind::ListValue(ListValue { values: vec![plain(Kind::NumberValue(f64::NAN))] });
    let table = [
        (v1::GenerateRequest { messages: vec![], ..hello() }, "messages"),
        (sampling(v1::Sampling { max_tokens: Some(0), ..none() }), "sampling.max_tokens"),
        (sampling(v1::Sampling { temperature: Some(2.1), ..none() }), "sampling.temperature"),
        (sampling(v1::Sampling { temperature: Some(-0.1), ..none() }), "sampling.temperature"),
        (sampling(v1::Sampling { temperature: Some(f64::NAN), ..none() }), "sampling.temperature"),
        (sampling(v1::Sampling { top_p: Some(f64::INFINITY), ..none() }), "sampling.top_p"),
        (sampling(v1::Sampling { frequency_penalty: Some(-2.5), ..none() }), "sampling.frequency_penalty"),
        (sampling(v1::Sampling { presence_penalty: Some(2.5), ..none() }), "sampling.presence_penalty"),
        (sampling(v1::Sampling { stop: vec!["a".into(), String::new()], ..none() }), "sampling.stop[1]"),
        (schema("{\"type\": "), "response_format.json_schema.schema"),
        (schema(""), "response_format.json_schema.schema"),
        (schema("true"), "response_format.json_schema.schema"),
        (tools(vec![tool("", "")]), "tools[0].name"),
        (tools(vec![tool("a", ""), tool("a", "")]), "tools[1].name"),
        (tools(vec![tool("a", "not json")]), "tools[0].parameters"),
        (tools(vec![tool("a", "[]")]), "tools[0].parameters"),
        (choice("lok"), "tool_choice"),
        (choice("AUTO"), "tool_choice"),
        (v1::GenerateRequest { tool_choice: "required".into(), ..hello() }, "tool_choice"),
        (v1::GenerateRequest { tool_choice: "look".into(), ..hello() }, "tool_choice"),
        (more("temperature", Kind::NumberValue(1.0)), "extra.temperature"),
        (more("stream", Kind::BoolValue(true)), "extra.stream"),
        (more("n", Kind::NumberValue(2.0)), "extra.n"),
        (more("top_k", Kind::NumberValue(f64::NAN)), "extra.top_k"),
        (more("deep", nan_inside), "extra.deep"),
        (more("user", Kind::NumberValue(7.0)), "extra.user"),
        (more("logit_bias", bias("12", 101.0)), "extra.logit_bias.12"),
        (more("logit_bias", bias("twelve", 1.0)), "extra.logit_bias.twelve"),
        (more("top_logprobs", Kind::NumberValue(2.0)), "extra.top_logprobs"),
        (tools(vec![tool(&"n".repeat(257), "")]), "tools[0].name"),
        (tools(vec![tool("a", &format!("{{\"a\":{}{}}}", "[".repeat(101), "]".repeat(101)))]), "tools[0].parameters.a"),
        (v1::GenerateRequest { model: "m".repeat(1025), ..hello() }, "model"),
    ];
    for (request, path) in table {
        assert_eq!(faults(&request), [path], "{request:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let request = v1::GenerateRequest {
        messages: vec![says(Role::Unspecified, vec![])],
        sampling: Some(v1::Sampling { max_tokens: Some(0), top_p: Some(7.0), ..v1::Sampling::default() }),
        tools: vec![tool("", "{")],
        tool_choice: "other".into(),
        ..hello()
    };
    let expected = [
        "messages[0].role",
        "messages[0].content",
        "sampling.max_tokens",
        "sampling.top_p",
        "tools[0].name",
        "tools[0].parameters",
        "tool_choice",
    ];
    assert_eq!(faults(&request), expected);
}

#[test]
fn texts_to_embed_become_openais_input() {
    let request =
        v1::EmbedRequest { model: "e".into(), inputs: vec!["a".into(), "b\n".into()], ..v1::EmbedRequest::default() };
    let mut faults = Faults::default();
    let body = serde_json::to_vec(&embeddings(&request, &mut faults)).unwrap();
    assert_eq!(faults.paths(), <[&str; 0]>::default());
    let checked = parse(Operation::Embed, Bytes::from(body)).unwrap();
    let document: Value = serde_json::from_slice(&checked.body).unwrap();
    assert_eq!(document, json!({"model": "e", "encoding_format": "float", "input": ["a", "b\n"]}));
}

#[test]
fn there_must_be_something_to_embed() {
    let faults = |inputs: Vec<String>| {
        let request = v1::EmbedRequest { inputs, ..v1::EmbedRequest::default() };
        let mut faults = Faults::default();
        let body = serde_json::to_vec(&embeddings(&request, &mut faults)).unwrap();
        told(faults, Operation::Embed, body)
    };
    assert_eq!(faults(vec![]), ["inputs"]);
    assert_eq!(faults(vec![String::new(), "a".into(), String::new()]), ["inputs[0]", "inputs[2]"]);
}
