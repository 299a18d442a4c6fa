//! Bearer tokens at the doors: who may call, who is refused and how, and how the tokens are exchanged.

use std::fs;

use fusebox_proto::v1::{EmbedRequest, GenerateImageRequest};
use fusebox_tests::{
    client::{grpc::ask, told},
    provider::{
        Provider,
        act::{Act, tokens},
    },
    sidecar::{Config, Sidecar},
};
use http::Method;
use serde_json::json;
use tempfile::NamedTempFile;
use tonic::{Code, Request, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::support::{hello, ms};

/// A sidecar behind tokens, its provider, and the tokens' file.
struct Guarded {
    provider: Provider,
    sidecar: Sidecar,
    tokens: NamedTempFile,
}

impl Guarded {
    async fn start(act: Act) -> Self {
        let tokens = NamedTempFile::new().unwrap();
        fs::write(tokens.path(), "# team a\nknown-1\n\nknown-2\n").unwrap();
        let provider = Provider::start(act).await;
        let sidecar = Sidecar::start(Config::one(&provider).with(guarded_by(&tokens))).await;
        Self { provider, sidecar, tokens }
    }

    /// The status of a call at the OpenAI door.
    async fn http(&self, authorization: Option<&str>) -> u16 {
        let call = self.sidecar.http().chat(&hello("chat", false));
        let call = match authorization {
            Some(value) => call.header("authorization", value),
            None => call,
        };
        call.send().await.status.as_u16()
    }

    /// How a call at the gRPC door ends.
    async fn grpc(&self, authorization: Option<&str>) -> Result<(), Status> {
        let answer = self.sidecar.grpc().await.generate(with(ask("hello"), authorization)).await;
        answer.map(drop)
    }
}

fn guarded_by(tokens: &NamedTempFile) -> serde_json::Value {
    json!({"auth": {"tokens_file": tokens.path()}})
}

fn with<T>(message: T, authorization: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", value.parse().unwrap());
    }
    request
}

const UNKNOWN: [Option<&str>; 6] =
    [None, Some("Bearer nobody's"), Some("Bearer known-"), Some("Bearer"), Some("Basic known-1"), Some("known-1")];

#[tokio::test]
async fn without_a_known_token_the_openai_door_says_401_in_the_contracts_shape() {
    let guarded = Guarded::start(tokens(1)).await;
    let http = guarded.sidecar.http();
    for authorization in UNKNOWN {
        for (method, path) in [
            (Method::POST, "/v1/chat/completions"),
            (Method::POST, "/v1/completions"),
            (Method::POST, "/v1/embeddings"),
            (Method::GET, "/v1/models"),
            (Method::GET, "/v1/models/chat"),
            (Method::GET, "/nowhere"),
        ] {
            let mut request = http.request(method, path, hello("chat", true).to_string());
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let answer = request.header("x-correlation-id", "the-call").send().await;
            let what = format!("{authorization:?} at {path}: {}", answer.everything());
            assert_eq!(answer.status, 401, "{what}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
            assert_eq!(answer.header("x-correlation-id"), Some("the-call"), "{what}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{what}");
            let error = answer.error();
            assert_eq!(error["type"], "authentication", "{what}");
            assert_eq!(error["retryable"], false, "{what}");
            assert_eq!(error["correlation_id"], "the-call", "{what}");
            assert!(!answer.everything().contains("known-1"), "{what}");
        }
    }
    assert_eq!(guarded.provider.calls(), 0, "nobody without a token costs a provider anything");
}

#[tokio::test]
async fn without_a_known_token_the_grpc_door_says_unauthenticated_with_the_contracts_details() {
    let guarded = Guarded::start(tokens(1)).await;
    let mut client = guarded.sidecar.grpc().await;
    for authorization in UNKNOWN {
        let refusals = [
            client.generate(with(ask("hello"), authorization)).await.map(drop),
            client.stream_generate(with(ask("hello"), authorization)).await.map(drop),
            client.embed(with(EmbedRequest::default(), authorization)).await.map(drop),
            client.generate_image(with(GenerateImageRequest::default(), authorization)).await.map(drop),
        ];
        for refused in refusals {
            let refused = refused.expect_err("nobody's call");
            assert_eq!(refused.metadata().get("www-authenticate").unwrap(), "Bearer");
            let told = told(&refused);
            assert_eq!(told.code, Code::Unauthenticated, "{authorization:?}: {told:?}");
            assert_eq!((told.kind.as_str(), told.domain.as_str()), ("authentication", "fusebox"));
            assert_eq!(told.retryable.as_deref(), Some("false"));
            assert!(told.correlation_id.is_some_and(|id| !id.is_empty()));
        }
    }
    assert_eq!(guarded.provider.calls(), 0, "nobody without a token costs a provider anything");
}

#[tokio::test]
async fn a_known_token_may_call_and_is_not_passed_on() {
    let guarded = Guarded::start(tokens(1)).await;
    for token in ["Bearer known-1", "bearer known-2"] {
        assert_eq!(guarded.http(Some(token)).await, 200);
        guarded.grpc(Some(token)).await.unwrap();
    }
    let seen = guarded.provider.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|call| !format!("{:?}", call.headers).contains("known")), "{seen:#?}");
    assert!(!guarded.sidecar.log().contains("known-"), "{}", guarded.sidecar.log());
}

#[tokio::test]
async fn a_caller_without_a_token_is_refused_before_its_body_is_there() {
    let guarded = Guarded::start(tokens(1)).await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n{";
    let began = std::time::Instant::now();
    let answer = guarded.sidecar.http().wire(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(began.elapsed() < ms(2000));
}

#[tokio::test]
async fn health_reflection_and_the_admin_port_ask_for_no_token() {
    let guarded = Guarded::start(tokens(1)).await;
    let channel = guarded.sidecar.channel().await;
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::iter([request])).await;
    assert!(answers.unwrap().into_inner().message().await.unwrap().is_some());
    for path in ["/livez", "/readyz", "/health", "/status", "/metrics"] {
        assert_eq!(guarded.sidecar.admin().get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn tokens_are_exchanged_by_editing_their_file() {
    let guarded = Guarded::start(tokens(1)).await;
    assert_eq!(guarded.http(Some("Bearer known-1")).await, 200);
    fs::write(guarded.tokens.path(), "new\n").unwrap();
    guarded.sidecar.logged("the new tokens", |line| line.contains("loaded anew")).await;
    assert_eq!(guarded.http(Some("Bearer known-1")).await, 401);
    assert_eq!(guarded.grpc(Some("Bearer known-1")).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(guarded.http(Some("Bearer new")).await, 200);
    guarded.grpc(Some("Bearer new")).await.unwrap();
}

#[tokio::test]
async fn a_tokens_file_that_has_become_empty_opens_the_door_to_nobody() {
    let guarded = Guarded::start(tokens(1)).await;
    fs::write(guarded.tokens.path(), "\n# nobody\n").unwrap();
    guarded.sidecar.signal("HUP").await;
    guarded
        .sidecar
        .logged("the refusal", |line| line.contains("auth.tokens_file") && line.contains("holds no token"))
        .await;
    assert_eq!(guarded.http(None).await, 401);
    assert_eq!(guarded.http(Some("Bearer known-1")).await, 200, "the last good tokens stay");
}

#[tokio::test]
async fn a_tokens_file_without_a_token_is_refused_at_the_start() {
    let provider = Provider::start(tokens(1)).await;
    let empty = NamedTempFile::new().unwrap();
    let comments = NamedTempFile::new().unwrap();
    fs::write(comments.path(), "# only a comment\n\n").unwrap();
    let missing = empty.path().with_extension("missing");
    for (file, why) in [(empty.path(), "no token"), (comments.path(), "no token"), (&missing, "cannot be read")] {
        let config = Config::one(&provider).with(json!({"auth": {"tokens_file": file}}));
        let output = Sidecar::run(&["run"], &config).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("auth.tokens_file") && said.contains(why), "{said}");
        assert!(said.contains(file.to_str().unwrap()), "{said}");
    }
}
