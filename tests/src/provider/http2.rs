//! The same script over h2c. What breaks an HTTP/1.1 connection resets a stream here.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming as Body},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    stage::{Call, Incoming, Stage},
    steps::Step,
};

type Part = Result<Frame<Bytes>, io::Error>;
type Answer = Response<StreamBody<ReceiverStream<Part>>>;

/// Answers the streams of one connection until it ends.
pub(super) async fn serve(stream: TcpStream, stage: Arc<Stage>) {
    let service = service_fn(|request: Request<Body>| respond(request, Arc::clone(&stage)));
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(request: Request<Body>, stage: Arc<Stage>) -> Result<Answer, io::Error> {
    let (parts, body) = request.into_parts();
    let raw = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let (call, steps) = stage.enter(Incoming { method: parts.method, path, headers: parts.headers, raw });
    let mut leaving = Leaving { stage: Arc::clone(&stage), call, done: false };
    let mut steps = steps.into_iter();
    while let Some(step) = steps.next() {
        match step {
            Step::Wait(wait) => tokio::time::sleep(wait).await,
            Step::Hang => std::future::pending().await,
            Step::Head { status, headers, .. } => {
                let mut answer = Response::builder().status(status);
                for (name, value) in headers {
                    answer = answer.header(name, value);
                }
                leaving.done = true;
                let answer = answer.body(body_of(steps.collect(), stage, call));
                return answer.map_err(io::Error::other);
            }
            Step::HalfHead => {}
            _ => {
                leaving.done = true;
                stage.finished(call);
                break;
            }
        }
    }
    Err(io::ErrorKind::ConnectionReset.into())
}

/// Notes that the client has gone if the response is dropped before its head is sent.
struct Leaving {
    stage: Arc<Stage>,
    call: Call,
    done: bool,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.done {
            self.stage.gone(self.call);
        }
    }
}

fn body_of(steps: Vec<Step>, stage: Arc<Stage>, call: Call) -> StreamBody<ReceiverStream<Part>> {
    let (parts, body) = mpsc::channel(1);
    // Ends by itself: with the steps, or when the client drops the body.
    let mut task = JoinSet::new();
    task.spawn(async move {
        let played = tokio::select! {
            played = play(&steps, &parts, &stage, call) => played,
            () = parts.closed() => Err(()),
        };
        match played {
            Ok(()) => stage.finished(call),
            Err(()) => stage.gone(call),
        }
    });
    task.detach_all();
    StreamBody::new(ReceiverStream::new(body))
}

async fn play(steps: &[Step], parts: &mpsc::Sender<Part>, stage: &Stage, call: Call) -> Result<(), ()> {
    for step in steps {
        let part = match step {
            Step::Wait(wait) => {
                tokio::time::sleep(*wait).await;
                continue;
            }
            Step::Body(bytes) => {
                stage.sent(call, bytes);
                Ok(Frame::data(bytes.clone()))
            }
            Step::Forever(bytes, interval) => loop {
                tokio::time::sleep(*interval).await;
                parts.send(Ok(Frame::data(bytes.clone()))).await.map_err(drop)?;
            },
            Step::Hang => match std::future::pending::<Infallible>().await {},
            Step::End | Step::Head { .. } | Step::HalfHead => return Ok(()),
            Step::Cut | Step::Reset | Step::Wire(_) => Err(io::ErrorKind::ConnectionReset.into()),
        };
        let broken = part.is_err();
        parts.send(part).await.map_err(drop)?;
        if broken {
            return Ok(());
        }
    }
    Ok(())
}
