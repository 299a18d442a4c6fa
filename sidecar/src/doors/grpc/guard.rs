//! What holds for every call to `InferenceService` whatever its method, before its message is read and after it is answered.
//!
//! When it arrived and who calls is settled on the metadata alone, so that nobody without leave makes the sidecar
//! hold a message. Every response bears the correlation id, and every error the details, also those of the library.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use fusebox_proto::v1::inference_service_server::{InferenceServiceServer, SERVICE_NAME};
use fusebox_rules::deadline::MAX_DEADLINE;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tonic::{Status, body::Body, codec::CompressionEncoding, codegen::BoxFuture, server::NamedService};
use tower_service::Service;

use super::{
    Authorize,
    options::{Caller, Who},
    service::Inference,
    status,
};
use crate::{
    call::{Engine, Token, correlation},
    clock,
    doors::{Bounded, MaxBody},
    error::{ErrorKind, Failure},
    telemetry::{Door, Refusal},
};

/// How long the engine has, once a call's deadline is seen to have passed, to say so itself: it knows what was tried.
const GRACE: Duration = Duration::from_millis(5);

/// `InferenceService` behind its guard.
pub(super) struct Guard<E> {
    pub(super) engine: Arc<E>,
    pub(super) authorize: Authorize,
    pub(super) max_message: MaxBody,
    pub(super) bounds: Bounded,
}

impl<E: Engine> Guard<E> {
    /// The service for one call. It is not compressed for where it streams: a token is smaller than gzip's header.
    fn service(&self, caller: Caller, asked: Arc<AtomicBool>, streams: bool) -> InferenceServiceServer<Inference<E>> {
        let inference = Inference { engine: Arc::clone(&self.engine), caller, bounds: (self.bounds)(), asked };
        let server = InferenceServiceServer::new(inference)
            .max_decoding_message_size((self.max_message)())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        if streams {
            return server;
        }
        server.send_compressed(CompressionEncoding::Gzip).send_compressed(CompressionEncoding::Zstd)
    }
}

impl<E> NamedService for Guard<E> {
    const NAME: &'static str = SERVICE_NAME;
}

impl<E> Clone for Guard<E> {
    fn clone(&self) -> Self {
        let Self { engine, authorize, max_message, bounds } = self;
        Self {
            engine: Arc::clone(engine),
            authorize: Arc::clone(authorize),
            max_message: Arc::clone(max_message),
            bounds: Arc::clone(bounds),
        }
    }
}

impl<E: Engine> Service<Request<Body>> for Guard<E> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering<E> {
        let said = Caller::read(request.headers(), clock::now());
        let (engine, who) = (Arc::clone(&self.engine), said.who.clone());
        let patience = said.timeout.unwrap_or(MAX_DEADLINE).min(MAX_DEADLINE);
        let asked = Arc::new(AtomicBool::new(false));
        let work = if (self.authorize)(said.token.as_ref().map(Token::as_str)) {
            let streams = request.uri().path().ends_with("/StreamGenerate");
            Work::Serving(self.service(said, Arc::clone(&asked), streams).call(request))
        } else {
            let failure = Failure::new(ErrorKind::Authentication, "the bearer token is missing or not known here");
            Work::Refused(Some(unasked(&*engine, &who, &failure)))
        };
        let backstop = sleep_until(clock::at(who.arrived + patience));
        Answering { engine, who, asked, work, backstop, in_grace: false }
    }
}

/// Refuses a call that is none for the engine, which only counts it.
pub(super) fn unasked<E: Engine>(engine: &E, who: &Who, failure: &Failure) -> Status {
    tell(engine, who, failure);
    status::unasked(failure, &who.correlation_id)
}

fn tell<E: Engine>(engine: &E, who: &Who, failure: &Failure) {
    let Who { arrived, ref correlation_id, ref trace } = *who;
    engine.refused(&Refusal { failure, correlation_id, arrived, door: Door::Grpc, operation: None, trace });
}

pin_project! {
    /// A call to the service, on its way.
    pub(super) struct Answering<E> {
        engine: Arc<E>,
        who: Who,
        asked: Arc<AtomicBool>,
        work: Work,
        // For a caller whose message does not come before its deadline, or ever: until it has, nobody else watches it.
        #[pin]
        backstop: Sleep,
        in_grace: bool,
    }
}

enum Work {
    /// Boxed by the generated service.
    Serving(BoxFuture<Response<Body>, Infallible>),
    /// Answered, or about to be: with this, and without asking the engine.
    Refused(Option<Status>),
}

impl<E: Engine> Future for Answering<E> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Work::Serving(answer) = this.work {
            if let Poll::Ready(answered) = answer.as_mut().poll(cx) {
                return Poll::Ready(
                    answered.map(|response| stamped(completed(response, &**this.engine, this.who), this.who)),
                );
            }
            let mut backstop = this.backstop;
            ready!(backstop.as_mut().poll(cx));
            if !std::mem::replace(this.in_grace, true) {
                // Counted from here: on a busy thread both the engine's timer and this one are seen late.
                backstop.as_mut().reset(clock::at(clock::now() + GRACE));
                ready!(backstop.poll(cx));
            }
            let failure = Failure::new(ErrorKind::InferenceTimeout, "the deadline passed before there was an answer");
            // A call that the engine has is counted by it as it is dropped, and only there.
            if !this.asked.load(Relaxed) {
                tell(&**this.engine, this.who, &failure);
            }
            *this.work = Work::Refused(Some(status::unasked(&failure, &this.who.correlation_id)));
        }
        let Work::Refused(status) = this.work else { return Poll::Pending };
        let response = status.take().map(Status::into_http).unwrap_or_default();
        Poll::Ready(Ok(stamped(response, this.who)))
    }
}

/// `response`; if it is an error of the library's own, with what every error here carries.
fn completed<E: Engine>(response: Response<Body>, engine: &E, who: &Who) -> Response<Body> {
    let headers = response.headers();
    if !headers.contains_key(Status::GRPC_STATUS) || headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return response;
    }
    let Some(bare) = Status::from_header_map(headers) else { return response };
    let failure = status::cause_of(&bare);
    tell(engine, who, &failure);
    status::unasked_as(bare.code(), &failure, &who.correlation_id).into_http()
}

/// `response` under its call's correlation id.
fn stamped(mut response: Response<Body>, who: &Who) -> Response<Body> {
    if let Ok(id) = who.correlation_id.parse() {
        response.headers_mut().insert(correlation::HEADER, id);
    }
    response
}
