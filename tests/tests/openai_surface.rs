//! The OpenAI door as an SDK meets it: what is passed on, what is refused, and in which words.

use fusebox_tests::{
    provider::{
        Provider,
        act::{json, text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use http::Method;
use serde_json::{Value, json};

use crate::support::hello;

async fn start(provider: &Provider) -> Sidecar {
    Sidecar::start(Config::one(provider)).await
}

/// The data of the events that the provider wrote for call `seq`.
fn told(provider: &Provider, seq: usize) -> Vec<String> {
    let sent = String::from_utf8(provider.seen()[seq].sent.clone()).unwrap();
    sent.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn fields_it_does_not_know_reach_the_provider_byte_for_byte() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let body = r#"{ "vendor_knob" : {"deep":[1, 2.50,1e3, "\u00fc ü"]},"model":"chat",
        "messages":[{"role":"user","content":"hi","x_meta":{"a":1.50}}], "zero":-0.0,"big":12345678901234567890 }"#;
    let answer = sidecar.http().post_raw("/v1/chat/completions", body).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = &provider.seen()[0];
    assert_eq!(String::from_utf8_lossy(&seen.raw), body.replace("\"chat\"", "\"served-a\""));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.path, "/v1/chat/completions");
}

#[tokio::test]
async fn answers_reach_the_caller_byte_for_byte() {
    let provider =
        Provider::start(tokens(2).extra(r#""vendor_field": {"x":[1.50, null]},"system_fingerprint":"fp_1""#)).await;
    let sidecar = start(&provider).await;
    let answer = sidecar.http().chat(&hello("chat", false)).send().await;
    assert_eq!(answer.body, provider.seen()[0].sent);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["model"], "served-a", "the model that answered");

    let answer = sidecar.http().chat(&hello("chat", true)).send().await;
    let events: Vec<String> = answer.events().into_iter().map(|event| event.data).collect();
    assert_eq!(events, told(&provider, 1));
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
}

#[tokio::test]
async fn usage_reasoning_and_tools_are_passed_on_in_a_stream() {
    let act =
        text(&["so "]).reasoning(&["hm ", "well "]).tool("weather", &["{\"city\":", "\"Kyiv\"}"]).tool("now", &["{}"]);
    let provider = Provider::start(act).await;
    let sidecar = start(&provider).await;
    let mut body = hello("chat", true);
    body["stream_options"] = json!({"include_usage": true});
    body["tools"] = json!([
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": "now"}},
    ]);
    body["logprobs"] = json!(true);
    let events = sidecar.http().chat(&body).send().await.events();
    let data: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    assert_eq!(data, told(&provider, 0));
    let finish =
        events.iter().rev().find_map(|event| event.json()["choices"][0]["finish_reason"].as_str().map(str::to_owned));
    assert_eq!(finish.as_deref(), Some("tool_calls"));
    assert!(events[events.len() - 2].json()["usage"]["total_tokens"].is_number());
    assert_eq!(provider.seen()[0].body["tools"], body["tools"]);
}

#[tokio::test]
async fn a_caller_that_did_not_ask_for_usage_is_not_sent_it() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    let events = sidecar.http().chat(&hello("chat", true)).send().await.events();
    assert!(events.iter().all(|event| event.is_done() || event.json()["choices"] != json!([])), "{events:#?}");
}

#[tokio::test]
async fn several_choices_are_complete_only_when_each_has_finished() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    for stream in [false, true] {
        let mut body = hello("chat", stream);
        body["n"] = json!(3);
        let answer = sidecar.http().chat(&body).send().await;
        if stream {
            let finished =
                answer.events().iter().filter(|event| event.json()["choices"][0]["finish_reason"] == "stop").count();
            assert_eq!(finished, 3);
        } else {
            assert_eq!(answer.json()["choices"].as_array().unwrap().len(), 3);
        }
    }
}

#[tokio::test]
async fn completions_and_embeddings_are_served_too() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    let http = sidecar.http();
    let answer = http.post("/v1/completions", &json!({"model": "chat", "prompt": "once"})).send().await;
    assert_eq!(answer.json()["choices"][0]["text"], "0:0 0:1 ");
    let answer = http.post("/v1/completions", &json!({"model": "chat", "prompt": "once", "stream": true})).send().await;
    let text: String = answer.events().iter().map(fusebox_tests::client::SseEvent::text).collect();
    assert_eq!(text, "1:0 1:1 ");
    assert!(answer.events().last().unwrap().is_done());
    let answer = http.post("/v1/embeddings", &json!({"model": "chat", "input": ["a", "bc"]})).send().await;
    assert_eq!(answer.json()["data"][1]["embedding"], json!([1.0, 2.0, -0.5]));
    let answer =
        http.post("/v1/embeddings", &json!({"model": "chat", "input": "a", "encoding_format": "base64"})).send().await;
    assert!(answer.json()["data"][0]["embedding"].is_string());
    for answer in provider.seen() {
        assert_eq!(answer.body["model"], "served-a");
    }
}

#[tokio::test]
async fn the_models_are_those_of_the_configuration() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).model("small", &["a"])).await;
    let answer = sidecar.http().get("/v1/models").send().await;
    let list = answer.json();
    assert_eq!(list["object"], "list");
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(names, ["chat", "small"]);
    assert!(list["data"].as_array().unwrap().iter().all(|model| model["object"] == "model"));
}

#[tokio::test]
async fn a_model_that_is_not_configured_is_refused_and_none_named_means_the_first() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let answer = sidecar.http().chat(&hello("chatt", false)).send().await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.error()["type"], "model_not_found");
    assert_eq!(provider.calls(), 0);
    let answer = sidecar.http().chat(&json!({"messages": hello("", false)["messages"]})).send().await;
    assert_eq!(answer.status, 200);
    assert_eq!(provider.seen()[0].body["model"], "served-a");
}

#[tokio::test]
async fn every_fault_of_a_request_is_named_at_once_with_its_place() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let body = json!({
        "model": "chat", "temperature": 9, "n": 0, "stream": "yes", "max_tokens": -3,
        "messages": [{"role": "wizard", "content": "hi"}, {"role": "user"}, {"role": "user", "content": [{"type": "text"}]}],
    });
    let answer = sidecar.http().chat(&body).send().await;
    assert_eq!(answer.status, 422, "{}", answer.text());
    let error = answer.error();
    assert_eq!(error["type"], "invalid_input");
    assert_eq!(error["retryable"], false);
    let faults = error["field_errors"].as_object().unwrap();
    let told = error["field_errors"].to_string();
    for path in [
        "temperature",
        "n",
        "stream",
        "max_tokens",
        "messages[0].role",
        "messages[1].content",
        "messages[2].content[0].text",
    ] {
        assert!(told.contains(&format!("\"{path}\"")), "{path} is not named in {told}");
    }
    assert_eq!(faults.len(), 7, "{told}");
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn one_fault_is_named_in_param_as_openai_does() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let mut body = hello("chat", false);
    body["messages"] = json!([]);
    let error = sidecar.http().chat(&body).send().await.error();
    assert_eq!(error["param"], "messages");
}

#[tokio::test]
async fn json_that_is_none_is_refused_with_the_place_of_its_fault() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    for (body, place) in [
        ("{\"model\": \"chat\",\n \"messages\": [}", Some("line 2")),
        ("", None),
        ("[1]", None),
        ("{\"messages\": []} trailing", None),
        ("nonsense", None),
    ] {
        let answer = sidecar.http().post_raw("/v1/chat/completions", body).send().await;
        assert!(matches!(answer.status.as_u16(), 400 | 422), "{body}: {}", answer.everything());
        assert_eq!(answer.error()["type"], "invalid_input", "{body}");
        if let Some(place) = place {
            assert!(answer.error()["message"].as_str().unwrap().contains(place), "{}", answer.text());
        }
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"limits": {"max_body": "64KiB"}}))).await;
    let mut body = hello("chat", false);
    body["messages"][0]["content"] = json!("x".repeat(40_000));
    assert_eq!(sidecar.http().chat(&body).send().await.status, 200);
    let head =
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let announced = sidecar.http().wire(format!("{head}content-length: 90000000\r\n\r\n").as_bytes()).await;
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n11000\r\n").into_bytes();
    chunked.extend_from_slice(&vec![b' '; 0x11000]);
    let chunked = sidecar.http().wire(&chunked).await;
    for answer in [announced, chunked] {
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("invalid_input"), "{answer}");
    }
    assert_eq!(provider.calls(), 1);
}

#[tokio::test]
async fn what_is_not_there_says_so_in_the_same_shape() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let http = sidecar.http();
    for (method, path, status) in [
        (Method::POST, "/v1/nothing", 404),
        (Method::GET, "/", 404),
        (Method::POST, "/chat/completions", 404),
        (Method::GET, "/v1/chat/completions", 405),
        (Method::DELETE, "/v1/models", 405),
        (Method::PUT, "/v1/embeddings", 405),
    ] {
        let answer = http.request(method.clone(), path, "").send().await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
        assert!(answer.error()["message"].is_string(), "{method} {path}: {}", answer.text());
        assert!(answer.header("x-correlation-id").is_some());
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        assert_eq!(answer.error()["details"], json!({}), "{method} {path}");
    }
    for method in [Method::HEAD, Method::OPTIONS] {
        let answer = http.request(method.clone(), "/v1/chat/completions", "").send().await;
        assert!(answer.status.as_u16() < 500, "{method}: {}", answer.status);
    }
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn every_error_says_what_the_call_came_to() {
    let provider = Provider::start(json(500, &json!({}))).await;
    let tokens = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(tokens.path(), "let-me-in").unwrap();
    let sidecar = Sidecar::start(Config::one(&provider).with(json!({"auth": {"tokens_file": tokens.path()}}))).await;
    let http = sidecar.http();
    let chat = |body: &Value| http.chat(body).header("authorization", "Bearer let-me-in");
    let get = |path: &str| http.get(path).header("authorization", "Bearer let-me-in");
    for (what, request, status, attempts, by) in [
        ("without a token", http.chat(&hello("chat", false)), 401, "0", None),
        ("no such path", get("/v1/nothing"), 404, "0", None),
        ("no such method", get("/v1/chat/completions"), 405, "0", None),
        ("no messages", chat(&json!({"model": "chat"})), 422, "0", None),
        ("no such model", chat(&hello("chatt", false)), 404, "0", None),
        ("a provider that fails", chat(&hello("chat", false)), 503, "1", Some("a")),
    ] {
        let answer = request.send().await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        assert!(answer.header("x-correlation-id").is_some(), "{what}");
        assert_eq!(answer.header("x-fusebox-quality"), Some("unavailable"), "{what}");
        assert_eq!(answer.header("x-fusebox-attempts"), Some(attempts), "{what}");
        assert_eq!(answer.header("x-fusebox-degradation-level"), Some("full"), "{what}");
        assert_eq!(answer.header("x-fusebox-provider"), by, "{what}");
        assert_eq!(answer.header("x-fusebox-source"), None, "{what}: there is no answer to have one");
    }
}

#[tokio::test]
async fn http2_without_tls_is_spoken_by_prior_knowledge() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    let client = sidecar.h2c();
    assert_eq!(client.chat(&hello("chat", false)).send().await.json()["choices"][0]["message"]["content"], "0:0 0:1 ");
    assert!(client.chat(&hello("chat", true)).send().await.events().last().unwrap().is_done());
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused_and_the_sidecar_goes_on() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000));
    for nonsense in [
        "hello?\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        &long,
    ] {
        let answer = sidecar.http().wire(nonsense.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(sidecar.http().chat(&hello("chat", false)).send().await.status, 200);
}

#[tokio::test]
async fn every_answer_says_how_it_came_about() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = start(&provider).await;
    for stream in [false, true] {
        let answer = sidecar.http().chat(&hello("chat", stream)).send().await;
        let expected = [
            ("x-fusebox-source", "primary"),
            ("x-fusebox-quality", "full"),
            ("x-fusebox-provider", "a"),
            ("x-fusebox-attempts", "1"),
            ("x-fusebox-degradation-level", "full"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert!(answer.header("x-correlation-id").is_some_and(|id| !id.is_empty()));
    }
}

#[tokio::test]
async fn callers_show_their_token_and_providers_get_their_key() {
    let provider = Provider::start(tokens(1)).await;
    let folder = tempfile::tempdir().unwrap();
    let tokens_file = folder.path().join("tokens");
    std::fs::write(&tokens_file, "first-token\nsecond-token\n").unwrap();
    let key = json!({"api_key_env": "SCRIPTED_KEY"});
    let config = Config::new().provider_with("a", &provider.base_url(), key).env("SCRIPTED_KEY", "sk-for-the-provider");
    let sidecar = Sidecar::start(config.with(json!({"auth": {"tokens_file": tokens_file}}))).await;
    let call = || sidecar.http().chat(&hello("chat", false));
    let strangers =
        [call(), call().header("authorization", "Bearer third-token"), call().header("authorization", "first-token")];
    for stranger in strangers {
        let answer = stranger.send().await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.error()["type"], "authentication");
    }
    let answer = call().header("authorization", "Bearer second-token").header("cookie", "a=b").send().await;
    assert_eq!(answer.status, 200);
    let seen = provider.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].header("authorization"), Some("Bearer sk-for-the-provider"));
    assert!(seen[0].header("cookie").is_none(), "what is the caller's own stays here");
    let status = sidecar.grpc().await.generate(fusebox_tests::client::grpc::ask("hello")).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
}
