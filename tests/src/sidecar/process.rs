//! Starting the sidecar, watching it, and being rid of it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use fusebox_proto::v1::inference_service_client::InferenceServiceClient;
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};
use tonic::transport::{Channel, Endpoint};

use super::Config;
use crate::{
    client::{Http, Metrics},
    program::program,
};

/// How long the sidecar may take to start, or to do what a test waits for.
const PATIENCE: Duration = Duration::from_secs(10);
const PROGRAM: &str = "fusebox-sidecar";

/// A running sidecar. Dropped, it is killed and its files are removed.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    log: Log,
    folder: TempDir,
    grpc: SocketAddr,
    http: Http,
    admin: Http,
    _readers: JoinSet<()>,
}

impl Sidecar {
    /// Starts the sidecar and waits until it is ready.
    pub async fn start(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), &config);
        let mut command = command(&config.env);
        command.args(["run", "--config"]).arg(folder.path().join("config.yaml"));
        Self::ready(command, folder).await
    }

    /// Starts the sidecar with no configuration but `arguments`, and waits until it is ready.
    pub async fn start_bare(arguments: &[&str]) -> Self {
        let mut command = command(&[]);
        command.args(arguments);
        Self::ready(command, tempfile::tempdir().unwrap()).await
    }

    async fn ready(mut command: Command, folder: TempDir) -> Self {
        let ready = folder.path().join("ready.json");
        let mut child = command
            .env("FUSEBOX_READY_FILE", &ready)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {PROGRAM}: {error}"));
        let log = Log::default();
        let mut readers = JoinSet::new();
        readers.spawn(log.clone().read(child.stderr.take().unwrap()));
        readers.spawn(log.clone().read(child.stdout.take().unwrap()));
        let told = tokio::select! {
            ended = child.wait() => Err(format!("{PROGRAM} ended at once: {ended:?}")),
            told = read_once_there(&ready) => told.ok_or(format!("{PROGRAM} was not ready within {PATIENCE:?}")),
        };
        let ready = match told {
            Ok(ready) => ready,
            Err(why) => {
                let _ = child.kill().await;
                // The last words may still be in the pipe.
                while readers.join_next().await.is_some() {}
                panic!("{why}\n{}", log.text());
            }
        };
        let address = |name: &str| -> SocketAddr {
            ready[name].as_str().and_then(|address| address.parse().ok()).expect("an address for each door")
        };
        Self {
            child,
            log,
            folder,
            grpc: address("grpc"),
            http: Http::new(address("http")),
            admin: Http::new(address("admin")),
            _readers: readers,
        }
    }

    /// Runs the sidecar's program with `arguments` and a configuration file, to its end.
    pub async fn run(arguments: &[&str], config: &Config) -> Output {
        let folder = tempfile::tempdir().unwrap();
        write_config(folder.path(), config);
        let mut command = command(&config.env);
        command.args(arguments).arg("--config").arg(folder.path().join("config.yaml"));
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
    }

    /// Runs the sidecar's program with `arguments` and these variables alone, in `folder`, to its end.
    pub async fn run_bare(arguments: &[&str], env: &[(String, String)], folder: &Path) -> Output {
        let mut command = command(env);
        command.args(arguments).current_dir(folder);
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
    }

    /// The OpenAI door, over HTTP/1.1.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// The OpenAI door, over HTTP/2 without TLS.
    #[must_use]
    pub fn h2c(&self) -> Http {
        Http::h2c(self.http.address())
    }

    /// The admin port.
    #[must_use]
    pub fn admin(&self) -> &Http {
        &self.admin
    }

    /// Where the gRPC door is.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }

    /// A connection to the gRPC door.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap();
        endpoint.connect().await.expect("the gRPC door is open")
    }

    /// The gRPC door, over a connection of its own.
    pub async fn grpc(&self) -> InferenceServiceClient<Channel> {
        InferenceServiceClient::new(self.channel().await)
    }

    /// The metrics now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.admin.get("/metrics").send().await.text())
    }

    /// Waits until `done` holds of the metrics, reading them every few milliseconds.
    pub async fn metrics_until(&self, what: &str, done: impl Fn(&Metrics) -> bool) -> Metrics {
        let reading = async {
            let mut clock = tokio::time::interval(Duration::from_millis(5));
            loop {
                clock.tick().await;
                let metrics = self.metrics().await;
                if done(&metrics) {
                    return metrics;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(metrics) => metrics,
            Err(_) => panic!("waited {PATIENCE:?} for {what} in {:#?}", self.metrics().await),
        }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line of the log.
    pub async fn logged(&self, what: &str, matches: impl Fn(&str) -> bool) {
        self.log.until(what, matches).await;
    }

    /// Writes `config` over its configuration file.
    pub fn rewrite(&self, config: &Config) {
        write_config(self.folder.path(), config);
    }

    /// Writes `text` over its configuration file.
    pub fn rewrite_text(&self, text: &str) {
        replace(&self.folder.path().join("config.yaml"), text);
    }

    /// Sends it a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().await;
        assert!(status.unwrap().success(), "kill -{name}");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// Its resident memory, in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

/// The JSON of a file that will be there soon, whole. A file tells nobody that it has come, so it is looked for.
async fn read_once_there(path: &Path) -> Option<Value> {
    let looking = async {
        let mut clock = tokio::time::interval(Duration::from_millis(2));
        loop {
            clock.tick().await;
            if let Ok(text) = fs::read_to_string(path) {
                return serde_json::from_str(&text).expect("the ready file holds JSON");
            }
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.ok()
}

fn write_config(folder: &Path, config: &Config) {
    replace(&folder.join("config.yaml"), &config.text());
}

/// At once, so that nobody reads half a file.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// The program with no environment but `env`.
fn command(env: &[(String, String)]) -> Command {
    let mut command = Command::new(program(PROGRAM, "FUSEBOX_SIDECAR"));
    command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// The lines a child has written so far.
#[derive(Debug, Clone)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    news: Arc<watch::Sender<()>>,
}

impl Default for Log {
    fn default() -> Self {
        Self { lines: Arc::default(), news: Arc::new(watch::Sender::new(())) }
    }
}

impl Log {
    async fn read(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            self.lines.lock().push(line);
            self.news.send_replace(());
        }
    }

    fn text(&self) -> String {
        self.lines.lock().join("\n")
    }

    async fn until(&self, what: &str, matches: impl Fn(&str) -> bool) {
        let mut news = self.news.subscribe();
        let waiting = async {
            while !self.lines.lock().iter().any(|line| matches(line)) {
                news.changed().await.expect("the log lives as long as this");
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("waited {PATIENCE:?} for {what} in\n{}", self.text());
        }
    }
}
