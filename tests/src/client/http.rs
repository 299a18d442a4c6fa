//! A small HTTP client: one pool a handle, nothing retried, nothing hidden.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::sse::{Reader, SseEvent};

/// How long a test waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client of one address.
#[derive(Debug, Clone)]
pub struct Http {
    address: SocketAddr,
    scheme: &'static str,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Http {
    /// A client that speaks HTTP/1.1 to `address`.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self::build(address, Speech::Plain { h2: false })
    }

    /// A client that speaks HTTP/2 without TLS, by prior knowledge.
    #[must_use]
    pub fn h2c(address: SocketAddr) -> Self {
        Self::build(address, Speech::Plain { h2: true })
    }

    /// A client that speaks TLS, and in it HTTP/1.1, or HTTP/2 where `h2` and the server offers it.
    #[must_use]
    pub fn tls(address: SocketAddr, tls: ClientConfig, h2: bool) -> Self {
        Self::build(address, Speech::Tls { tls: Box::new(tls), h2 })
    }

    fn build(address: SocketAddr, speech: Speech) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).retry_canceled_requests(false);
        let (scheme, tls, by_alpn) = match speech {
            Speech::Plain { h2 } => {
                builder.http2_only(h2);
                ("http", no_tls(), false)
            }
            Speech::Tls { tls, h2 } => ("https", *tls, h2),
        };
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = if by_alpn {
            https.enable_all_versions().wrap_connector(connector)
        } else {
            https.enable_http1().wrap_connector(connector)
        };
        Self { address, scheme, client: builder.build(connector) }
    }

    /// Where it calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A request to be sent.
    #[must_use]
    pub fn request(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Request {
        let builder = http::Request::builder().method(method).uri(format!("{}://{}{path}", self.scheme, self.address));
        Request { client: self.client.clone(), builder, body: body.into() }
    }

    /// A GET to be sent.
    #[must_use]
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path, Bytes::new())
    }

    /// A POST of JSON to be sent.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Request {
        self.post_raw(path, body.to_string())
    }

    /// A POST of these very bytes to be sent, as JSON.
    #[must_use]
    pub fn post_raw(&self, path: &str, body: impl Into<Bytes>) -> Request {
        self.request(Method::POST, path, body).header("content-type", "application/json")
    }

    /// A chat to be sent.
    #[must_use]
    pub fn chat(&self, body: &Value) -> Request {
        self.post("/v1/chat/completions", body)
    }

    /// Sends `bytes` as they are on a connection of their own; returns all that comes back until its end.
    pub async fn wire(&self, bytes: &[u8]) -> String {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.expect("the sidecar accepts a connection");
            stream.write_all(bytes).await.expect("the sidecar reads");
            let mut answer = Vec::new();
            // A reset after an answer still leaves the answer.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8_lossy(&answer).into_owned()
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer and an end of the connection")
    }
}

enum Speech {
    Plain { h2: bool },
    Tls { tls: Box<ClientConfig>, h2: bool },
}

/// For a client that only ever speaks plaintext.
fn no_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// A request being put together.
#[derive(Debug)]
pub struct Request {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    builder: http::request::Builder,
    body: Bytes,
}

impl Request {
    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.builder = self.builder.header(name, value);
        self
    }

    /// Sends it, and waits for the head of the answer.
    pub async fn open(self) -> Open {
        self.try_open().await.expect("an answer")
    }

    /// Sends it, and waits for the head of the answer. `Err`: there was none.
    pub async fn try_open(self) -> Result<Open, String> {
        let began = Instant::now();
        let request = self.builder.body(Full::new(self.body)).expect("a good request");
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let answer = answer.map_err(|_| format!("no answer in {PATIENCE:?}"))?;
        let (parts, body) = answer.map_err(|error| format!("{error:?}"))?.into_parts();
        Ok(Open {
            version: parts.version,
            status: parts.status,
            headers: parts.headers,
            began,
            body,
            reader: Reader::default(),
            events: VecDeque::new(),
            broken: false,
        })
    }

    /// Sends it, and waits for all of the answer.
    pub async fn send(self) -> Answer {
        self.open().await.whole().await
    }
}

/// An answer whose head has come. Dropped, it hangs up.
#[derive(Debug)]
pub struct Open {
    /// As it came.
    pub version: Version,
    /// As it came.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// When the request was sent.
    pub began: Instant,
    /// Whether the connection broke before the answer's end.
    pub broken: bool,
    body: Incoming,
    reader: Reader,
    events: VecDeque<SseEvent>,
}

impl Open {
    /// The next event; `None` at the end, broken or not.
    pub async fn event(&mut self) -> Option<SseEvent> {
        while self.events.is_empty() {
            let bytes = self.bytes().await?;
            self.events.extend(self.reader.read(&bytes, Instant::now()));
        }
        self.events.pop_front()
    }

    /// Every event that is still to come.
    pub async fn rest(&mut self) -> Vec<SseEvent> {
        let mut events = Vec::new();
        while let Some(event) = self.event().await {
            events.push(event);
        }
        events
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        loop {
            let frame =
                tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("more of the answer, or its end");
            match frame? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(bytes),
                    Err(_) => continue,
                },
                Err(_) => {
                    self.broken = true;
                    return None;
                }
            }
        }
    }

    /// The whole answer.
    pub async fn whole(mut self) -> Answer {
        let mut body = Vec::new();
        while let Some(bytes) = self.bytes().await {
            body.extend_from_slice(&bytes);
        }
        let took = self.began.elapsed();
        Answer { status: self.status, headers: self.headers, body: body.into(), took, broken: self.broken }
    }

    /// A header's value, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }
}

/// An answer that has come whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// As it came.
    pub status: StatusCode,
    /// As they came.
    pub headers: HeaderMap,
    /// As it came.
    pub body: Bytes,
    /// From the request to the answer's last byte.
    pub took: Duration,
    /// Whether the connection broke before the answer's end.
    pub broken: bool,
}

impl Answer {
    /// A header's value, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        text(&self.headers, name)
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `error` of an error's body.
    #[must_use]
    pub fn error(&self) -> Value {
        let json = self.json();
        assert!(json["error"].is_object(), "no error in {}", self.text());
        json["error"].clone()
    }

    /// Every event of the body.
    #[must_use]
    pub fn events(&self) -> Vec<SseEvent> {
        Reader::default().read(&self.body, Instant::now())
    }

    /// Status, headers and body, to look for what must not be in them.
    #[must_use]
    pub fn everything(&self) -> String {
        format!("{} {:?} {}", self.status, self.headers, self.text())
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().expect("a header of plain text"))
}
