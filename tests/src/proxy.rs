//! A small HTTP proxy that remembers what it was asked: whole URLs for `http`, tunnels for anything else.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::{Method, Request, Response, StatusCode, header::PROXY_AUTHORIZATION};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

type Body = BoxBody<Bytes, hyper::Error>;

/// What the proxy was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `CONNECT`, or the request's own.
    pub method: Method,
    /// As it stood in the request's first line: a whole URL, or a host and a port.
    pub target: String,
    /// `Proxy-Authorization`, as sent.
    pub authorization: Option<String>,
}

/// A running proxy. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Desk {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// Answers everything with this, if anything.
    refusal: Option<StatusCode>,
    client: Client<HttpConnector, Incoming>,
    tunnels: Mutex<JoinSet<()>>,
}

impl Proxy {
    /// One that passes everything on.
    pub async fn start() -> Self {
        Self::build(None).await
    }

    /// One that answers everything with `status` and passes nothing on.
    pub async fn refusing(status: u16) -> Self {
        Self::build(Some(StatusCode::from_u16(status).unwrap())).await
    }

    async fn build(refusal: Option<StatusCode>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let desk = Arc::new(Desk { asked: Arc::clone(&asked), refusal, client, tunnels: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let desk = Arc::clone(&desk);
                connections.spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&desk).answer(request));
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    let _ = connection.with_upgrades().await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, asked, _tasks: tasks }
    }

    /// As `HTTP_PROXY` and `HTTPS_PROXY` name it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// As they name it for a user with a password.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}", self.address)
    }

    /// All it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

impl Desk {
    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let authorization = request.headers_mut().remove(PROXY_AUTHORIZATION);
        self.asked.lock().push(Asked {
            method: request.method().clone(),
            target: request.uri().to_string(),
            authorization: authorization.and_then(|value| value.to_str().ok().map(ToOwned::to_owned)),
        });
        if let Some(status) = self.refusal {
            return Ok(empty(status));
        }
        if request.method() == Method::CONNECT {
            return Ok(self.tunnel(request).await);
        }
        Ok(match self.client.request(request).await {
            Ok(answer) => answer.map(BodyExt::boxed),
            Err(_) => empty(StatusCode::BAD_GATEWAY),
        })
    }

    async fn tunnel(&self, request: Request<Incoming>) -> Response<Body> {
        let target = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let Ok(mut inside) = TcpStream::connect(target).await else { return empty(StatusCode::BAD_GATEWAY) };
        self.tunnels.lock().spawn(async move {
            let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(upgraded), &mut inside).await;
        });
        empty(StatusCode::OK)
    }
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *answer.status_mut() = status;
    answer
}
