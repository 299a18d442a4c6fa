//! What the tests over the wire are made of: a door on a port of its own, and an engine that answers by script.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use fusebox_base::serve::{self as serving, Connections, bind};
use fusebox_proto::v1::{self, inference_service_client::InferenceServiceClient};
use futures_util::{future::BoxFuture, stream};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
    service::TowerToHyperService,
};
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, transport::Channel};
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

use super::super::{Authorize, Door, Health, guard::Guard};
use crate::{
    call::{
        Answered, Call, Engine, Refused, Reply,
        outcome::{Outcome, Source},
        stream::{Script, Stream},
    },
    chat::{
        answer::{Chunk, Finish, Usage, Whole},
        bounds::Bounds,
    },
    error::{ErrorKind, Failure},
    telemetry::Refusal,
};

const MAX_MESSAGE: usize = 64 * 1024;

pub(super) type Answer = Result<Answered, Box<Refused>>;

/// Answers every call as `script` does, and remembers what it was asked.
pub(super) struct Scripted {
    script: Box<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>,
    pub(super) calls: Mutex<Vec<Call>>,
    /// What was refused before it was a call.
    pub(super) refusals: Mutex<Vec<ErrorKind>>,
}

impl Engine for Scripted {
    fn answer(&self, call: Call) -> impl Future<Output = Answer> + Send {
        self.calls.lock().push(call.clone());
        (self.script)(call)
    }

    fn refused(&self, refusal: &Refusal<'_>) {
        self.refusals.lock().push(refusal.failure.kind);
    }
}

/// A door on a port of its own, open until this is dropped.
pub(super) struct Served {
    pub(super) engine: Arc<Scripted>,
    pub(super) health: Health,
    pub(super) uri: String,
    pub(super) draining: CancellationToken,
    pub(super) server: JoinSet<()>,
}

impl Served {
    pub(super) async fn channel(&self) -> Channel {
        Channel::from_shared(self.uri.clone()).unwrap().connect().await.unwrap()
    }

    pub(super) async fn client(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel().await)
    }

    /// A client without tonic's own timers.
    pub(super) fn patient_client(&self) -> InferenceServiceClient<Client<HttpConnector, tonic::body::Body>> {
        InferenceServiceClient::with_origin(plain_client(), self.uri.parse().unwrap())
    }

    pub(super) async fn health_client(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel().await)
    }

    pub(super) fn only_call(&self) -> Call {
        let calls = self.engine.calls.lock();
        assert_eq!(calls.len(), 1);
        calls[0].clone()
    }
}

pub(super) fn plain_client() -> Client<HttpConnector, tonic::body::Body> {
    Client::builder(TokioExecutor::new()).http2_only(true).build(HttpConnector::new())
}

pub(super) async fn serve_to(
    authorize: Authorize,
    script: impl Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static,
) -> Served {
    let engine = Arc::new(Scripted { script: Box::new(script), calls: Mutex::default(), refusals: Mutex::default() });
    let connections = connections();
    let draining = connections.draining.clone();
    let health = Health::starting().await;
    let door = Door {
        engine: Arc::clone(&engine),
        authorize,
        max_message: Arc::new(|| MAX_MESSAGE),
        bounds: Arc::new(|| Bounds::NONE),
        health: health.clone(),
    };
    let routes = TowerToHyperService::new(door.routes().unwrap());
    let (address, mut listeners) = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let listener = listeners.remove(0);
    let mut server = JoinSet::new();
    server.spawn(async move { connections.serve(listener, routes).await.unwrap() });
    Served { engine, health, uri: format!("http://{address}"), draining, server }
}

/// The service behind its guard, without a connection.
pub(super) fn guarded(script: impl Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Guard<Scripted> {
    let engine = Arc::new(Scripted { script: Box::new(script), calls: Mutex::default(), refusals: Mutex::default() });
    Guard {
        engine,
        authorize: Arc::new(|_| true),
        max_message: Arc::new(|| MAX_MESSAGE),
        bounds: Arc::new(|| Bounds::NONE),
    }
}

fn connections() -> Connections<()> {
    let bounds = serving::Bounds {
        max_connections: 100,
        max_headers: 16 * 1024,
        header_timeout: Duration::from_secs(10),
        max_streams: 100,
    };
    Connections { bounds, tls: None, open: Arc::default(), count: (), draining: CancellationToken::new() }
}

pub(super) async fn serve(script: impl Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync + 'static) -> Served {
    serve_to(Arc::new(|_| true), script).await
}

pub(super) fn outcome(call: &Call, source: Option<Source>) -> Outcome {
    Outcome {
        source,
        quality: crate::call::outcome::Quality::Full,
        limited: false,
        level: fusebox_rules::degradation::Level::Full,
        age: None,
        provider: source.map(|_| "p".into()),
        provider_model: None,
        warnings: Vec::new(),
        attempts: Vec::new(),
        correlation_id: Arc::clone(&call.correlation_id),
        image: fusebox_rules::image::Measure::default(),
    }
}

pub(super) fn answered(call: &Call, reply: Reply) -> Answer {
    Ok(Answered { outcome: outcome(call, Some(Source::Primary)), reply })
}

pub(super) fn refused(call: &Call, failure: Failure) -> Answer {
    Err(Box::new(Refused { failure, outcome: outcome(call, None) }))
}

pub(super) fn completion(text: &str) -> Reply {
    let body = serde_json::json!({"id": "r", "choices": [{"message": {"content": text}}]});
    Reply::Whole(Whole {
        body: Bytes::from(body.to_string()),
        finish: Some(Finish::Stop),
        usage: Some(Usage { input_tokens: 1, output_tokens: 2 }),
        model: None,
    })
}

pub(super) fn say(text: &str) -> Result<Chunk, Failure> {
    let event = serde_json::json!({"id": "r", "choices": [{"delta": {"content": text}}]});
    Ok(Chunk { events: Bytes::from(format!("data: {event}\n\n")), tokens: 1, ..Chunk::default() })
}

pub(super) fn finish() -> Result<Chunk, Failure> {
    Ok(Chunk { finish: Some(Finish::Stop), ..Chunk::default() })
}

pub(super) fn streamed(call: &Call, items: Vec<Result<Chunk, Failure>>) -> Reply {
    streaming(call, stream::iter(items))
}

pub(super) fn streaming(
    call: &Call,
    events: impl futures_core::Stream<Item = Result<Chunk, Failure>> + Send + 'static,
) -> Reply {
    let outcome = outcome(call, Some(Source::Primary));
    Reply::Stream(Stream::Scripted(Box::new(Script { outcome, events: Box::pin(events) })))
}

pub(super) fn hello() -> v1::GenerateRequest {
    let part = v1::Part { kind: Some(v1::part::Kind::Text("hello".into())) };
    let message = v1::Message { role: v1::Role::User.into(), content: vec![part], ..v1::Message::default() };
    v1::GenerateRequest { model: "chat".into(), messages: vec![message], ..v1::GenerateRequest::default() }
}

pub(super) fn with(metadata: &[(&'static str, &str)]) -> Request<v1::GenerateRequest> {
    let mut request = Request::new(hello());
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    request
}

pub(super) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// Tells through its other half that it was dropped.
pub(super) fn watched() -> (oneshot::Sender<()>, oneshot::Receiver<()>) {
    oneshot::channel()
}
