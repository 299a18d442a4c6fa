use std::{future::poll_fn, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;
use crate::{
    call::TraceContext,
    chat::{
        answer::{Chunk, Finish},
        request::{Operation, Request},
    },
    config::ProviderKind,
    error::ErrorKind,
    provider::fixture,
};

/// Serves one connection, on which `response` answers the first request; gives what it was asked.
async fn serve(response: String) -> (Anthropic, JoinHandle<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    #[allow(clippy::disallowed_methods, reason = "the test waits for it")]
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        loop {
            connection.read_buf(&mut read).await.unwrap();
            let text = String::from_utf8_lossy(&read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            if let Ok(document) = serde_json::from_str(body) {
                let head = head.to_owned();
                connection.write_all(response.as_bytes()).await.unwrap();
                return (head, document);
            }
        }
    });
    let provider = fixture::provider(ProviderKind::Anthropic, &base_url);
    (Anthropic::try_new(&Arc::new(provider), 1 << 20).unwrap(), asked)
}

fn response(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nretry-after: 7\r\n\r\n{body}")
}

async fn ask(provider: &Anthropic, fields: &Value) -> Result<Reply, Failure> {
    let mut document = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let request = Request {
        operation: Operation::Chat,
        body: document.to_string().into(),
        model: "chat".into(),
        model_span: None,
        stream: document["stream"] == true,
        choices: document["n"].as_u64().map_or(1, |n| u32::try_from(n).unwrap()),
        max_tokens: None,
        max_tokens_span: None,
        formats: crate::chat::request::Formats::default(),
        removed: 0,
        aside: None,
        may_be_empty: false,
    };
    let ask = Ask {
        request: &request,
        model: Some("claude"),
        max_tokens: None,
        correlation_id: "c-1",
        trace: &TraceContext::default(),
        timeout: Duration::from_secs(5),
        left: None,
    };
    provider.ask(ask).await
}

#[tokio::test]
async fn a_question_is_asked_in_the_apis_own_words_and_answered_in_ours() {
    let message = json!({
        "id": "msg_1", "model": "claude-x", "content": [{ "type": "text", "text": "Hello." }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 1, "output_tokens": 2 },
    });
    let (provider, asked) = serve(response("200 OK", "application/json", &message.to_string())).await;
    let Answer::Whole(whole) = ask(&provider, &json!({})).await.unwrap().answer else { panic!("not a stream") };
    let document: Value = serde_json::from_slice(&whole.body).unwrap();
    assert_eq!(document["choices"][0]["message"]["content"], "Hello.");
    let (head, body) = asked.await.unwrap();
    assert!(head.starts_with("POST /v1/messages HTTP/1.1"), "{head}");
    for header in ["x-api-key: key", "anthropic-version: 2023-06-01", "x-correlation-id: c-1"] {
        assert!(head.contains(header), "{head}");
    }
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("claude"), &json!(4096)));
}

#[tokio::test]
async fn a_stream_comes_through_to_its_end() {
    let events = [
        json!({ "type": "message_start", "message": { "id": "m", "model": "claude-x", "usage": { "input_tokens": 1 } } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "Hel" } }),
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "lo." } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" }, "usage": { "output_tokens": 2 } }),
        json!({ "type": "message_stop" }),
    ];
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let (provider, asked) = serve(response("200 OK", "text/event-stream; charset=utf-8", &body)).await;
    let Answer::Stream(mut chunks) = ask(&provider, &json!({ "stream": true })).await.unwrap().answer else {
        panic!("a stream")
    };
    let mut all: Vec<Chunk> = Vec::new();
    while let Some(chunk) = poll_fn(|cx| chunks.poll_next(cx)).await {
        all.push(chunk.unwrap());
    }
    assert_eq!(all.iter().map(|chunk| chunk.tokens).sum::<u32>(), 2);
    assert_eq!(all.last().unwrap().finish, Some(Finish::Stop));
    assert_eq!(asked.await.unwrap().1["stream"], true);
}

#[tokio::test]
async fn a_refusal_is_what_its_words_say() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let table = [
        (response("529 Overloaded", "application/json", overloaded), ErrorKind::ModelOverloaded, Some(7)),
        (response("200 OK", "application/json", overloaded), ErrorKind::ModelOverloaded, None),
        (response("200 OK", "text/html", "<html>Welcome</html>"), ErrorKind::InvalidResponse, None),
    ];
    for (response, kind, wait) in table {
        let (provider, asked) = serve(response).await;
        let failure = ask(&provider, &json!({})).await.unwrap_err();
        assert_eq!((failure.kind, failure.wait), (kind, wait.map(Duration::from_secs)));
        asked.await.unwrap();
    }
}

#[tokio::test]
async fn what_cannot_be_served_is_not_asked() {
    let (provider, asked) = serve(String::new()).await;
    let failure = ask(&provider, &json!({ "n": 2 })).await.unwrap_err();
    assert!(failure.unasked, "{failure:?}");
    assert!(!asked.is_finished());
    asked.abort();
}
