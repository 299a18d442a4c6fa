//! Somebody who is told of alerts over HTTP: remembers what came, and answers as a script says.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

/// Longer than anything here takes, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done with one request.
#[derive(Debug, Clone)]
pub enum Act {
    /// It is answered.
    Answer {
        /// The status.
        status: u16,
        /// Names and values.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// The connection ends in the place of an answer.
    HangUp,
    /// No answer comes.
    Hang,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Told {
    /// Of its address.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// Whether it was answered with a success.
    pub taken: bool,
}

/// A running receiver. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    desk: Arc<Desk>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Desk {
    told: watch::Sender<Vec<Told>>,
    script: Mutex<VecDeque<Act>>,
}

impl Act {
    /// An answer of nothing but a status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: String::new() }
    }
}

impl Told {
    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }
}

impl Receiver {
    /// One that says yes to all, once its script is at its end.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let desk = Arc::new(Desk { told: watch::Sender::new(Vec::new()), script: Mutex::default() });
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&desk);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                connections.spawn(serve(stream, Arc::clone(&shared)));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, desk, _tasks: tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of `path`, which begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What is done with the next requests.
    pub fn follow(&self, script: impl IntoIterator<Item = Act>) {
        self.desk.script.lock().extend(script);
    }

    /// All that came so far.
    #[must_use]
    pub fn told(&self) -> Vec<Told> {
        self.desk.told.borrow().clone()
    }

    /// All that came, once it is enough.
    pub async fn told_until(&self, enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
        let mut told = self.desk.told.subscribe();
        let waited = timeout(PATIENCE, told.wait_for(|told| enough(told))).await;
        match waited {
            Ok(told) => told.expect("it runs").clone(),
            Err(_) => panic!("after {PATIENCE:?} only {:#?}", self.told()),
        }
    }
}

async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, &desk));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Debug)]
struct HungUp;

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hung up, as the script says")
    }
}

impl std::error::Error for HungUp {}

async fn answer(request: Request<Incoming>, desk: &Desk) -> Result<Response<Full<Bytes>>, HungUp> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| HungUp)?.to_bytes();
    let act = desk.script.lock().pop_front().unwrap_or_else(|| Act::status(200));
    let taken = matches!(act, Act::Answer { status: 200..300, .. });
    let told = Told { path: head.uri.path().to_owned(), headers: head.headers, body, taken };
    desk.told.send_modify(|all| all.push(told));
    match act {
        Act::HangUp => Err(HungUp),
        Act::Hang => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Act::Answer { status, headers, body } => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            for (name, value) in headers {
                let value = HeaderValue::from_str(&value).expect("a header's value");
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
            Ok(response)
        }
    }
}
