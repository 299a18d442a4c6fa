//! The gRPC door beside its errors: requests and answers in full, health, reflection.

use fusebox_proto::v1::{
    CallOptions, EmbedRequest, GenerateRequest, JsonSchema, ResponseFormat, Sampling, response_format,
};
use fusebox_tests::{
    client::{
        grpc::{ask, text_of},
        told,
    },
    provider::{
        Provider,
        act::{text, tokens},
    },
    sidecar::{Config, Sidecar},
};
use serde_json::json;
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

#[tokio::test]
async fn a_request_reaches_the_provider_with_all_that_it_says() {
    let provider = Provider::start(text(&["{\"a\":1}"])).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let extra = prost_types::Struct {
        fields: [("top_k".to_owned(), prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(40.0)) })]
            .into(),
    };
    let request = GenerateRequest {
        model: "chat".into(),
        sampling: Some(Sampling {
            max_tokens: Some(50),
            temperature: Some(0.25),
            top_p: Some(0.5),
            stop: vec!["END".into()],
            seed: Some(-7),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
        }),
        response_format: Some(ResponseFormat {
            kind: Some(response_format::Kind::JsonSchema(JsonSchema {
                name: "thing".into(),
                schema: "{\"type\":\"object\"}".into(),
            })),
        }),
        extra: Some(extra),
        ..ask("hello")
    };
    let answer = sidecar.grpc().await.generate(request).await.unwrap().into_inner();
    assert_eq!(text_of(&answer.message.clone().unwrap()), "{\"a\":1}");
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (7, 1));
    let outcome = answer.outcome.unwrap();
    assert_eq!((outcome.provider.as_str(), outcome.provider_model.as_str()), ("a", "served-a"));
    assert_eq!(outcome.quality().as_str_name(), "QUALITY_FULL");
    assert!(!outcome.correlation_id.is_empty());
    let body = &provider.seen()[0].body;
    assert_eq!(body["messages"][0]["role"], "user");
    let expected = [
        ("max_tokens", json!(50)),
        ("temperature", json!(0.25)),
        ("top_p", json!(0.5)),
        ("seed", json!(-7)),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(-0.5)),
    ];
    for (name, value) in expected {
        assert_eq!(body[name], value, "{name}");
    }
    assert!(body["stop"] == json!(["END"]) || body["stop"] == json!("END"));
    assert_eq!(body["top_k"].as_f64(), Some(40.0));
    assert_eq!(body["response_format"]["type"], "json_schema");
    assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
}

#[tokio::test]
async fn the_last_message_of_a_stream_carries_usage_and_outcome() {
    let provider = Provider::start(tokens(3)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let mut stream = sidecar.grpc().await.stream_generate(ask("hello")).await.unwrap().into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        messages.push(message);
    }
    let last = messages.pop().unwrap();
    assert_eq!(last.usage.unwrap().output_tokens, 3);
    assert_eq!(last.finish_reason().as_str_name(), "FINISH_REASON_STOP");
    assert_eq!(last.outcome.unwrap().attempts.len(), 1);
    assert!(messages.iter().all(|message| message.outcome.is_none() && message.usage.is_none()));
    let text: String = messages.iter().map(|message| message.text_delta.as_str()).collect();
    assert_eq!(text + &last.text_delta, "0:0 0:1 0:2 ");
}

#[tokio::test]
async fn embeddings_come_in_the_order_of_their_inputs() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let request = EmbedRequest { inputs: vec!["a".into(), "bcd".into()], ..EmbedRequest::default() };
    let answer = sidecar.grpc().await.embed(request).await.unwrap().into_inner();
    let values: Vec<&[f32]> = answer.embeddings.iter().map(|embedding| embedding.values.as_slice()).collect();
    assert_eq!(values, [&[0.0, 1.0, -0.5], &[1.0, 3.0, -0.5]]);
    assert_eq!(answer.outcome.unwrap().provider, "a");
}

#[tokio::test]
async fn every_fault_of_a_request_is_a_field_violation() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let sampling = Sampling { temperature: Some(9.0), top_p: Some(-1.0), ..Sampling::default() };
    let options = CallOptions { max_attempts: Some(0), ..CallOptions::default() };
    let request = GenerateRequest { sampling: Some(sampling), options: Some(options), ..GenerateRequest::default() };
    let status = sidecar.grpc().await.generate(request).await.unwrap_err();
    let told = told(&status);
    assert_eq!(
        (told.code, told.kind.as_str(), told.domain.as_str()),
        (Code::InvalidArgument, "invalid_input", "fusebox")
    );
    let fields: Vec<&str> = told.fields.iter().map(|(field, _)| field.as_str()).collect();
    for field in ["messages", "sampling.temperature", "sampling.top_p", "options.max_attempts"] {
        assert!(fields.contains(&field), "{field} is not among {fields:?}");
    }
    assert!(told.fields.iter().all(|(_, description)| !description.is_empty()));
    assert_eq!(told.retryable.as_deref(), Some("false"));
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_model_that_is_not_configured_is_not_found() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let request = GenerateRequest { model: "chatt".into(), ..ask("hello") };
    let status = sidecar.grpc().await.generate(request).await.unwrap_err();
    assert_eq!((status.code(), told(&status).kind.as_str()), (Code::NotFound, "model_not_found"));
    assert_eq!(provider.calls(), 0);
}

#[tokio::test]
async fn a_correlation_id_is_taken_or_made_and_echoed() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let mut client = sidecar.grpc().await;
    let mut request = Request::new(ask("hello"));
    request.metadata_mut().insert("x-correlation-id", "mine-42".parse().unwrap());
    let answer = client.generate(request).await.unwrap();
    assert_eq!(answer.metadata().get("x-correlation-id").unwrap(), "mine-42");
    assert_eq!(answer.into_inner().outcome.unwrap().correlation_id, "mine-42");
    let answer = client.generate(ask("hello")).await.unwrap();
    let made = answer.metadata().get("x-correlation-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(answer.into_inner().outcome.unwrap().correlation_id, made);
}

#[tokio::test]
async fn health_and_reflection_are_on() {
    let provider = Provider::start(tokens(1)).await;
    let sidecar = Sidecar::start(Config::one(&provider)).await;
    let channel = sidecar.channel().await;
    let mut health = HealthClient::new(channel.clone());
    for service in ["", "fusebox.v1.InferenceService"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("reflection lists no services");
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&"fusebox.v1.InferenceService".to_owned()), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}
