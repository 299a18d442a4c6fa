//! The one HTTP client: pooled, HTTP/1.1 and HTTP/2, TLS by the system's roots, proxies by environment.

use std::{env, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONTENT_TYPE, PROXY_AUTHORIZATION, USER_AGENT},
};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::{
        legacy::Client as Pooled,
        proxy::matcher::{Intercept, Matcher},
    },
    rt::{TokioExecutor, TokioTimer},
};

use super::{Ask, dial::Dialer, fault};
use crate::{
    config,
    error::{ErrorKind, Failure},
};

/// Servers of inference close idle connections early (uvicorn after 5 s): a plain one is dropped before
/// that, as dialling anew costs less than finding out. A TLS handshake is worth keeping for longer.
const PLAIN_IDLE: Duration = Duration::from_secs(4);
const TLS_IDLE: Duration = Duration::from_secs(55);
/// Idle connections kept to one provider.
const MAX_IDLE: usize = 1024;
/// Between two pings of an HTTP/2 connection on which an answer is awaited, and how long each may stay unanswered: many
/// calls share it, and all of them hang with it.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Bytes of an error's body that are read; what matters of it comes first.
const MAX_FAULT: usize = 64 * 1024;
/// How long is waited for all of it.
const FAULT_PATIENCE: Duration = Duration::from_millis(500);

/// A client for one provider. Its connections belong to the runtime that asks.
#[derive(Debug)]
pub struct Client {
    pool: Pooled<Dialer, Full<Bytes>>,
    headers: HeaderMap,
    max_answer: usize,
    /// Whether a proxy answers in the provider's place.
    by_proxy: bool,
}

impl Client {
    /// A client for `settings`, which sends `headers` with every request.
    ///
    /// # Errors
    /// What of the address, the system's roots or the proxy cannot be used.
    pub fn try_new(settings: &config::Provider, mut headers: HeaderMap, max_answer: usize) -> Result<Self, String> {
        let base: Uri = settings.base_url.parse().map_err(|error| format!("base_url is not a URL: {error}"))?;
        let secure = base.scheme_str() == Some("https");
        let proxy = proxy_for(&base);
        if let Some(auth) = proxy.as_ref().filter(|_| !secure).and_then(Intercept::basic_auth) {
            headers.insert(PROXY_AUTHORIZATION, auth.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("fusebox/", env!("CARGO_PKG_VERSION"))));
        let dialer = Dialer::try_new(settings.timeouts.connect, secure, proxy.as_ref())?;
        let pool = Pooled::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(if secure { TLS_IDLE } else { PLAIN_IDLE })
            .pool_max_idle_per_host(MAX_IDLE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .http2_keep_alive_timeout(KEEP_ALIVE)
            .http2_adaptive_window(true)
            .build(dialer);
        Ok(Self { pool, headers, max_answer, by_proxy: proxy.is_some() && !secure })
    }

    /// Sends `body` to `uri` and waits for the answer's head, which is given if its status is a success.
    ///
    /// # Errors
    /// `network_error`, or what the provider's error says.
    pub async fn post(&self, uri: Uri, body: Bytes, ask: &Ask<'_>) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers_for(ask);
        let response = self.pool.request(request).await.map_err(|error| no_answer(&error))?;
        if let Some(left) = ask.left {
            left.get_or_init(|| fault::left_in_headers(response.headers()));
        }
        if response.status().is_success() {
            return Ok(response);
        }
        if self.by_proxy && response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            // As where it refuses a tunnel: the call has not come as far as the provider.
            return Err(Failure::new(ErrorKind::NetworkError, "the proxy on the way to the provider refused the call"));
        }
        let (head, body) = response.into_parts();
        let body = read_fault(body).await;
        Err(fault::from_response(head.status.as_u16(), &head.headers, &body))
    }

    fn headers_for(&self, ask: &Ask<'_>) -> HeaderMap {
        const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
        const TIMEOUT: HeaderName = HeaderName::from_static("x-fusebox-timeout-ms");
        const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
        const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
        const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
        let mut headers = self.headers.clone();
        if let Ok(id) = HeaderValue::from_str(ask.correlation_id) {
            headers.insert(CORRELATION_ID, id);
        }
        headers.insert(TIMEOUT, HeaderValue::from(u64::try_from(ask.timeout.as_millis()).unwrap_or(u64::MAX)));
        if let Some(baggage) = &ask.trace.baggage {
            headers.insert(BAGGAGE, baggage.clone());
        }
        if let Some(parent) = &ask.trace.parent {
            headers.insert(TRACE_PARENT, parent.clone());
            if let Some(state) = &ask.trace.state {
                headers.insert(TRACE_STATE, state.clone());
            }
        }
        headers
    }

    /// Reads an answer that comes whole.
    ///
    /// # Errors
    /// `network_error` if it is cut short, `invalid_response` if it is longer than allowed.
    pub async fn read_whole(&self, mut body: Incoming) -> Result<Bytes, Failure> {
        let mut read = Gathered::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Failure::new(ErrorKind::NetworkError, "the provider's answer was cut short").inside(chain(&error))
            })?;
            if let Ok(data) = frame.into_data() {
                read.add(data);
                if read.len() > self.max_answer {
                    return Err(Failure::new(ErrorKind::InvalidResponse, "the provider's answer is too large")
                        .detail("max_answer_bytes", self.max_answer));
                }
            }
        }
        Ok(read.into_bytes())
    }

    /// Bytes that an answer, or one event of a stream, may have.
    #[must_use]
    pub const fn max_answer(&self) -> usize {
        self.max_answer
    }
}

/// The proxy that the environment names for `base`.
pub(super) fn proxy_for(base: &Uri) -> Option<Intercept> {
    // The matcher takes `*` for every name and for no address.
    let everything = |variable| env::var(variable).is_ok_and(|list| list.split(',').any(|entry| entry.trim() == "*"));
    if ["NO_PROXY", "no_proxy"].into_iter().any(everything) { None } else { Matcher::from_env().intercept(base) }
}

/// Frames put together; a single one is not copied.
#[derive(Default)]
pub struct Gathered {
    first: Bytes,
    more: BytesMut,
}

impl Gathered {
    /// Adds a frame's data.
    pub fn add(&mut self, data: Bytes) {
        if !self.more.is_empty() {
            self.more.extend_from_slice(&data);
        } else if self.first.is_empty() {
            self.first = data;
        } else {
            self.more.extend_from_slice(&self.first);
            self.more.extend_from_slice(&data);
            self.first = Bytes::new();
        }
    }

    /// Bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.more.len()
    }

    /// Whether there are none so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

/// Whether an answer's head announces `content_type`, or nothing.
pub(super) fn announces(head: &HeaderMap, content_type: &str) -> bool {
    let Some(value) = head.get(CONTENT_TYPE) else { return true };
    value.as_bytes().get(..content_type.len()).is_some_and(|start| start.eq_ignore_ascii_case(content_type.as_bytes()))
}

/// An error's body, or as much of it as comes in time: its head alone says most of what matters.
async fn read_fault(mut body: Incoming) -> Bytes {
    let mut read = Gathered::default();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                read.add(data);
            }
            if read.len() >= MAX_FAULT {
                break;
            }
        }
    };
    // Out of time or at the end: what came is what there is.
    let _ = tokio::time::timeout(FAULT_PATIENCE, reading).await;
    let mut bytes = read.into_bytes();
    bytes.truncate(MAX_FAULT);
    bytes
}

/// Reads what little is left of an answer that is complete, so that its connection can serve again.
pub(super) fn drain(mut body: Incoming) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const MAX_FRAMES: usize = 16;
    if body.is_end_stream() {
        return;
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "owned by its own timeout: a second at most, and nobody waits for it"
    )]
    tokio::spawn(tokio::time::timeout(PATIENCE, async move {
        for _ in 0..MAX_FRAMES {
            if body.frame().await.is_none_or(|frame| frame.is_err()) {
                break;
            }
        }
    }));
}

fn no_answer(error: &hyper_util::client::legacy::Error) -> Failure {
    let message = if error.is_connect() {
        "the provider could not be reached"
    } else {
        "the connection to the provider broke before it answered"
    };
    Failure::new(ErrorKind::NetworkError, message).inside(chain(error))
}

/// An error and all that caused it, for logs.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
