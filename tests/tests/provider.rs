//! The scripted provider does what its script says: the other tests stand on that.

use std::{net::SocketAddr, time::Duration};

use fusebox_tests::{
    client::Http,
    provider::{
        Provider, Refusing, Unreachable,
        act::{document, half_headers, hang, headers, refuse, text, tokens},
        faults, json as script,
    },
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

fn chat(stream: bool) -> Value {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]})
}

async fn said(http: &Http, path: &str, body: &Value) -> Vec<String> {
    http.post(path, body).send().await.events().into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn a_stream_is_told_in_openais_shape_from_role_to_done() {
    let provider = Provider::start(tokens(2)).await;
    for http in [Http::new(provider.address()), Http::h2c(provider.address())] {
        let answer = http.chat(&chat(true)).send().await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let events = answer.events();
        assert_eq!(events.len(), 5, "role, two tokens, finish, done");
        assert!(events[1].text().ends_with(":0 ") && events[2].text().ends_with(":1 "));
        assert_eq!(events[3].json()["choices"][0]["finish_reason"], "stop");
        assert!(events[4].is_done());
    }
    let seen = provider.seen();
    assert_eq!(seen[1].body, chat(true));
    assert!(seen.iter().all(|call| call.finished.is_some()));
}

#[tokio::test]
async fn a_stream_is_told_in_anthropics_events() {
    let provider = Provider::start(tokens(1).reasoning(&["hm"]).tool("f", &["{\"a\":", "1}"])).await;
    let data = said(&Http::new(provider.address()), "/v1/messages", &chat(true)).await;
    let kinds: Vec<String> = data
        .iter()
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    let expected = "message_start content_block_start ping content_block_delta content_block_delta content_block_stop \
                    content_block_start content_block_delta content_block_stop \
                    content_block_start content_block_delta content_block_delta content_block_stop message_delta message_stop";
    assert_eq!(kinds.join(" "), expected);
}

#[tokio::test]
async fn however_it_is_dressed_it_says_the_same() {
    let plain = Provider::start(tokens(3)).await;
    let plain = said(&Http::new(plain.address()), "/v1/chat/completions", &chat(true)).await;
    let dressed = [tokens(3).crlf(), tokens(3).comments(), tokens(3).byte_by_byte(), tokens(3).split_at(17)];
    for act in dressed {
        let provider = Provider::start(act.clone()).await;
        let data = said(&Http::new(provider.address()), "/v1/chat/completions", &chat(true)).await;
        assert_eq!(data, plain, "{act:?}");
    }
    let provider = Provider::start(tokens(3).multi_line()).await;
    let data = said(&Http::new(provider.address()), "/v1/chat/completions", &chat(true)).await;
    let parsed =
        |data: &[String]| -> Vec<Option<Value>> { data.iter().map(|d| serde_json::from_str(d).ok()).collect() };
    assert!(data[0].contains('\n'));
    assert_eq!(parsed(&data), parsed(&plain));
}

#[tokio::test]
async fn it_breaks_where_it_is_told_to() {
    let script =
        refuse().then(half_headers().cut()).then(headers().cut()).then(tokens(2).cut()).then(tokens(2).garbage());
    let provider = Provider::start(script).await;
    let http = Http::new(provider.address());
    assert!(http.chat(&chat(true)).try_open().await.is_err());
    assert!(http.chat(&chat(true)).try_open().await.is_err());
    for expected in [0, 3, 3] {
        let mut open = http.chat(&chat(true)).open().await;
        assert_eq!(open.rest().await.len(), expected);
        assert!(open.broken);
    }
}

#[tokio::test]
async fn it_notices_a_client_that_hangs_up() {
    let provider = Provider::start(hang().then(tokens(1).hang())).await;
    for (call, http) in [Http::new(provider.address()), Http::h2c(provider.address())].iter().enumerate() {
        let waiting = http.chat(&chat(true)).open();
        let limit = Duration::from_millis(100);
        match tokio::time::timeout(limit, waiting).await {
            Err(_) => assert_eq!(call, 0),
            Ok(mut open) => assert!(open.event().await.is_some()),
        }
        provider.gone(call).await;
    }
}

#[tokio::test]
async fn a_refusing_address_refuses_and_an_unreachable_one_says_nothing() {
    let of = |url: &str| -> SocketAddr { url.trim_start_matches("http://").trim_end_matches("/v1").parse().unwrap() };
    let refusing = Refusing::new();
    assert!(TcpStream::connect(of(&refusing.base_url())).await.is_err());
    let unreachable = Unreachable::start().await;
    let connecting = TcpStream::connect(of(&unreachable.base_url()));
    assert!(tokio::time::timeout(Duration::from_millis(100), connecting).await.is_err());
}

#[tokio::test]
async fn a_script_can_be_read_from_json() {
    let script = script::parse(
        r#"[{"status": 429, "body": {"x": 1}, "headers": {"retry-after": "3"}}, {"text": ["a", "b"], "end": "cut"}]"#,
    );
    let provider = Provider::start(script.unwrap()).await;
    let http = Http::new(provider.address());
    let answer = http.chat(&chat(false)).send().await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("3")));
    assert!(http.chat(&chat(false)).send().await.broken);
    assert!(script::parse(r#"[{"tokens": 1, "ned": "cut"}]"#).unwrap_err().contains("act 0: ned"));
}

#[tokio::test]
async fn every_wording_bears_the_mark_that_tests_look_for() {
    for fault in faults::statuses().into_iter().chain(faults::anthropic_statuses()) {
        let provider = Provider::start(fault.act).await;
        let answer = Http::new(provider.address()).chat(&chat(false)).send().await;
        assert!(!answer.status.is_success(), "{}", fault.name);
        assert!(answer.body.is_empty() || answer.text().contains(faults::MARK), "{}", fault.name);
    }
}

#[tokio::test]
async fn embeddings_and_whole_answers_come_in_both_encodings() {
    let provider = Provider::start(text(&["whole ", "answer"])).await;
    let http = Http::new(provider.address());
    let floats = http.post("/v1/embeddings", &json!({"model": "m", "input": ["a", "bcd"]})).send().await.json();
    assert_eq!(floats["data"][1]["embedding"], json!([1.0, 3.0, -0.5]));
    let body = json!({"model": "m", "input": "a", "encoding_format": "base64"});
    assert!(http.post("/v1/embeddings", &body).send().await.json()["data"][0]["embedding"].is_string());
    let whole = http.chat(&chat(false)).send().await.json();
    assert_eq!(whole["choices"][0]["message"]["content"], "whole answer");
    provider.play(document(502, "text/html", "<p>"));
    assert_eq!(http.chat(&chat(false)).send().await.text(), "<p>");
}
