//! What is wrong with a request is told whole and where it stands, and no provider hears of it; what can be mended is.

use bytes::Bytes;
use fusebox_proto::v1::{
    EmbedRequest, GenerateRequest, JsonSchema, Media, Message, Part, ResponseFormat, Role, Sampling, Tool, ToolCall,
    media::Source, part, response_format,
};
use fusebox_tests::{
    client::{
        Told,
        grpc::{ask, message, text_of},
        told,
    },
    provider::{Provider, act::tokens},
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};
use tonic::Status;

use crate::reload::until_models;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG_BASE64: &str = "iVBORw0KGgo=";

async fn start(provider: &Provider) -> Sidecar {
    let bounds = json!({"max_input_chars": 100, "max_image_bytes": "1KiB", "max_document_bytes": "2KiB"});
    Sidecar::start(Config::one(provider).with(json!({"validation": bounds}))).await
}

/// A chat of one user's message with this content.
fn says(content: Value) -> Value {
    json!({"model": "chat", "messages": [{"role": "user", "content": content}]})
}

/// A chat with these fields beside its message.
fn with(fields: Value) -> Value {
    let mut body = says(json!("x"));
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

fn image(url: &str) -> Value {
    says(json!([{"type": "image_url", "image_url": {"url": url}}]))
}

fn file(data: &str) -> Value {
    says(json!([{"type": "file", "file": {"filename": "a.pdf", "file_data": data}}]))
}

#[tokio::test]
async fn a_bad_request_is_told_every_fault_over_http_and_reaches_no_provider() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let part = "messages[0].content[0]";
    let (url, data) = (format!("{part}.image_url.url"), format!("{part}.file.file_data"));
    let large = format!("data:image/png;base64,{PNG_BASE64}").replace('=', &"A".repeat(2_000));
    let chats: Vec<(Value, Vec<&str>)> = vec![
        (json!({}), vec!["messages"]),
        (says(json!("")), vec!["messages[0].content"]),
        (says(json!(" \u{0}\n")), vec!["messages[0].content"]),
        (says(json!("x".repeat(101))), vec!["messages"]),
        (image(&format!("data:image/jpeg;base64,{PNG_BASE64}")), vec![&url]),
        (image("data:image/png;base64,iVBO*w0KGgo="), vec![&url]),
        (image(&large), vec![&url]),
        (image("iVBORw0KGgo="), vec![&url]),
        (file(&format!("data:application/pdf;base64,{PNG_BASE64}")), vec![&data]),
        (file("%PDF-1.7"), vec![&data]),
        (with(json!({"logit_bias": {"cat": 1, "7": 101}})), vec!["logit_bias.7", "logit_bias.cat"]),
        (
            with(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
            vec!["tool_choice.function.name"],
        ),
        (with(json!({"response_format": {"type": "json_schema"}})), vec!["response_format.json_schema"]),
        (with(json!({"stop": ["", "a"], "n": 0, "user": 7, "top_p": 2})), vec!["n", "stop[0]", "top_p", "user"]),
        (
            json!({"messages": [
                {"role": "tool", "tool_call_id": "c9", "content": "x"}, {"role": "robot", "content": "x"}, {"role": "user"},
            ], "temperature": "hot", "tools": [{"type": "function", "function": {"name": ""}}]}),
            vec![
                "messages[0].tool_call_id",
                "messages[1].role",
                "messages[2].content",
                "temperature",
                "tools[0].function.name",
            ],
        ),
    ];
    let completions = vec![
        (json!({"prompt": " "}), vec!["prompt"]),
        (json!({"prompt": ["a", 1], "best_of": 1, "n": 2}), vec!["best_of", "prompt"]),
        (json!({"prompt": "x".repeat(101)}), vec!["prompt"]),
    ];
    let embeddings = vec![
        (json!({"input": []}), vec!["input"]),
        (json!({"input": ["a", "", "\u{1}"]}), vec!["input[1]", "input[2]"]),
        (json!({"input": ["x".repeat(60), "y".repeat(41)], "dimensions": 0}), vec!["dimensions", "input"]),
    ];
    let endpoints = [("/v1/chat/completions", chats), ("/v1/completions", completions), ("/v1/embeddings", embeddings)];
    for (path, table) in endpoints {
        for (body, expected) in table {
            for stream in [false, true] {
                let mut body = body.clone();
                if path != "/v1/embeddings" {
                    body["stream"] = json!(stream);
                }
                let answer = sidecar.http().post(path, &body).send().await;
                assert_eq!(answer.status, 422, "{body}: {}", answer.text());
                let error = answer.error();
                let mut paths: Vec<&str> =
                    error["field_errors"].as_object().unwrap().keys().map(String::as_str).collect();
                paths.sort_unstable();
                assert_eq!(paths, expected, "{body}: {error}");
                assert_eq!((&error["type"], &error["retryable"]), (&json!("invalid_input"), &json!(false)));
                assert_eq!(answer.header("x-fusebox-attempts"), Some("0"));
            }
        }
    }
    let both = sidecar.http().chat(&json!({"messages": 7})).header("x-fusebox-cache", "maybe").send().await;
    assert_eq!(both.error()["field_errors"].as_object().unwrap().len(), 2, "{}", both.text());
    assert_eq!(provider.calls(), 0, "an invalid request reaches no provider");
    assert_eq!(sidecar.http().chat(&says(json!("x".repeat(100)))).send().await.status, 200);
}

fn media(mime: &str, source: Source) -> Part {
    Part { kind: Some(part::Kind::Image(Media { mime_type: mime.into(), source: Some(source) })) }
}

fn bytes(mime: &str, data: impl Into<Bytes>) -> Part {
    media(mime, Source::Data(data.into()))
}

fn of(messages: Vec<Message>) -> GenerateRequest {
    GenerateRequest { messages, ..GenerateRequest::default() }
}

fn parts(content: Vec<Part>) -> GenerateRequest {
    of(vec![Message { role: Role::User.into(), content, ..Message::default() }])
}

fn paths(status: &Status) -> Vec<String> {
    let Told { kind, fields, outcome, retryable, .. } = told(status);
    assert_eq!((kind.as_str(), retryable.as_deref()), ("invalid_input", Some("false")), "{status:?}");
    assert!(outcome.unwrap().attempts.is_empty());
    assert!(fields.iter().all(|(_, said)| !said.is_empty()));
    let mut paths: Vec<_> = fields.into_iter().map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn a_bad_request_is_told_every_fault_over_grpc_and_reaches_no_provider() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let mut client = sidecar.grpc().await;
    let tool =
        |name: &str, parameters: &str| Tool { name: name.into(), parameters: parameters.into(), ..Tool::default() };
    let schema = |schema: &str| ResponseFormat {
        kind: Some(response_format::Kind::JsonSchema(JsonSchema { schema: schema.into(), ..JsonSchema::default() })),
    };
    let answer = Message { tool_call_id: "c9".into(), ..message(Role::Tool, "x") };
    let call = ToolCall { id: "c1".into(), ..ToolCall::default() };
    let image = "messages[0].content[0].image";
    let table: Vec<(GenerateRequest, Vec<String>)> = vec![
        (of(vec![]), vec!["messages".into()]),
        (ask(""), vec!["messages[0].content".into()]),
        (ask("\u{0} \u{7f}"), vec!["messages[0].content".into()]),
        (ask(&"x".repeat(101)), vec!["messages".into()]),
        (parts(vec![bytes("image/jpeg", PNG)]), vec![format!("{image}.mime_type")]),
        (parts(vec![bytes("", b"what is this".as_slice())]), vec![format!("{image}.mime_type")]),
        (parts(vec![bytes("image/png", [PNG, &[0; 1017]].concat())]), vec![format!("{image}.data")]),
        (parts(vec![bytes("", [b"%PDF-".as_slice(), &[0; 2044]].concat())]), vec![format!("{image}.data")]),
        (
            parts(vec![media("", Source::Uri("data:image/png;base64,iV*ORw0KGgo=".into()))]),
            vec![format!("{image}.uri")],
        ),
        (
            GenerateRequest { tools: vec![tool("f", "{"), tool("f", "")], tool_choice: "g".into(), ..ask("x") },
            vec!["tool_choice".into(), "tools[0].parameters".into(), "tools[1].name".into()],
        ),
        (
            GenerateRequest { response_format: Some(schema("")), model: "m".repeat(2_000), ..ask("x") },
            vec!["model".into(), "response_format.json_schema.schema".into()],
        ),
        (
            GenerateRequest {
                sampling: Some(Sampling {
                    temperature: Some(9.0),
                    stop: vec!["a".into(), String::new()],
                    ..Sampling::default()
                }),
                ..of(vec![
                    answer,
                    Message { role: 77, ..message(Role::User, "x") },
                    Message { tool_calls: vec![call], ..message(Role::Assistant, "") },
                    message(Role::User, " "),
                ])
            },
            [
                "messages[0].tool_call_id",
                "messages[1].role",
                "messages[2].tool_calls[0].name",
                "messages[3].content",
                "sampling.stop[1]",
                "sampling.temperature",
            ]
            .map(String::from)
            .into(),
        ),
    ];
    for (request, expected) in table {
        let whole = client.generate(request.clone()).await.unwrap_err();
        assert_eq!(paths(&whole), expected, "{request:?}");
        let streamed = client.stream_generate(request.clone()).await.unwrap_err();
        assert_eq!(paths(&streamed), expected, "{request:?}");
    }
    let embed = |inputs: &[&str]| EmbedRequest {
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        ..EmbedRequest::default()
    };
    let long = "x".repeat(101);
    let table: [(&[&str], &[&str]); 3] =
        [(&[], &["inputs"]), (&["a", "", "\u{1}"], &["inputs[1]", "inputs[2]"]), (&[&long], &["inputs"])];
    for (inputs, expected) in table {
        let status = client.embed(embed(inputs)).await.unwrap_err();
        assert_eq!(paths(&status), expected, "{inputs:?}");
    }
    assert_eq!(provider.calls(), 0, "an invalid request reaches no provider");
    assert!(client.generate(ask(&"x".repeat(100))).await.is_ok());
}

#[tokio::test]
async fn control_characters_are_taken_out_with_a_warning_through_both_doors() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let body = |stream: bool| {
        format!(
            r#"{{ "model":"chat","stream":{stream},"x":1.50,"messages":[{{"role":"user","content":"a\u0000b\u001b[0m \ud83d\n"}}]}}"#
        )
    };
    for stream in [false, true] {
        let answer = sidecar.http().post_raw("/v1/chat/completions", body(stream)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let warning = answer.header("x-fusebox-warning").expect("a warning");
        assert!(warning.starts_with("3 control or broken characters were taken out"), "{warning}");
        let seen = provider.seen().pop().unwrap();
        let expected = body(stream)
            .replace(r"\u0000", "")
            .replace(r"\u001b", "")
            .replace(r"\ud83d", "")
            .replace("\"chat\"", "\"served-a\"");
        let sent = String::from_utf8(seen.raw.to_vec()).unwrap();
        // The sidecar asks streams for their usage; that aside, not a byte beside the characters has changed.
        if stream { assert!(sent.contains("\"content\":\"ab[0m \\n\"")) } else { assert_eq!(sent, expected) }
    }
    let mut client = sidecar.grpc().await;
    let answer = client.generate(ask("a\u{0}b\u{7f}\tc")).await.unwrap().into_inner();
    assert!(!text_of(&answer.message.clone().unwrap()).is_empty());
    let warnings = answer.outcome.unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].starts_with("2 control or broken characters"), "{warnings:?}");
    assert_eq!(provider.seen().pop().unwrap().body["messages"][0]["content"], "ab\tc");
    let mut stream = client.stream_generate(ask("a\u{0}")).await.unwrap().into_inner();
    let mut last = None;
    while let Some(next) = stream.message().await.unwrap() {
        last = Some(next);
    }
    assert_eq!(last.unwrap().outcome.unwrap().warnings.len(), 1);
    assert_eq!(provider.seen().pop().unwrap().body["messages"][0]["content"], "a");

    let answer = sidecar.http().post_raw("/v1/embeddings", r#"{"model":"chat","input":["a\u0000","b"]}"#).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(provider.seen().pop().unwrap().body["input"], json!(["a", "b"]));
    let answer = sidecar.http().chat(&says(json!("plain"))).send().await;
    assert_eq!(answer.header("x-fusebox-warning"), None);
}

#[tokio::test]
async fn good_images_and_documents_reach_the_provider_through_both_doors() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let url = format!("data:image/png;base64,{PNG_BASE64}");
    for body in [
        image(&url),
        image("https://example.com/cat.png"),
        file("data:application/pdf;base64,JVBERi0xLjc="),
        file("JVBERi0xLjc="),
        says(json!([{"type": "input_audio", "input_audio": {"data": "*", "format": "wav"}}])),
    ] {
        let answer = sidecar.http().chat(&body).send().await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert_eq!(provider.seen().pop().unwrap().body["messages"], body["messages"]);
    }
    let mut client = sidecar.grpc().await;
    client.generate(parts(vec![bytes("", PNG), bytes("", b"%PDF-1.7".as_slice())])).await.unwrap();
    let content = provider.seen().pop().unwrap().body["messages"][0]["content"].clone();
    assert_eq!(content[0]["image_url"]["url"], url);
    assert_eq!(content[1]["file"]["file_data"], "data:application/pdf;base64,JVBERi0xLjc=");
}

#[tokio::test]
async fn the_bounds_of_a_request_follow_the_configuration() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let long = says(json!("x".repeat(101)));
    assert_eq!(sidecar.http().chat(&long).send().await.status, 422);
    let wider = json!({"validation": {"max_input_chars": 101}});
    sidecar.rewrite(&Config::one(&provider).with(wider).model("second", &["a"]));
    until_models(sidecar.http(), &["chat", "second"]).await;
    assert_eq!(sidecar.http().chat(&long).send().await.status, 200);
    assert!(sidecar.grpc().await.generate(ask(&"x".repeat(101))).await.is_ok());
}
