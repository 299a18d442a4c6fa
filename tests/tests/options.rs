//! One call with what its caller allows for it, through either door, told in the same words.

use std::time::Duration;

use fusebox_proto::v1::{CacheMode, CallOptions, GenerateRequest, Outcome, StreamGenerateResponse, ToolCallDelta};
use fusebox_tests::client::{grpc, told};
use serde_json::{Value, json};
use tonic::Request;

use crate::support::{Doors, Way};

/// What is asked, and what its caller allows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// Empty: the usual one.
    pub(crate) prompt: &'static str,
    pub(crate) cache: Option<&'static str>,
    pub(crate) allow_degraded: Option<bool>,
    pub(crate) key: Option<&'static str>,
    pub(crate) token: Option<&'static str>,
    pub(crate) timeout: Option<Duration>,
    /// gRPC only: HTTP callers have the configured ones.
    pub(crate) fallback_response: Option<&'static str>,
    pub(crate) simplified_prompt: Option<&'static str>,
    pub(crate) max_attempts: Option<u32>,
}

/// How it was answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) finish: String,
    /// Name and arguments of each call of a tool.
    pub(crate) tools: Vec<(String, String)>,
    /// The answer's own id.
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) quality: String,
    pub(crate) provider: String,
    pub(crate) warnings: String,
    /// The error's kind, or `ok`.
    pub(crate) kind: String,
    /// Tokens of the answer, where told.
    pub(crate) output_tokens: Option<u64>,
    pub(crate) age: Option<String>,
}

impl Told {
    /// Text, source and quality of a good answer.
    pub(crate) fn how(&self) -> (&str, &str, &str) {
        assert_eq!(self.kind, "ok", "{self:#?}");
        (&self.text, &self.source, &self.quality)
    }
}

/// One call of the model `chat`.
pub(crate) async fn ask(doors: &Doors, way: Way, ask: &Ask) -> Told {
    match way {
        Way::HttpWhole | Way::HttpStream => http(doors, way, ask).await,
        Way::GrpcWhole | Way::GrpcStream => grpc(doors, way, ask).await,
    }
}

async fn http(doors: &Doors, way: Way, ask: &Ask) -> Told {
    let mut body = json!({"model": "chat", "messages": [{"role": "user", "content": prompt(ask)}]});
    if way.streams() {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    let mut request = doors.http.chat(&body);
    let headers = [
        ("x-fusebox-cache", ask.cache.map(str::to_owned)),
        ("x-fusebox-allow-degraded", ask.allow_degraded.map(|allowed| allowed.to_string())),
        ("idempotency-key", ask.key.map(str::to_owned)),
        ("authorization", ask.token.map(|token| format!("Bearer {token}"))),
        ("x-fusebox-timeout-ms", ask.timeout.map(|timeout| timeout.as_millis().to_string())),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            request = request.header(name, &value);
        }
    }
    let answer = request.send().await;
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    let warnings = answer.headers.get_all("x-fusebox-warning").iter().filter_map(|value| value.to_str().ok());
    let mut told = Told {
        source: header("x-fusebox-source"),
        quality: header("x-fusebox-quality"),
        provider: header("x-fusebox-provider"),
        warnings: warnings.collect::<Vec<_>>().join("; "),
        kind: "ok".to_owned(),
        age: answer.header("age").map(str::to_owned),
        ..Told::default()
    };
    if !answer.status.is_success() {
        told.kind = answer.error()["type"].as_str().unwrap_or_default().to_owned();
    } else if way.streams() {
        let events = answer.events();
        assert_eq!(
            events.last().is_some_and(fusebox_tests::client::SseEvent::is_done),
            !answer.text().contains("\"error\"")
        );
        for event in events.iter().filter(|event| !event.is_done()) {
            add(&mut told, &event.json());
        }
    } else {
        let json = answer.json();
        read(&mut told, &json, &json["choices"][0]["message"]);
    }
    told
}

/// One event of a stream.
fn add(told: &mut Told, event: &Value) {
    if let Some(kind) = event["error"]["type"].as_str() {
        told.kind = kind.to_owned();
    }
    read(told, event, &event["choices"][0]["delta"]);
}

fn read(told: &mut Told, document: &Value, said: &Value) {
    told.text.push_str(said["content"].as_str().unwrap_or_default());
    for (position, call) in said["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let (name, arguments) = (call["function"]["name"].as_str(), call["function"]["arguments"].as_str());
        let index = call["index"].as_u64().map_or(position, |index| usize::try_from(index).unwrap());
        tool(told, index, name.unwrap_or_default(), arguments.unwrap_or_default());
    }
    if let Some(finish) = document["choices"][0]["finish_reason"].as_str() {
        told.finish = finish.to_owned();
    }
    if let Some(tokens) = document["usage"]["completion_tokens"].as_u64() {
        told.output_tokens = Some(tokens);
    }
    if let Some(id) = document["id"].as_str() {
        told.id = id.to_owned();
    }
}

fn tool(told: &mut Told, index: usize, name: &str, arguments: &str) {
    if told.tools.len() <= index {
        told.tools.resize(index + 1, Default::default());
    }
    told.tools[index].0.push_str(name);
    told.tools[index].1.push_str(arguments);
}

async fn grpc(doors: &Doors, way: Way, ask: &Ask) -> Told {
    let cache = match ask.cache {
        None => CacheMode::Unspecified,
        Some("off") => CacheMode::Off,
        Some("fallback") => CacheMode::Fallback,
        Some(_) => CacheMode::Prefer,
    };
    let options = CallOptions {
        cache: cache.into(),
        allow_degraded: ask.allow_degraded,
        fallback_response: ask.fallback_response.map(str::to_owned),
        simplified_prompt: ask.simplified_prompt.map(str::to_owned),
        max_attempts: ask.max_attempts,
        idempotency_key: ask.key.unwrap_or_default().to_owned(),
        ..CallOptions::default()
    };
    let question = GenerateRequest { model: "chat".to_owned(), options: Some(options), ..grpc::ask(prompt(ask)) };
    let mut request = Request::new(question);
    if let Some(timeout) = ask.timeout {
        request.set_timeout(timeout);
    }
    if let Some(token) = ask.token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let mut client = doors.grpc.clone();
    let mut told = Told { kind: "ok".to_owned(), ..Told::default() };
    let messages = if way.streams() {
        client.stream_generate(request).await.map(Some)
    } else {
        whole(client, request, &mut told).await
    };
    let mut stream = match messages {
        Ok(None) => return told,
        Ok(Some(answer)) => answer.into_inner(),
        Err(status) => return Told { kind: fail(&status), ..told },
    };
    loop {
        match stream.message().await {
            Ok(None) => return told,
            Ok(Some(message)) => hear(&mut told, message),
            Err(status) => return Told { kind: fail(&status), ..told },
        }
    }
}

type Streamed = tonic::Response<tonic::Streaming<StreamGenerateResponse>>;

async fn whole(
    mut client: fusebox_proto::v1::inference_service_client::InferenceServiceClient<tonic::transport::Channel>,
    request: Request<GenerateRequest>,
    into: &mut Told,
) -> Result<Option<Streamed>, tonic::Status> {
    let answer = client.generate(request).await?.into_inner();
    let message = answer.message.clone().unwrap_or_default();
    let calls = message.tool_calls.iter().zip(0..).map(|(call, index)| ToolCallDelta {
        index,
        id: call.id.clone(),
        name: call.name.clone(),
        arguments_delta: call.arguments.clone(),
    });
    hear(
        into,
        StreamGenerateResponse {
            text_delta: grpc::text_of(&message),
            tool_call_deltas: calls.collect(),
            finish_reason: answer.finish_reason,
            id: answer.id,
            usage: answer.usage,
            outcome: answer.outcome,
        },
    );
    Ok(None)
}

fn hear(told: &mut Told, message: StreamGenerateResponse) {
    let finish = message.finish_reason().as_str_name().trim_start_matches("FINISH_REASON_").to_lowercase();
    told.text.push_str(&message.text_delta);
    for call in &message.tool_call_deltas {
        tool(told, usize::try_from(call.index).unwrap(), &call.name, &call.arguments_delta);
    }
    if finish != "unspecified" {
        told.finish = finish;
    }
    if !message.id.is_empty() {
        told.id = message.id;
    }
    if let Some(usage) = message.usage {
        told.output_tokens = Some(usage.output_tokens.into());
    }
    if let Some(outcome) = &message.outcome {
        let Outcome { provider, warnings, .. } = outcome;
        told.source = outcome.source().as_str_name().trim_start_matches("SOURCE_").to_lowercase();
        told.quality = outcome.quality().as_str_name().trim_start_matches("QUALITY_").to_lowercase();
        told.provider.clone_from(provider);
        told.warnings = warnings.join("; ");
    }
}

fn fail(status: &tonic::Status) -> String {
    told(status).kind
}

fn prompt(ask: &Ask) -> &'static str {
    if ask.prompt.is_empty() { "hello" } else { ask.prompt }
}
