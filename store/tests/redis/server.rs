//! Redis servers of a test's own: on a free port, in a folder that goes with them, killed when dropped.

use std::{
    net::TcpListener,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fusebox_rules::moment::Moment;
use fusebox_store::{
    Clock, StoreError,
    redis::{Address, Link, LinkState, Value, cmd},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

/// Longer than anything here takes, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// A request's limit where it is to be answered.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    pub(crate) port: u16,
    settings: Vec<String>,
    folder: TempDir,
    child: Child,
    /// Reads what the server says, which would wait for a reader otherwise.
    _said: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(settings: &[&str]) -> Self {
        Self::start_on(free_port(), settings).await
    }

    pub(crate) async fn start_on(port: u16, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let (child, said) = run(&folder, port, &settings).await;
        Self { port, settings, folder, child, _said: said }
    }

    /// A Sentinel, which keeps its configuration in a file that it rewrites.
    pub(crate) async fn start_sentinel(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, configuration).unwrap();
        let port = free_port();
        let settings = vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        let (child, said) = run(&folder, port, &settings).await;
        Self { port, settings, folder, child, _said: said }
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(&format!("redis://127.0.0.1:{}", self.port)).unwrap()
    }

    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        let (child, said) = run(&self.folder, self.port, &self.settings).await;
        (self.child, self._said) = (child, said);
    }

    pub(crate) async fn freeze(&self) {
        self.signal("-STOP").await;
    }

    pub(crate) async fn thaw(&self) {
        self.signal("-CONT").await;
    }

    async fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }
}

async fn run(folder: &TempDir, port: u16, settings: &[String]) -> (Child, JoinSet<()>) {
    let mut command = Command::new("redis-server");
    // A configuration's file comes first.
    let mut settings = settings.iter().peekable();
    if let Some(file) = settings.next_if(|first| first.ends_with(".conf")) {
        command.arg(file);
    }
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder.path());
    command.args(["--save", "", "--appendonly", "no"]).args(settings);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("redis-server is installed");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = async {
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("Ready to accept connections") || line.contains("Sentinel ID is") {
                return;
            }
            said = said + &line + "\n";
        }
        panic!("redis-server ended: {said}");
    };
    timeout(LONG, ready).await.expect("redis-server starts");
    let mut said = JoinSet::new();
    said.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, said)
}

/// Asked of the system; given back at once, so that a server may take it.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Shows a later moment each time.
pub(crate) fn clock() -> Clock {
    let nanos = AtomicU64::new(0);
    Arc::new(move || Moment::from_nanos(nanos.fetch_add(1, Ordering::Relaxed) + 1))
}

pub(crate) fn open(address: Address) -> Link {
    Link::open(address, clock()).unwrap()
}

/// An open link that is connected.
pub(crate) async fn connected(address: Address) -> Link {
    let link = open(address);
    until(&link, |state| state.connected).await;
    link
}

pub(crate) async fn until(link: &Link, is: impl FnMut(&LinkState) -> bool) -> LinkState {
    let mut changes = link.changes();
    let state = timeout(LONG, changes.wait_for(is)).await;
    state.unwrap_or_else(|_| panic!("still {:?}", link.state())).unwrap().clone()
}

/// One plain command of some words.
pub(crate) async fn ask(link: &Link, words: &[&str]) -> Result<Value, StoreError> {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    link.command(command, LIMIT).await
}
