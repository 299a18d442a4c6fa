//! `InferenceService` for one call: its request to a [`Call`], the engine's answer back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use fusebox_proto::v1::{self, inference_service_server::InferenceService};
use serde::Serialize;
use tonic::{Request, Response, Status};

use super::{
    faults::Faults,
    from_chat,
    guard::unasked,
    image,
    into_chat::{self, How},
    options::{self, Caller},
    outcome::outcome,
    parts::Parts,
    status,
};
use crate::{
    call::{Answered, Call, Engine, Refused, Reply, stream::Stream},
    chat::{answer::Whole, bounds::Bounds, parse::admit, request::Operation},
    error::{ErrorKind, Failure},
    telemetry::Door,
};

/// Answers below this many bytes are sent as they are, even to a caller that reads compressed ones:
/// the compressor's set-up would cost more than the bytes.
const WORTH_COMPRESSING: usize = 1024;

/// The service as one caller meets it: what is known of the call before its message is read is a field here.
#[derive(Debug)]
pub(super) struct Inference<E> {
    pub(super) engine: Arc<E>,
    pub(super) caller: Caller,
    /// How much its request may hold.
    pub(super) bounds: Bounds,
    /// Set once the engine has the call: what becomes of it is the engine's to count.
    pub(super) asked: Arc<AtomicBool>,
}

impl<E: Engine> Inference<E> {
    /// `document`, if neither it nor what goes with it has a fault, as a call of this caller's.
    fn call(
        &self,
        operation: Operation,
        document: &impl Serialize,
        allowed: Option<v1::CallOptions>,
        mut faults: Faults,
    ) -> Result<Call, Failure> {
        let options = options::allowed(allowed, &self.caller, &mut faults);
        let body = serde_json::to_vec(document).map_err(|error| {
            Failure::new(ErrorKind::InternalError, "could not pass on the request").inside(error.to_string())
        })?;
        Ok(Call {
            // Images have been looked at as they came, which is cheaper than as they are written now.
            request: faults.settle(operation, admit(operation, Bytes::from(body), self.bounds.for_text()))?,
            door: Door::Grpc,
            arrived: self.caller.who.arrived,
            timeout: self.caller.timeout,
            correlation_id: Arc::clone(&self.caller.who.correlation_id),
            options,
            trace: self.caller.who.trace.clone(),
        })
    }

    async fn answer(&self, call: Result<Call, Failure>) -> Result<Answered, Status> {
        let call = call.map_err(|failure| unasked(&*self.engine, &self.caller.who, &failure))?;
        self.asked.store(true, Relaxed);
        self.engine.answer(call).await.map_err(|refused| status::refused(&refused))
    }

    fn faults(&self) -> Faults {
        self.caller.faults.clone()
    }
}

#[tonic::async_trait]
impl<E: Engine> InferenceService for Inference<E> {
    type StreamGenerateStream = Parts<Stream>;

    async fn generate(&self, request: Request<v1::GenerateRequest>) -> Result<Response<v1::GenerateResponse>, Status> {
        let mut request = request.into_inner();
        let (allowed, mut faults) = (request.options.take(), self.faults());
        let document = into_chat::chat(&request, How { stream: false, bounds: self.bounds }, &mut faults);
        let call = self.call(Operation::Chat, &document, allowed, faults);
        let answered = self.answer(call).await?;
        let answer = whole(answered, from_chat::completion)?;
        Ok(sized(answer))
    }

    async fn stream_generate(
        &self,
        request: Request<v1::GenerateRequest>,
    ) -> Result<Response<Self::StreamGenerateStream>, Status> {
        let mut request = request.into_inner();
        let (allowed, mut faults) = (request.options.take(), self.faults());
        let document = into_chat::chat(&request, How { stream: true, bounds: self.bounds }, &mut faults);
        let call = self.call(Operation::Chat, &document, allowed, faults);
        let answered = self.answer(call).await?;
        let how = answered.outcome.clone();
        let parts = match answered.reply {
            Reply::Stream(stream) => Parts::begun(stream, how).told_by(|stream| Some(stream.outcome())),
            Reply::Whole(_) => Parts::whole(whole(answered, from_chat::only_message)?, how),
        };
        Ok(Response::new(parts))
    }

    async fn embed(&self, request: Request<v1::EmbedRequest>) -> Result<Response<v1::EmbedResponse>, Status> {
        let mut request = request.into_inner();
        let (allowed, mut faults) = (request.options.take(), self.faults());
        let document = into_chat::embeddings(&request, &mut faults);
        let call = self.call(Operation::Embed, &document, allowed, faults);
        let answered = self.answer(call).await?;
        let answer = whole(answered, |whole, how| from_chat::embeddings(whole, request.inputs.len(), how))?;
        Ok(sized(answer))
    }

    async fn generate_image(
        &self,
        request: Request<v1::GenerateImageRequest>,
    ) -> Result<Response<v1::GenerateImageResponse>, Status> {
        let mut request = request.into_inner();
        let (allowed, mut faults) = (request.options.take(), self.faults());
        let document = image::body(&request, &mut faults);
        let call = self.call(Operation::Image, &document, allowed, faults);
        let answered = self.answer(call).await?;
        let asked = answered.outcome.image;
        let answer = whole(answered, |whole, how| image::answer(whole, asked, how))?;
        Ok(sized(answer))
    }
}

/// A whole answer in the contract's words. One that cannot be put into them is an error like any other.
fn whole<M>(
    answered: Answered,
    translate: impl FnOnce(&Whole, v1::Outcome) -> Result<M, Failure>,
) -> Result<M, Status> {
    let translated = match &answered.reply {
        Reply::Whole(whole) => translate(whole, outcome(&answered.outcome)),
        Reply::Stream(_) => Err(Failure::new(ErrorKind::InternalError, "the answer came in parts, unasked")),
    };
    translated.map_err(|failure| status::refused(&Refused { failure, outcome: answered.outcome }))
}

fn sized<M: prost::Message>(answer: M) -> Response<M> {
    let small = answer.encoded_len() < WORTH_COMPRESSING;
    let mut response = Response::new(answer);
    if small {
        response.disable_compression();
    }
    response
}
