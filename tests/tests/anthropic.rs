//! An Anthropic provider behind both doors: asked in its own words, answered for in the caller's.

use fusebox_proto::v1::{GenerateRequest, Message, Role, Tool, ToolCall};
use fusebox_tests::{
    client::grpc::{ask, message, text_of},
    provider::{
        Provider,
        act::{text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::{Value, json};

use crate::support::{Doors, Way, hello};

async fn start(provider: &Provider) -> Sidecar {
    let base_url = format!("http://{}", provider.address());
    let changes = json!({"kind": "anthropic", "api_key_env": "SCRIPTED_KEY"});
    Sidecar::start(Config::new().provider_with("a", &base_url, changes).env("SCRIPTED_KEY", "sk-ant-key")).await
}

fn conversation(stream: bool) -> Value {
    json!({
        "model": "chat", "stream": stream, "max_tokens": 99, "temperature": 0.5, "stop": ["END"],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Weather in Kyiv?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Kyiv\"}"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "weather", "description": "Looks out of the window",
                   "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}],
        "tool_choice": "auto",
    })
}

#[tokio::test]
async fn a_conversation_with_tools_is_asked_in_its_own_words() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    let answer = sidecar.http().chat(&conversation(false)).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = &provider.seen()[0];
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!(seen.header("x-api-key"), Some("sk-ant-key"));
    assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
    let body = &seen.body;
    assert_eq!(body["model"], "served-a");
    assert_eq!(body["max_tokens"], 99);
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert!(body["system"].to_string().contains("Be brief."));
    let turns = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = turns.iter().filter_map(|turn| turn["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let call = &turns[1]["content"][0];
    assert_eq!(
        (&call["type"], &call["name"], &call["input"]),
        (&json!("tool_use"), &json!("weather"), &json!({"city": "Kyiv"}))
    );
    let result = &turns[2]["content"][0];
    assert_eq!(result["type"], "tool_result");
    assert_eq!(result["tool_use_id"], call["id"], "the result names its call");
    assert!(result["content"].to_string().contains("sunny"));
    assert_eq!(body["tools"][0]["name"], "weather");
    assert_eq!(body["tools"][0]["input_schema"]["properties"]["city"]["type"], "string");
    assert_eq!(body["tool_choice"]["type"], "auto");
}

#[tokio::test]
async fn a_whole_answer_is_told_in_openais_words() {
    let provider = Provider::start(text(&["It is ", "sunny."]).tool("weather", &["{\"city\":", "\"Lviv\"}"])).await;
    let sidecar = start(&provider).await;
    let answer = sidecar.http().chat(&conversation(false)).send().await.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "served-a");
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], "It is sunny.");
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(arguments, json!({"city": "Lviv"}));
    let usage = &answer["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(7), &json!(5)));
    assert_eq!(usage["total_tokens"], 12);
}

#[tokio::test]
async fn a_streamed_answer_is_told_in_openais_chunks() {
    let provider = Provider::start(text(&["It is ", "sunny."]).tool("weather", &["{\"city\":", "\"Lviv\"}"])).await;
    let sidecar = start(&provider).await;
    let mut body = conversation(true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = sidecar.http().chat(&body).send().await;
    let events = answer.events();
    assert!(events.last().unwrap().is_done());
    let chunks: Vec<Value> = events[..events.len() - 1].iter().map(fusebox_tests::client::SseEvent::json).collect();
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let said: String = events.iter().map(fusebox_tests::client::SseEvent::text).collect();
    assert_eq!(said, "It is sunny.");
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(calls[0]["function"]["name"], "weather");
    assert!(calls[0]["id"].is_string() && calls.iter().all(|call| call["index"] == 0));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Lviv"}));
    let finish: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).filter(|finish| !finish.is_null()).collect();
    assert_eq!(finish, ["tool_calls"]);
    let usage = chunks.last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn grpc_callers_get_the_same() {
    let provider = Provider::start(text(&["It is ", "sunny."]).tool("weather", &["{\"city\":", "\"Lviv\"}"])).await;
    let sidecar = start(&provider).await;
    let mut client = sidecar.grpc().await;
    let request = || GenerateRequest {
        messages: vec![
            message(Role::System, "Be brief."),
            message(Role::User, "Weather in Kyiv?"),
            Message {
                role: Role::Assistant.into(),
                tool_calls: vec![ToolCall {
                    id: "c1".into(),
                    name: "weather".into(),
                    arguments: "{\"city\":\"Kyiv\"}".into(),
                }],
                ..Message::default()
            },
            Message { tool_call_id: "c1".into(), ..message(Role::Tool, "sunny") },
        ],
        tools: vec![Tool {
            name: "weather".into(),
            description: String::new(),
            parameters: "{\"type\":\"object\"}".into(),
        }],
        tool_choice: "weather".into(),
        ..ask("")
    };
    let whole = client.generate(request()).await.unwrap().into_inner();
    let said = whole.message.clone().unwrap();
    assert_eq!(text_of(&said), "It is sunny.");
    assert_eq!(said.tool_calls[0].name, "weather");
    assert_eq!(whole.finish_reason().as_str_name(), "FINISH_REASON_TOOL_CALLS");
    assert_eq!((whole.usage.unwrap().input_tokens, whole.usage.unwrap().output_tokens), (7, 5));
    assert_eq!(provider.seen()[0].body["tool_choice"], json!({"type": "tool", "name": "weather"}));

    let mut stream = client.stream_generate(request()).await.unwrap().into_inner();
    let (mut text, mut arguments) = (String::new(), String::new());
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        text.push_str(&message.text_delta);
        message.tool_call_deltas.iter().for_each(|delta| arguments.push_str(&delta.arguments_delta));
        last = Some(message);
    }
    assert_eq!(text, "It is sunny.");
    assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"city": "Lviv"}));
    let last = last.unwrap();
    assert_eq!(last.finish_reason().as_str_name(), "FINISH_REASON_TOOL_CALLS");
    assert_eq!(last.usage.unwrap().output_tokens, 5);
    assert_eq!(last.outcome.unwrap().provider, "a");
}

#[tokio::test]
async fn reasons_for_stopping_are_translated() {
    for (act, finish) in [(tokens(2), "stop"), (tokens(2).finish("length"), "length")] {
        let provider = Provider::start(act).await;
        let sidecar = start(&provider).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::ALL {
            assert_eq!(doors.call(way, "chat").await.finish, finish, "{way:?}");
        }
    }
}

#[tokio::test]
async fn it_fails_over_to_an_openai_provider_and_back() {
    let openai = Provider::start(tokens(2)).await;
    let anthropic = Provider::start(tokens(2)).await;
    let other = json!({"kind": "anthropic"});
    let config = Config::new()
        .provider_with("anthropic", &format!("http://{}", anthropic.address()), other)
        .provider("openai", &openai);
    let sidecar = Sidecar::start(config).await;
    let doors = Doors::of(&sidecar).await;
    for way in Way::ALL {
        anthropic.play(tokens(0));
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.kind(), ended.provider.as_str()), ("ok", "openai"), "{way:?}");
        anthropic.play(tokens(2));
        let ended = doors.call(way, "chat").await;
        assert_eq!((ended.kind(), ended.provider.as_str()), ("ok", "anthropic"), "{way:?}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_says_so() {
    let breaks = [
        tokens(2).cut(),
        tokens(2).end(),
        tokens(2).error_event("overloaded_error", "Overloaded"),
        tokens(2).done_without_finish(),
    ];
    for act in breaks {
        let provider = Provider::start(act.clone()).await;
        let sidecar = start(&provider).await;
        let doors = Doors::of(&sidecar).await;
        for way in Way::STREAMS {
            let ended = doors.call(way, "chat").await;
            assert_eq!(ended.tokens.len(), 2, "{act:?}: {ended:#?}");
            assert!(ended.failed().retryable, "{act:?}: {ended:#?}");
        }
    }
    let provider = Provider::start(tokens(2).without_done()).await;
    let sidecar = start(&provider).await;
    assert_eq!(Doors::of(&sidecar).await.call(Way::HttpStream, "chat").await.kind(), "ok", "it said why it stopped");
}

#[tokio::test]
async fn its_bytes_may_be_cut_anywhere() {
    for act in [tokens(3).byte_by_byte(), tokens(3).crlf(), tokens(3).comments(), tokens(3).multi_line()] {
        let provider = Provider::start(act).await;
        let sidecar = start(&provider).await;
        let doors = Doors::of(&sidecar).await;
        for (seq, way) in Way::STREAMS.into_iter().enumerate() {
            assert_eq!(doors.call(way, "chat").await.good(), format!("{seq}:0 {seq}:1 {seq}:2 "), "{way:?}");
        }
    }
}

#[tokio::test]
async fn what_it_cannot_serve_goes_to_another_or_is_refused() {
    let provider = Provider::start(tokens(2)).await;
    let sidecar = start(&provider).await;
    let mut body = hello("chat", false);
    body["n"] = json!(2);
    let answer = sidecar.http().chat(&body).send().await;
    assert!(answer.status.is_client_error(), "{}", answer.everything());
    assert_eq!(provider.calls(), 0);
}
