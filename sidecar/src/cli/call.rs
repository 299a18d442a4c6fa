//! `call`: one call to a running sidecar, printed as it comes.

use std::{
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::http::{block_on, send};
use crate::{
    chat::sse::Reader,
    config::{Call, Secret, Sources, load},
};

/// More than any event of an answer.
const MAX_EVENT: usize = 16 << 20;

/// Prints the answer to stdout, and how it came about to stderr. Failed: exit status 1.
#[must_use]
pub fn call(call: &Call, sources: &Sources) -> ExitCode {
    match block_on(answer(call, sources)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fusebox-sidecar call: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn answer(call: &Call, sources: &Sources) -> Result<(), String> {
    let address = match call.http {
        Some(address) => address,
        None => load(sources).map_err(|faults| faults.to_string())?.listen.http,
    };
    let answer = send(address, request(call)?).await?;
    let (head, body) = answer.response.into_parts();
    if head.status != StatusCode::OK {
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        return Err(refused(head.status, &body));
    }
    if call.no_stream {
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        let document: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        print(document["choices"][0]["message"]["content"].as_str().unwrap_or_default())?;
    } else {
        print_events(body).await?;
    }
    print("\n")?;
    eprintln!("{}", how(&head.headers));
    Ok(())
}

fn request(call: &Call) -> Result<Request<Full<Bytes>>, String> {
    let prompt = match call.prompt.as_str() {
        "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|error| format!("standard input: {error}"))?;
            text
        }
        prompt => prompt.to_owned(),
    };
    let system = call.system.as_ref().map(|text| json!({"role": "system", "content": text}));
    let user = json!({"role": "user", "content": prompt});
    let mut body = json!({"messages": system.into_iter().chain([user]).collect::<Vec<_>>(), "stream": !call.no_stream});
    if let Some(model) = &call.model {
        body["model"] = json!(model);
    }
    if let Some(tokens) = call.max_tokens {
        body["max_tokens"] = json!(tokens);
    }
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("/v1/chat/completions")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(timeout) = call.timeout {
        request = request.header("x-fusebox-timeout-ms", timeout.as_millis().to_string());
    }
    if let Some(file) = &call.token_file {
        let token = Secret::try_from_file(file)?;
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.reveal()));
    }
    request.body(Full::new(Bytes::from(body.to_string()))).map_err(|error| error.to_string())
}

async fn print_events(mut body: Incoming) -> Result<(), String> {
    let mut reader = Reader::new(MAX_EVENT);
    while let Some(frame) = body.frame().await {
        let data = frame.map_err(|error| format!("the answer broke off: {error}"))?.into_data().unwrap_or_default();
        let events = reader.push(data).map_err(|error| error.to_string())?;
        for event in events.iter().filter(|event| *event.data != *b"[DONE]") {
            let chunk: Value = serde_json::from_slice(&event.data).map_err(|error| error.to_string())?;
            if let Some(error) = chunk.get("error") {
                return Err(format!("\n{}: {}", text(&error["type"]), text(&error["message"])));
            }
            print(text(&chunk["choices"][0]["delta"]["content"]))?;
        }
    }
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}"))
}

fn refused(status: StatusCode, body: &[u8]) -> String {
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &document["error"];
    match error["message"].as_str() {
        Some(message) => format!("{}: {message}", text(&error["type"])),
        None => format!("it answered with status {status}"),
    }
}

fn how(headers: &HeaderMap) -> String {
    let header = |name: &'static str| {
        headers.get(HeaderName::from_static(name)).and_then(|value| value.to_str().ok()).unwrap_or("?")
    };
    format!(
        "{} by {}, attempts: {}, correlation id: {}",
        header("x-fusebox-source"),
        header("x-fusebox-provider"),
        header("x-fusebox-attempts"),
        header("x-correlation-id"),
    )
}
