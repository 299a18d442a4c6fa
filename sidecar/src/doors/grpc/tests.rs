mod fixture;

use std::{future::pending, time::Duration};

use bytes::Bytes;
use fusebox_proto::v1;
use fusebox_rules::deadline::MAX_DEADLINE;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{sync::oneshot, task::JoinSet};
use tonic::{Code, Request, Status, codec::CompressionEncoding};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus};
use tonic_types::StatusExt as _;
use tower_service::Service as _;

use self::fixture::{
    answered, completion, finish, guarded, hello, plain_client, reason, refused, say, serve, serve_to, streamed,
    streaming, watched, with,
};
use super::*;
use crate::{
    call::{Options, Reply},
    chat::{answer::Whole, request::Operation},
    clock,
    error::{ErrorKind, Failure},
};

#[tokio::test]
async fn a_call_is_answered_and_all_that_it_said_reaches_the_engine() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let before = clock::now();
    let request = with(&[
        ("x-correlation-id", "mine-1"),
        ("grpc-timeout", "30S"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("x-fusebox-run-id", "run-1"),
        ("grpc-previous-rpc-attempts", "1"),
    ]);
    let response = served.client().await.generate(request).await.unwrap();
    assert_eq!(response.metadata().get("x-correlation-id").unwrap(), "mine-1");
    let answer = response.into_inner();
    assert_eq!(answer.outcome.unwrap().correlation_id, "mine-1");
    assert_eq!(answer.finish_reason, i32::from(v1::FinishReason::Stop));
    let call = served.only_call();
    assert_eq!(call.request.operation, Operation::Chat);
    assert_eq!(call.request.body, r#"{"model":"chat","messages":[{"role":"user","content":"hello"}]}"#);
    assert_eq!(call.request.model_span, Some(9..15));
    assert_eq!(call.timeout, Some(Duration::from_secs(30)));
    assert!(before <= call.arrived && call.arrived <= clock::now());
    assert!(call.trace.parent.is_some());
    let expected = Options { retries_before: 1, run_id: Some("run-1".into()), ..Options::default() };
    assert_eq!(call.options, expected);
}

#[tokio::test]
async fn a_call_without_an_id_is_given_one() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let response = served.client().await.generate(hello()).await.unwrap();
    let id = response.metadata().get("x-correlation-id").unwrap().to_str().unwrap();
    assert_eq!(id, &*served.only_call().correlation_id);
    assert_eq!(id.len(), 32);
}

#[tokio::test]
async fn a_refusal_is_told_in_full() {
    let served = serve(|call| {
        let failure = Failure::new(ErrorKind::RateLimited, "later").wait(Some(Duration::from_secs(2)));
        async move { refused(&call, failure) }.boxed()
    })
    .await;
    let mut client = served.client().await;
    let status = client.generate(with(&[("x-correlation-id", "mine-2")])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::ResourceExhausted, "RATE_LIMITED"));
    assert_eq!(status.metadata().get("x-correlation-id").unwrap(), "mine-2");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "2000");
    assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
    let status = client.stream_generate(hello()).await.unwrap_err();
    assert_eq!(reason(&status), "RATE_LIMITED", "before a stream has begun, too");
}

#[tokio::test]
async fn a_wrong_request_reaches_no_engine_and_learns_every_fault() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let mut request = Request::new(v1::GenerateRequest {
        sampling: Some(v1::Sampling { top_p: Some(2.0), ..v1::Sampling::default() }),
        options: Some(v1::CallOptions { max_attempts: Some(0), ..v1::CallOptions::default() }),
        ..v1::GenerateRequest::default()
    });
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let status = served.client().await.generate(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let paths: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(paths, ["metadata.grpc-timeout", "messages", "sampling.top_p", "options.max_attempts"]);
    assert!(served.engine.calls.lock().is_empty());
    assert_eq!(*served.engine.refusals.lock(), [ErrorKind::InvalidInput], "but it is counted");
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let (tell, told) = oneshot::channel::<()>();
    let told = Mutex::new(Some(told));
    let served = serve(move |call| {
        let told = told.lock().take().unwrap();
        let rest = stream::once(told).flat_map(|_| stream::iter([say(" two"), finish()]));
        let reply = streaming(&call, stream::iter([say("one")]).chain(rest));
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    let response = served.client().await.stream_generate(with(&[("x-correlation-id", "mine-3")])).await.unwrap();
    assert_eq!(response.metadata().get("x-correlation-id").unwrap(), "mine-3");
    let mut messages = response.into_inner();
    // The engine says no more until the first word has been read here.
    assert_eq!(messages.message().await.unwrap().unwrap().text_delta, "one");
    tell.send(()).unwrap();
    assert_eq!(messages.message().await.unwrap().unwrap().text_delta, " two");
    let last = messages.message().await.unwrap().unwrap();
    assert_eq!(last.finish_reason(), v1::FinishReason::Stop);
    assert_eq!(last.outcome.unwrap().correlation_id, "mine-3");
    assert_eq!(messages.message().await.unwrap(), None);
    let call = served.only_call();
    assert!(call.request.stream);
}

#[tokio::test]
async fn a_stream_that_breaks_after_tokens_ends_with_an_error() {
    let broken = || Failure::new(ErrorKind::StreamBroken, "cut").by(&"p".into());
    let served = serve(move |call| {
        let reply = streamed(&call, vec![say("half"), finish(), Err(broken())]);
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    let response = served.client().await.stream_generate(with(&[("x-correlation-id", "mine-4")])).await.unwrap();
    let mut messages = response.into_inner();
    let half = messages.message().await.unwrap().unwrap();
    assert_eq!((half.text_delta.as_str(), half.finish_reason()), ("half", v1::FinishReason::Unspecified));
    let status = messages.message().await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STREAM_BROKEN"));
    assert_eq!(status.get_details_error_info().unwrap().metadata["provider"], "p");
    assert_eq!(status.metadata().get("x-correlation-id").unwrap(), "mine-4");
}

#[tokio::test]
async fn an_answer_in_the_other_shape_is_turned_or_refused() {
    let served = serve(|call| {
        let reply = if call.request.stream { completion("hi") } else { streamed(&call, vec![say("hi"), finish()]) };
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    let mut client = served.client().await;
    let mut messages = client.stream_generate(hello()).await.unwrap().into_inner();
    let only = messages.message().await.unwrap().unwrap();
    assert_eq!((only.text_delta.as_str(), only.finish_reason()), ("hi", v1::FinishReason::Stop));
    assert_eq!(messages.message().await.unwrap(), None);
    let status = client.generate(hello()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Internal, "INTERNAL_ERROR"));
}

#[tokio::test]
async fn texts_are_embedded() {
    let served = serve(|call| {
        let body = r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
        let whole = Whole { body: Bytes::from(body), finish: None, usage: None, model: None };
        async move { answered(&call, Reply::Whole(whole)) }.boxed()
    })
    .await;
    let request = v1::EmbedRequest { inputs: vec!["a".into(), "b".into()], ..v1::EmbedRequest::default() };
    let answer = served.client().await.embed(request).await.unwrap().into_inner();
    let values: Vec<_> = answer.embeddings.into_iter().map(|embedding| embedding.values).collect();
    assert_eq!(values, [[1.0], [2.0]]);
    assert_eq!(served.only_call().request.operation, Operation::Embed);
}

#[tokio::test]
async fn unknown_methods_are_refused_in_full() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let unknown = http::Request::post(format!("{}/fusebox.v1.InferenceService/Guess", served.uri));
    let unknown = unknown.header("content-type", "application/grpc").body(tonic::body::Body::empty()).unwrap();
    let response = plain_client().request(unknown).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unimplemented, "INVALID_INPUT"));
    assert!(status.metadata().contains_key("x-correlation-id"));
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_a_call_that_is_not_yet_answered() {
    let (begun, has_begun) = oneshot::channel();
    let (alive, dropped) = watched();
    let held = Mutex::new(Some((begun, alive)));
    let served = serve(move |_| {
        let (begun, alive) = held.lock().take().unwrap();
        async move {
            let _alive = alive;
            begun.send(()).unwrap();
            pending().await
        }
        .boxed()
    })
    .await;
    let mut client = served.client().await;
    let mut calls = JoinSet::new();
    calls.spawn(async move { client.generate(hello()).await });
    has_begun.await.unwrap();
    calls.abort_all();
    dropped.await.unwrap_err();
}

#[tokio::test]
async fn a_caller_that_goes_away_stops_a_stream_that_has_begun() {
    let (alive, dropped) = watched();
    let held = Mutex::new(Some(alive));
    let served = serve(move |call| {
        let alive = held.lock().take().unwrap();
        let endless = stream::poll_fn(move |_| {
            let _alive = &alive;
            std::task::Poll::Pending
        });
        let reply = streaming(&call, stream::iter([say("one")]).chain(endless));
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    let mut client = served.client().await;
    let mut messages = client.stream_generate(hello()).await.unwrap().into_inner();
    assert_eq!(messages.message().await.unwrap().unwrap().text_delta, "one");
    drop(messages);
    dropped.await.unwrap_err();
}

#[tokio::test]
async fn the_engine_has_the_first_word_on_a_deadline() {
    let served = serve(|call| {
        async move {
            tokio::time::sleep_until(clock::at(call.arrived + call.timeout.unwrap())).await;
            tokio::task::yield_now().await;
            refused(&call, Failure::new(ErrorKind::InferenceTimeout, "too late"))
        }
        .boxed()
    })
    .await;
    let client = served.patient_client();
    let mut calls = JoinSet::new();
    for wait in 80..120 {
        let mut client = client.clone();
        calls.spawn(async move { client.generate(with(&[("grpc-timeout", &format!("{wait}m"))])).await });
    }
    for status in calls.join_all().await {
        let status = status.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "too late"));
    }
}

#[tokio::test]
async fn a_call_that_outlives_its_deadline_is_dropped_and_told_so() {
    let (alive, dropped) = watched();
    let held = Mutex::new(Some(alive));
    let served = serve(move |_| {
        let alive = held.lock().take();
        async move {
            let _alive = alive;
            pending().await
        }
        .boxed()
    })
    .await;
    let status = served.patient_client().generate(with(&[("grpc-timeout", "60m")])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "INFERENCE_TIMEOUT"));
    assert!(status.metadata().contains_key("x-correlation-id"));
    dropped.await.unwrap_err();
    assert!(served.engine.refusals.lock().is_empty(), "the engine has counted it, as it was dropped");
}

#[tokio::test]
async fn a_message_that_never_comes_is_not_waited_for_past_the_deadline() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let silent = tonic::body::Body::new(http_body_util::StreamBody::new(stream::pending::<
        Result<http_body::Frame<Bytes>, Status>,
    >()));
    let request = http::Request::post(format!("{}/fusebox.v1.InferenceService/Generate", served.uri))
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "20m")
        .body(silent)
        .unwrap();
    let response = plain_client().request(request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "INFERENCE_TIMEOUT"));
    assert!(served.engine.calls.lock().is_empty());
    assert_eq!(*served.engine.refusals.lock(), [ErrorKind::InferenceTimeout]);
}

/// Under paused time no connection would do: the guard is asked directly.
#[tokio::test(start_paused = true)]
async fn a_message_that_never_comes_is_not_waited_for_for_ever_without_a_deadline() {
    let mut guard = guarded(|call| async move { answered(&call, completion("hi")) }.boxed());
    for timeout in [None, Some("99999999H")] {
        let mut request = http::Request::post("http://x/fusebox.v1.InferenceService/Generate")
            .header("content-type", "application/grpc");
        if let Some(timeout) = timeout {
            request = request.header("grpc-timeout", timeout);
        }
        let silent = tonic::body::Body::new(http_body_util::StreamBody::new(stream::pending::<
            Result<http_body::Frame<Bytes>, Status>,
        >()));
        let began = clock::now();
        let response = guard.call(request.body(silent).unwrap()).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout:?}");
        let waited = clock::now().since(began);
        assert!(waited >= MAX_DEADLINE && waited < MAX_DEADLINE + Duration::from_secs(1), "{timeout:?}: {waited:?}");
    }
}

#[tokio::test]
async fn both_compressions_are_read_and_written() {
    let long = "word ".repeat(4000);
    let served = serve(move |call| {
        let reply = completion(&long);
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Zstd] {
        let mut client = served.client().await.send_compressed(encoding).accept_compressed(encoding);
        let response = client.generate(hello()).await.unwrap();
        let written = response.metadata().get("grpc-encoding").unwrap().to_str().unwrap();
        assert_eq!(written, if encoding == CompressionEncoding::Gzip { "gzip" } else { "zstd" });
        assert_eq!(response.into_inner().message.unwrap().content.len(), 1);
    }
    let plain = served.client().await.generate(hello()).await.unwrap();
    assert!(plain.metadata().get("grpc-encoding").is_none(), "unasked, nothing is compressed");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_in_full() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let model = "m".repeat(5 << 20);
    let mut client = served.client().await;
    for encoding in [None, Some(CompressionEncoding::Zstd)] {
        if let Some(encoding) = encoding {
            client = client.send_compressed(encoding);
        }
        let status = client.generate(v1::GenerateRequest { model: model.clone(), ..hello() }).await.unwrap_err();
        let limited = matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted);
        assert!(limited, "{encoding:?}: {status:?}");
        assert_eq!(reason(&status), "INVALID_INPUT");
    }
    assert!(served.engine.calls.lock().is_empty());
    assert_eq!(*served.engine.refusals.lock(), [ErrorKind::InvalidInput; 2]);
}

#[tokio::test]
async fn only_those_with_leave_may_call_but_anyone_may_ask_for_health() {
    let authorize: Authorize = Arc::new(|token| token == Some("open"));
    let served = serve_to(authorize, |call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let mut client = served.client().await;
    for token in ["Bearer shut", "Basic open", "open"] {
        let status = client.generate(with(&[("authorization", token)])).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unauthenticated, "AUTHENTICATION"), "{token}");
    }
    let status = client.stream_generate(hello()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.metadata().contains_key("x-correlation-id"));
    assert!(served.engine.calls.lock().is_empty());
    assert_eq!(*served.engine.refusals.lock(), [ErrorKind::Authentication; 4]);
    client.generate(with(&[("authorization", "Bearer open")])).await.unwrap();
    served.health_client().await.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn health_is_told_for_the_server_and_for_its_service() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let mut client = served.health_client().await;
    for (serving, expected) in [
        (None, ServingStatus::NotServing),
        (Some(true), ServingStatus::Serving),
        (Some(false), ServingStatus::NotServing),
    ] {
        if let Some(serving) = serving {
            served.health.serving(serving).await;
        }
        for service in ["", "fusebox.v1.InferenceService"] {
            let answer = client.check(HealthCheckRequest { service: service.into() }).await.unwrap();
            assert_eq!(answer.into_inner().status(), expected, "{service:?} {serving:?}");
        }
    }
    let status = client.check(HealthCheckRequest { service: "another".into() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_drain_tells_the_watchers_and_waits_for_calls_but_not_for_them() {
    let (tell, told) = oneshot::channel::<()>();
    let told = Mutex::new(Some(told));
    let mut served = serve(move |call| {
        let told = told.lock().take().unwrap();
        let rest = stream::once(told).flat_map(|_| stream::iter([finish()]));
        let reply = streaming(&call, stream::iter([say("one")]).chain(rest));
        async move { answered(&call, reply) }.boxed()
    })
    .await;
    served.health.serving(true).await;
    let mut watch = served.health_client().await.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let mut messages = served.client().await.stream_generate(hello()).await.unwrap().into_inner();
    assert_eq!(messages.message().await.unwrap().unwrap().text_delta, "one");
    served.health.model("chat", true).await;
    let chat = HealthCheckRequest { service: "chat".into() };
    let mut model = served.health_client().await.watch(chat.clone()).await.unwrap().into_inner();
    assert_eq!(model.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    served.health.drain(["chat"]).await;
    assert_eq!(model.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(model.message().await.unwrap(), None);
    let answer = served.health_client().await.check(chat).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::NotServing);
    served.draining.cancel();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(watch.message().await.unwrap(), None);
    tell.send(()).unwrap();
    assert_eq!(messages.message().await.unwrap().unwrap().finish_reason(), v1::FinishReason::Stop);
    assert_eq!(messages.message().await.unwrap(), None);
    served.server.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    let served = serve(|call| async move { answered(&call, completion("hi")) }.boxed()).await;
    let expected = [
        "fusebox.v1.InferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    macro_rules! listed {
        ($version:ident) => {{
            use tonic_reflection::pb::$version::{
                ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
                server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
            };
            let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
            let mut client = ServerReflectionClient::new(served.channel().await);
            let asked = stream::iter([
                ask(MessageRequest::ListServices(String::new())),
                ask(MessageRequest::FileContainingSymbol("fusebox.v1.InferenceService".into())),
            ]);
            let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
            let list = answers.message().await.unwrap().unwrap().message_response.unwrap();
            let MessageResponse::ListServicesResponse(list) = list else { panic!("{list:?}") };
            let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
            names.sort();
            assert_eq!(names, expected);
            let file = answers.message().await.unwrap().unwrap().message_response.unwrap();
            assert!(matches!(file, MessageResponse::FileDescriptorResponse(_)), "{file:?}");
        }};
    }
    listed!(v1);
    listed!(v1alpha);
}
