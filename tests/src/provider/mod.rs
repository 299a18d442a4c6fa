//! The scripted provider: a real server that speaks the vendors' wire formats and fails as its script says.
//!
//! It listens on a free port, over HTTP/1.1 and h2c, and remembers what it was sent, what it sent
//! and when a client went away. It understands prompts no better than a parrot.

pub mod act;
mod anthropic;
mod asked;
pub mod faults;
mod http1;
mod http2;
pub mod json;
mod openai;
mod parts;
pub mod script;
mod stage;
mod steps;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use self::stage::Stage;
pub use self::{script::Script, stage::Seen};

/// How long a test waits for something that should happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running scripted provider. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    stage: Arc<Stage>,
    tasks: JoinSet<()>,
}

impl Provider {
    /// Starts on a free port of the loopback interface.
    pub async fn start(script: impl Into<Script>) -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script).await
    }

    /// Starts at `address`, for instance where another one was stopped.
    pub async fn start_at(address: SocketAddr, script: impl Into<Script>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let stage = Arc::new(Stage::new(script.into()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&stage)));
        Self { address, stage, tasks }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a sidecar's configuration calls `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }

    /// From now on it follows `script`.
    pub fn play(&self, script: impl Into<Script>) {
        self.stage.play(script.into());
    }

    /// From now on its page of metrics, which it has not had before, says this of its work, in vLLM's words.
    pub fn works_on(&self, running: u32, waiting: u32, cache: f64) {
        let page = format!(
            "# HELP vllm:num_requests_running Number of requests in model execution batches.\n\
             # TYPE vllm:num_requests_running gauge\n\
             vllm:num_requests_running{{engine=\"0\",model_name=\"served\"}} {running}.0\n\
             # TYPE vllm:num_requests_waiting gauge\n\
             vllm:num_requests_waiting{{engine=\"0\",model_name=\"served\"}} {waiting}.0\n\
             # TYPE vllm:kv_cache_usage_perc gauge\n\
             vllm:kv_cache_usage_perc{{engine=\"0\",model_name=\"served\"}} {cache}\n"
        );
        self.shows(200, &page);
    }

    /// From now on `/metrics` is answered with this.
    pub fn shows(&self, status: u16, page: &str) {
        self.stage.show(status, page.to_owned());
    }

    /// How often `/metrics` was asked for.
    #[must_use]
    pub fn page_reads(&self) -> usize {
        self.stage.page_reads()
    }

    /// Every call so far. Lists of models are answered and not counted.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.stage.seen()
    }

    /// How many calls there were so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.stage.calls()
    }

    /// Waits until `count` calls have arrived, and returns all there are.
    pub async fn saw(&self, count: usize) -> Vec<Seen> {
        self.until(&format!("{count} calls"), |seen| seen.len() >= count).await
    }

    /// Waits until the client of call `seq`, counted from 0, has hung up before the response's end. Returns when.
    pub async fn gone(&self, seq: usize) -> Instant {
        let left = |seen: &[Seen]| seen.get(seq).is_some_and(|call| call.gone.is_some());
        let seen = self.until(&format!("call {seq} to be given up"), left).await;
        seen[seq].gone.unwrap()
    }

    /// Waits until `done` holds of what was seen.
    pub async fn until(&self, what: &str, done: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut news = self.stage.news();
        let waiting = async {
            loop {
                let seen = self.seen();
                if done(&seen) {
                    return seen;
                }
                news.changed().await.expect("the stage lives as long as the provider");
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(seen) => seen,
            Err(_) => panic!("waited {PATIENCE:?} for {what}; saw {:#?}", self.seen()),
        }
    }

    /// Closes its port and its connections, and waits until they are closed.
    pub async fn stop(&mut self) {
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, stage: Arc<Stage>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(serve(stream, Arc::clone(&stage)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, stage: Arc<Stage>) {
    let _ = stream.set_nodelay(true);
    let mut start = [0; 3];
    match stream.peek(&mut start).await {
        Ok(0) | Err(_) => {}
        Ok(length) if start[..length] == b"PRI"[..length] => http2::serve(stream, stage).await,
        Ok(_) => http1::serve(stream, &stage).await,
    }
}

fn base_url(address: SocketAddr) -> String {
    format!("http://{address}/v1")
}

/// An address at which every connection is refused, for as long as this lives.
#[derive(Debug)]
pub struct Refusing {
    _socket: TcpSocket,
    address: SocketAddr,
}

impl Refusing {
    /// Takes a port and does not listen on it.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = socket.local_addr().unwrap();
        Self { _socket: socket, address }
    }

    /// What a sidecar's configuration calls `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }
}

impl Default for Refusing {
    fn default() -> Self {
        Self::new()
    }
}

/// An address at which connections never come about: its queue of unaccepted connections is full,
/// so the kernel drops whatever else knocks.
#[derive(Debug)]
pub struct Unreachable {
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
    address: SocketAddr,
}

impl Unreachable {
    /// Takes a port and fills its queue.
    pub async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            queue.push(connected.expect("the queue takes a connection"));
            assert!(queue.len() < 64, "this kernel's queues do not fill");
        }
        Self { _listener: listener, _queue: queue, address }
    }

    /// What a sidecar's configuration calls `base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }
}
