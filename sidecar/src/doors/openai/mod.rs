//! The OpenAI door: chat completions, completions, embeddings, images and models, over HTTP/1.1 and HTTP/2.

mod body;
mod head;
mod render;

use std::{convert::Infallible, sync::Arc, time::Duration};

pub use body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::timeout;

use self::{head::Head, render::Word};
use crate::{
    call::{Call, Engine, Options, Reply, Token, correlation, unknown_model},
    chat::{parse::admit, request::Operation},
    clock,
    doors::{Bounded, MaxBody},
    error::{ErrorKind, Failure},
    provider::http::Gathered,
    telemetry::{Door, Refusal},
};

/// How long a caller may take to send a body whose head has come.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// Says whether the holder of a bearer token, or of none, may call.
pub type Authorise = Arc<dyn Fn(Option<&str>) -> bool + Send + Sync>;

/// What the door needs of the rest.
pub struct OpenAi<E> {
    /// What answers calls.
    pub engine: Arc<E>,
    /// Who may call.
    pub authorise: Authorise,
    /// How large a request may be.
    pub max_body: MaxBody,
    /// How much a request's content may be.
    pub bounds: Bounded,
    /// The names that callers may use, for `/v1/models`.
    pub models: Arc<dyn Fn() -> Vec<Arc<str>> + Send + Sync>,
}

/// Which endpoint a request is for.
enum Route {
    Call(Operation),
    Models,
    Model(String),
}

impl<E: Engine> OpenAi<E> {
    /// Answers one request. Dropping the future, or the body that it gives, stops the work behind it.
    ///
    /// # Errors
    /// Never: what goes wrong is an answer too.
    pub async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let arrived = clock::now();
        let (parts, body) = request.into_parts();
        let head = Head::of(&parts.headers);
        let id = correlation::taken_or_made(head.correlation_id.map(http::HeaderValue::as_bytes));
        let refused = |failure: Failure, word: Option<Word>, operation: Option<Operation>| {
            let (correlation_id, trace) = (&id, &head.trace);
            let refusal = Refusal { failure: &failure, correlation_id, arrived, door: Door::Http, operation, trace };
            self.engine.refused(&refusal);
            Ok(render::refusal(&failure, &id, word))
        };
        let token = Token::of(&parts.headers);
        if !(self.authorise)(token.as_ref().map(Token::as_str)) {
            return refused(
                Failure::new(ErrorKind::Authentication, "the bearer token is missing or not known here"),
                None,
                None,
            );
        }
        let operation = match route(&parts.method, parts.uri.path()) {
            Ok(Route::Call(operation)) => operation,
            Ok(Route::Models) => return Ok(render::models(&(self.models)(), &id)),
            Ok(Route::Model(name)) => {
                return Ok(match (self.models)().into_iter().find(|model| **model == *name) {
                    Some(model) => render::model(&model, &id),
                    None => render::refusal(&unknown_model(&name), &id, None),
                });
            }
            Err(wrong) => {
                let (word, failure) = *wrong;
                return refused(failure, Some(word), None);
            }
        };
        let options = head.options();
        let timeout = options.as_ref().ok().and_then(|(_, timeout)| *timeout);
        let patience = timeout.map(|timeout| (arrived + timeout).since(clock::now()));
        let body = match read_body(body, (self.max_body)(), patience).await {
            Ok(body) => body,
            Err((status, failure)) => return refused(failure, status.map(Word::from), Some(operation)),
        };
        let (options, request) = match both(options, admit(operation, body, (self.bounds)())) {
            Ok(((options, _), request)) => (Options { token, ..options }, request),
            Err(failure) => return refused(failure, None, Some(operation)),
        };
        let trace = head.trace;
        let call = Call { request, door: Door::Http, arrived, timeout, correlation_id: id, options, trace };
        Ok(match self.engine.answer(call).await {
            Ok(answered) => match answered.reply {
                Reply::Whole(whole) => render::whole(whole.body, &answered.outcome),
                Reply::Stream(stream) => render::stream(stream, &answered.outcome),
            },
            Err(refused) => render::refused(&refused),
        })
    }
}

/// What the head and the body say, or the faults of both at once.
fn both<H, B>(head: Result<H, Failure>, body: Result<B, Failure>) -> Result<(H, B), Failure> {
    match (head, body) {
        (Ok(head), Ok(body)) => Ok((head, body)),
        (Err(mut head), Err(body)) => {
            head.fields.extend(body.fields);
            Err(Failure::fields(head.fields))
        }
        (Err(failure), _) | (_, Err(failure)) => Err(failure),
    }
}

fn route(method: &Method, path: &str) -> Result<Route, Box<(Word, Failure)>> {
    let (route, expected) = match path {
        "/v1/chat/completions" => (Route::Call(Operation::Chat), Method::POST),
        "/v1/completions" => (Route::Call(Operation::Completion), Method::POST),
        "/v1/embeddings" => (Route::Call(Operation::Embed), Method::POST),
        "/v1/images/generations" => (Route::Call(Operation::Image), Method::POST),
        "/v1/models" => (Route::Models, Method::GET),
        other => match other.strip_prefix("/v1/models/").filter(|name| !name.is_empty()) {
            Some(name) => (Route::Model(percent_decoded(name)), Method::GET),
            None => {
                let message = format!(
                    "no endpoint at {}; there are /v1/chat/completions, /v1/completions, /v1/embeddings, \
                     /v1/images/generations and /v1/models",
                    path.chars().take(80).collect::<String>()
                );
                return Err(Box::new((StatusCode::NOT_FOUND.into(), Failure::new(ErrorKind::InvalidInput, message))));
            }
        },
    };
    if *method == expected || (expected == Method::GET && *method == Method::HEAD) {
        return Ok(route);
    }
    let message = format!("{path} takes {expected}, not {method}");
    let word = Word { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(expected) };
    Err(Box::new((word, Failure::new(ErrorKind::InvalidInput, message))))
}

/// `text` with `%2F` and the like as the bytes that they stand for. What stands for none is left as it is.
fn percent_decoded(text: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let escaped = match others {
            [high, low, ..] if *first == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &others[2..];
        } else {
            bytes.push(*first);
            rest = others;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The body, whole, within `patience` if the caller has told it.
///
/// # Errors
/// Why not, and the status where HTTP has a better word than the table.
async fn read_body(
    body: Incoming,
    limit: usize,
    patience: Option<Duration>,
) -> Result<Bytes, (Option<StatusCode>, Failure)> {
    use http_body::Body as _;
    let too_large = || {
        let message = format!("the body is larger than the {limit} bytes allowed by limits.max_body");
        (Some(StatusCode::PAYLOAD_TOO_LARGE), Failure::new(ErrorKind::InvalidInput, message))
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let cut = |error: String| Failure::new(ErrorKind::InvalidInput, format!("the body did not arrive: {error}"));
    let mut read = Gathered::default();
    let mut body = std::pin::pin!(body);
    let gather = async {
        while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|error| (Some(StatusCode::BAD_REQUEST), cut(error.to_string())))?;
            if let Ok(data) = frame.into_data() {
                read.add(data);
                if read.len() > limit {
                    return Err(too_large());
                }
            }
        }
        Ok(())
    };
    match timeout(patience.unwrap_or(BODY_TIMEOUT).min(BODY_TIMEOUT), gather).await {
        Ok(Ok(())) => Ok(read.into_bytes()),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) if patience.is_some_and(|patience| patience <= BODY_TIMEOUT) => {
            Err((None, Failure::new(ErrorKind::InferenceTimeout, "the deadline passed before the body had arrived")))
        }
        Err(_) => {
            let failure = cut(format!("it was not all sent within {} s", BODY_TIMEOUT.as_secs()));
            Err((Some(StatusCode::REQUEST_TIMEOUT), failure))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_name_may_be_escaped() {
        for (sent, meant) in [
            ("llama", "llama"),
            ("meta%2Fllama%2f3", "meta/llama/3"),
            ("gr%C3%B6%C3%9Fe", "größe"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%zz%+1", "%zz%+1"),
            ("a+b", "a+b"),
        ] {
            let route = route(&Method::GET, &format!("/v1/models/{sent}"));
            assert!(matches!(route, Ok(Route::Model(name)) if name == meant), "{sent}");
        }
    }
}
