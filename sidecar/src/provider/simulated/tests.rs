use std::{future::poll_fn, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    chat::{
        answer::Finish,
        answer::Whole,
        sse::{Events, Reader},
    },
    config::ProviderKind,
    error::ErrorKind,
    provider::fixture,
};

fn provider(change: impl FnOnce(&mut config::Simulated)) -> Simulated {
    let mut simulated = config::Simulated {
        first_token: Duration::from_millis(100),
        tokens_per_second: 10.0,
        failure_rate: 0.0,
        failure: ErrorKind::ProviderError,
        answer: Some("one two three four".into()),
    };
    change(&mut simulated);
    let provider = fixture::provider(ProviderKind::Simulated, "");
    Simulated::new(&Arc::new(config::Provider { simulated, ..provider }))
}

fn request(operation: Operation, document: &Value) -> Request {
    Request {
        operation,
        body: document.to_string().into(),
        model: "small".into(),
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

fn chat(fields: &Value) -> Request {
    let mut document = json!({ "messages": [{ "role": "user", "content": "hello there" }] });
    document.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request(Operation::Chat, &document)
}

async fn whole(provider: &Simulated, request: &Request) -> Result<(Value, Whole), Failure> {
    match provider.answer(request, None, None).await? {
        Answer::Whole(whole) => Ok((serde_json::from_slice(&whole.body).unwrap(), whole)),
        Answer::Stream(_) => panic!("a stream was not asked for"),
    }
}

/// What a stream came to: chunks with the milliseconds at which they came, their documents, and its end.
struct Streamed {
    chunks: Vec<(u128, Chunk)>,
    documents: Vec<Value>,
    end: Option<Failure>,
}

impl Streamed {
    fn text(&self) -> String {
        self.documents.iter().filter_map(|document| document["choices"][0]["delta"]["content"].as_str()).collect()
    }

    fn tokens(&self) -> u32 {
        self.chunks.iter().map(|(_, chunk)| chunk.tokens).sum()
    }
}

async fn streamed(provider: &Simulated, fields: &Value) -> Result<Streamed, Failure> {
    let mut request = chat(fields);
    request.stream = true;
    stream_of(provider, &request).await
}

async fn stream_of(provider: &Simulated, request: &Request) -> Result<Streamed, Failure> {
    let begun = clock::now();
    let Answer::Stream(mut stream) = provider.answer(request, None, None).await? else {
        panic!("a stream was asked for");
    };
    let mut streamed = Streamed { chunks: Vec::new(), documents: Vec::new(), end: None };
    while let Some(next) = poll_fn(|cx| stream.poll_next(cx)).await {
        match next {
            Ok(chunk) => {
                let read: Events = Reader::new(1 << 20).push(chunk.events.clone()).unwrap();
                let documents = read.iter().map(|event| serde_json::from_slice::<Value>(&event.data).unwrap());
                streamed.documents.extend(documents);
                streamed.chunks.push((clock::now().since(begun).as_millis(), chunk));
            }
            Err(failure) => streamed.end = Some(failure),
        }
    }
    assert!(poll_fn(|cx| stream.poll_next(cx)).await.is_none(), "an end is an end");
    Ok(streamed)
}

#[tokio::test(start_paused = true)]
async fn what_an_assistants_message_has_begun_is_gone_on_with() {
    let provider = provider(|_| {});
    for (begun, rest) in [("one two", " three four"), ("One", "one two three four"), ("one two three four", "")] {
        let messages = json!([{"role": "user", "content": "go"}, {"role": "assistant", "content": begun}]);
        let streamed = streamed(&provider, &json!({ "messages": messages })).await.unwrap();
        assert_eq!((streamed.text().as_str(), streamed.end), (rest, None), "{begun:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_keeps_its_pace() {
    let streamed = streamed(&provider(|_| {}), &json!({})).await.unwrap();
    let times: Vec<u128> = streamed.chunks.iter().map(|(at, _)| at / 10 * 10).collect();
    assert_eq!(times, [100, 200, 300, 400]);
    assert_eq!(streamed.text(), "one two three four");
    let (_, last) = streamed.chunks.last().unwrap();
    assert_eq!((last.finish, last.usage.unwrap().output_tokens), (Some(Finish::Stop), 4));
    assert_eq!(streamed.chunks[0].1.model.as_deref(), Some("small"));
    assert_eq!(streamed.documents[0]["choices"][0]["delta"]["role"], "assistant");
    assert_eq!((streamed.tokens(), streamed.end), (4, None));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_due_together_come_together() {
    let streamed = streamed(&provider(|settings| settings.tokens_per_second = 0.0), &json!({})).await.unwrap();
    assert_eq!(streamed.chunks.len(), 1);
    assert_eq!(streamed.text(), "one two three four");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_takes_as_long_as_its_stream() {
    let begun = clock::now();
    let (document, answer) = whole(&provider(|_| {}), &chat(&json!({}))).await.unwrap();
    assert_eq!(clock::now().since(begun).as_millis() / 10 * 10, 400);
    assert_eq!(document["choices"][0]["message"]["content"], "one two three four");
    assert_eq!(document["usage"], json!({ "prompt_tokens": 2, "completion_tokens": 4, "total_tokens": 6 }));
    assert_eq!((document["object"].as_str(), answer.finish), (Some("chat.completion"), Some(Finish::Stop)));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_of_its_own_it_echoes() {
    let provider = provider(|settings| settings.answer = None);
    let said = |document: Value| document["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let parts = json!({ "messages": [
        { "role": "user", "content": "old" },
        { "role": "user", "content": [{ "type": "text", "text": "new" }, { "type": "image_url", "image_url": {} }] },
        { "role": "assistant", "content": "mine" },
    ] });
    assert!(said(whole(&provider, &chat(&parts)).await.unwrap().0).ends_with("You said: new"));
    assert!(!said(whole(&provider, &chat(&json!({ "messages": [] }))).await.unwrap().0).contains("You said"));
    let long = json!({ "messages": [{ "role": "user", "content": "é".repeat(100_000) }] });
    assert!(said(whole(&provider, &chat(&long)).await.unwrap().0).chars().count() < 1100);
}

#[tokio::test(start_paused = true)]
async fn limits_and_stops_are_obeyed() {
    let table = [
        (json!({ "max_tokens": 2 }), "one two", "length"),
        (json!({ "max_tokens": 4 }), "one two three four", "stop"),
        (json!({ "stop": " three" }), "one two", "stop"),
        (json!({ "stop": ["four", "two", ""] }), "one ", "stop"),
    ];
    for (fields, text, finish) in table {
        let (document, _) = whole(&provider(|_| {}), &chat(&fields)).await.unwrap();
        assert_eq!(document["choices"][0]["message"]["content"], text, "{fields}");
        assert_eq!(document["choices"][0]["finish_reason"], finish, "{fields}");
        let streamed = streamed(&provider(|_| {}), &fields).await.unwrap();
        assert_eq!(streamed.text(), text, "{fields}");
    }
    let answer = provider(|_| {}).answer(&chat(&json!({ "max_tokens": 4 })), Some("other"), Some(1)).await.unwrap();
    let Answer::Whole(answer) = answer else { panic!("not a stream") };
    assert_eq!(
        (answer.finish, answer.model.as_deref()),
        (Some(Finish::Length), Some("other")),
        "the call's own come first"
    );
}

#[tokio::test(start_paused = true)]
async fn every_choice_is_given() {
    let fields = json!({ "n": 3, "stream_options": { "include_usage": true } });
    let (document, _) = whole(&provider(|_| {}), &chat(&fields)).await.unwrap();
    assert_eq!(document["choices"].as_array().unwrap().len(), 3);
    let streamed = streamed(&provider(|_| {}), &fields).await.unwrap();
    let finished = streamed.documents.iter().filter(|document| document["choices"][0]["finish_reason"] == "stop");
    assert_eq!(
        finished.map(|document| document["choices"][0]["index"].as_u64().unwrap()).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    let last = streamed.documents.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(12)));
    let failure = whole(&provider(|_| {}), &chat(&json!({ "n": 1000 }))).await.unwrap_err();
    assert_eq!(failure.fields[0].path, "n");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_insisted_on_is_called() {
    let tool = |name: &str| {
        json!({ "type": "function", "function": { "name": name, "parameters": {
            "type": "object", "required": ["city"], "properties": { "city": { "type": "string" }, "days": { "type": "integer" } },
        } } })
    };
    let tools = json!([tool("weather"), tool("forecast")]);
    let named = json!({ "tools": tools, "tool_choice": { "type": "function", "function": { "name": "forecast" } } });
    let (document, answer) = whole(&provider(|_| {}), &chat(&named)).await.unwrap();
    let call = &document["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"], json!({ "name": "forecast", "arguments": "{\"city\":\"text\"}" }));
    assert_eq!(answer.finish, Some(Finish::ToolCalls));

    let streamed = streamed(&provider(|_| {}), &json!({ "tools": tools, "tool_choice": "required" })).await.unwrap();
    let calls: Vec<&Value> = streamed.documents.iter().map(|it| &it["choices"][0]["delta"]["tool_calls"][0]).collect();
    assert_eq!(calls[0]["function"]["name"], "weather");
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"city\":\"text\"}");

    let (document, _) =
        whole(&provider(|_| {}), &chat(&json!({ "tools": tools, "tool_choice": "auto" }))).await.unwrap();
    assert_eq!(document["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn a_format_that_is_asked_for_is_kept() {
    let schema =
        json!({ "type": "object", "required": ["age"], "properties": { "age": { "type": "integer", "minimum": 18 } } });
    let table = [
        (json!({ "type": "json_object" }), json!({ "answer": "one two three four" })),
        (json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": schema } }), json!({ "age": 18 })),
    ];
    for (format, expected) in table {
        let (document, _) = whole(&provider(|_| {}), &chat(&json!({ "response_format": format }))).await.unwrap();
        let said = document["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(said).unwrap(), expected);
    }
    let own = provider(|settings| settings.answer = Some("{\"mine\":1}".into()));
    let (document, _) = whole(&own, &chat(&json!({ "response_format": { "type": "json_object" } }))).await.unwrap();
    assert_eq!(document["choices"][0]["message"]["content"], "{\"mine\":1}");
}

#[tokio::test(start_paused = true)]
async fn it_completes_prompts_and_embeds_texts() {
    let prompts = request(Operation::Completion, &json!({ "prompt": ["a", "b"], "n": 2 }));
    let (document, _) = whole(&provider(|settings| settings.answer = None), &prompts).await.unwrap();
    let texts: Vec<&str> =
        document["choices"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert!(texts.len() == 4 && texts[1].ends_with(": a") && texts[2].ends_with(": b"), "{texts:?}");

    let asked = request(Operation::Completion, &json!({ "prompt": "a", "stream": true }));
    let streamed = stream_of(&provider(|_| {}), &asked).await.unwrap();
    assert!(streamed.documents.iter().all(|document| document["object"] == "text_completion"));
    let text: String =
        streamed.documents.iter().filter_map(|document| document["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "one two three four");

    let begun = clock::now();
    let (document, answer) =
        whole(&provider(|_| {}), &request(Operation::Embed, &json!({ "input": ["a", "b"] }))).await.unwrap();
    assert_eq!((document["data"].as_array().unwrap().len(), answer.finish), (2, None));
    assert_eq!(clock::now().since(begun).as_millis() / 10 * 10, 100);

    let (begun, cat) = (clock::now(), request(Operation::Image, &json!({ "prompt": "a cat" })));
    let (document, answer) = whole(&provider(|_| {}), &cat).await.unwrap();
    assert_eq!((&document["size"], answer.finish), (&json!("512x512"), None));
    assert_eq!(clock::now().since(begun).as_millis() / 10 * 10, 100);
}

#[tokio::test(start_paused = true)]
async fn it_fails_as_often_as_configured() {
    let always = provider(|settings| (settings.failure_rate, settings.failure) = (1.0, ErrorKind::OutOfMemory));
    assert_eq!(whole(&always, &chat(&json!({}))).await.unwrap_err().kind, ErrorKind::OutOfMemory);
    assert_eq!(streamed(&always, &json!({})).await.err().map(|failure| failure.kind), Some(ErrorKind::OutOfMemory));
    assert!(whole(&provider(|_| {}), &chat(&json!({}))).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn it_fails_on_request() {
    let table = [
        (json!({ "fail": "rate_limited" }), ErrorKind::RateLimited, Some(1000)),
        (json!({ "fail": "rate_limited", "retry_after_ms": 200.0 }), ErrorKind::RateLimited, Some(200)),
        (json!({ "fail": "model_overloaded", "retry_after_ms": 50 }), ErrorKind::ModelOverloaded, Some(50)),
        (json!({ "fail": "authentication" }), ErrorKind::Authentication, None),
        (json!({ "fail": "nonsense" }), ErrorKind::InvalidInput, None),
        (json!({ "fail": "stream_broken" }), ErrorKind::StreamBroken, None),
    ];
    for (simulate, kind, wait) in table {
        let failure = whole(&provider(|_| {}), &chat(&json!({ "simulate": simulate }))).await.unwrap_err();
        assert_eq!((failure.kind, failure.wait), (kind, wait.map(Duration::from_millis)), "{simulate}");
    }
    for operation in [Operation::Completion, Operation::Embed, Operation::Image] {
        let asked =
            request(operation, &json!({ "prompt": "a", "input": "a", "simulate": { "fail": "provider_error" } }));
        assert_eq!(whole(&provider(|_| {}), &asked).await.unwrap_err().kind, ErrorKind::ProviderError);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_breaks_where_it_is_told_to() {
    let table = [
        (json!({ "fail": "stream_broken" }), "one two", ErrorKind::StreamBroken),
        (json!({ "fail": "stream_broken", "after_tokens": 0 }), "", ErrorKind::StreamBroken),
        (json!({ "fail": "stream_broken", "after_tokens": 3 }), "one two three", ErrorKind::StreamBroken),
        (json!({ "fail": "rate_limited", "after_tokens": 1.0 }), "one", ErrorKind::RateLimited),
        (json!({ "fail": "provider_error", "after_tokens": 99 }), "one two three four", ErrorKind::ProviderError),
    ];
    for (simulate, text, kind) in table {
        let streamed = streamed(&provider(|_| {}), &json!({ "simulate": simulate })).await.unwrap();
        assert_eq!(streamed.text(), text, "{simulate}");
        assert_eq!(streamed.end.as_ref().map(|failure| failure.kind), Some(kind), "{simulate}");
        assert!(streamed.chunks.iter().all(|(_, chunk)| chunk.finish.is_none()), "{simulate}: it never finished");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_a_silence_without_end() {
    let day = Duration::from_secs(86_400);
    let provider = provider(|_| {});
    let silent = json!({ "simulate": { "fail": "inference_timeout" } });
    assert!(tokio::time::timeout(day, whole(&provider, &chat(&silent))).await.is_err());
    assert!(tokio::time::timeout(day, streamed(&provider, &silent)).await.is_err());
    let stalls = chat(&json!({ "stream": true, "simulate": { "fail": "inference_timeout", "after_tokens": 2 } }));
    let Ok(Answer::Stream(mut stream)) = provider.answer(&stalls, None, None).await else { panic!("a stream") };
    for _ in 0..2 {
        assert!(matches!(poll_fn(|cx| stream.poll_next(cx)).await, Some(Ok(chunk)) if chunk.tokens == 1));
    }
    assert!(tokio::time::timeout(day, poll_fn(|cx| stream.poll_next(cx))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_may_set_the_pace() {
    let fast = json!({ "simulate": { "first_token_ms": 5, "tokens_per_second": 0 } });
    let streamed = streamed(&provider(|_| {}), &fast).await.unwrap();
    assert!(streamed.chunks.len() == 1 && streamed.chunks[0].0 < 10, "{}", streamed.chunks[0].0);
    let never = json!({ "simulate": { "first_token_ms": 1e300, "tokens_per_second": 1e-300 } });
    assert!(whole(&provider(|_| {}), &chat(&never)).await.is_ok(), "what no clock can wait for is not waited for");
}

proptest! {
    #[test]
    fn tokens_make_up_the_text(text in "\\PC{0,60}|[ \n]{0,20}") {
        let mut from = 0;
        for end in script::ends(&text) {
            prop_assert!(end > from && text.is_char_boundary(end));
            prop_assert!(text[from..end].chars().count() <= 8);
            from = end;
        }
        prop_assert_eq!(from, text.len());
    }
}
