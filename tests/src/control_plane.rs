//! The control plane as a child process, its doors, and who asks there.

use std::{
    net::SocketAddr,
    process::{ExitStatus, Output, Stdio},
    time::Duration,
};

use fusebox_proto::v1::{self, control_service_client::ControlServiceClient};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tonic::transport::{Channel, Endpoint};

use crate::{
    client::{Http, Metrics},
    program::program,
    running::{PATIENCE, Running, command, replace},
    sidecar::lay_over,
};

/// A running control plane. Dropped, it is killed and its files are removed.
#[derive(Debug)]
pub struct ControlPlane {
    process: Running,
    http: Http,
}

/// Free ports, a log for people, and `changes`.
#[must_use]
pub fn config(changes: Value) -> Value {
    let mut config = json!({
        "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"},
        "telemetry": {"log": "info"},
        "shutdown": {"grace": "5s"},
    });
    lay_over(&mut config, changes);
    config
}

impl ControlPlane {
    /// Starts one with `config`, and waits until it is ready.
    pub async fn start(config: &Value) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config, &[]).await
    }

    /// Starts one for the fleet at `redis`, with `changes`.
    pub async fn of(redis: &str, changes: Value) -> Self {
        let mut all = config(json!({"fleet": {"redis": redis}}));
        lay_over(&mut all, changes);
        Self::start(&all).await
    }

    /// Starts one whose files are in `folder`, with these variables.
    pub async fn start_in(folder: TempDir, config: &Value, env: &[(String, String)]) -> Self {
        let file = folder.path().join("config.yaml");
        replace(&file, &config.to_string());
        let mut command = command("fusebox-control-plane", "FUSEBOX_CONTROL_PLANE", env);
        command.args(["run", "--config"]).arg(file);
        let process = Running::start(command, folder).await;
        let http = Http::new(process.address("http"));
        Self { process, http }
    }

    /// What `check` says of `config`.
    pub async fn check(config: &Value, env: &[(String, String)]) -> Output {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        replace(&file, &config.to_string());
        let mut command = command("fusebox-control-plane", "FUSEBOX_CONTROL_PLANE", env);
        command.args(["check", "--config"]).arg(file);
        tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").unwrap()
    }

    /// Runs the program with `arguments` alone, to its end.
    pub async fn run(arguments: &[&str]) -> Output {
        let mut command = command("fusebox-control-plane", "FUSEBOX_CONTROL_PLANE", &[]);
        tokio::time::timeout(PATIENCE, command.args(arguments).output()).await.expect("it ends").unwrap()
    }

    /// REST, and the dashboard.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Where the gRPC door is.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.process.address("grpc")
    }

    /// Where the admission webhook is, which its configuration has turned on.
    #[must_use]
    pub fn injector_address(&self) -> SocketAddr {
        self.process.address("injector")
    }

    /// The gRPC door, over a connection of its own.
    pub async fn grpc(&self) -> ControlServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc_address())).unwrap();
        ControlServiceClient::new(endpoint.connect().await.expect("the gRPC door is open"))
            .max_decoding_message_size(64 << 20)
    }

    /// Waits until its metrics, for which it asks nobody's token, tell of so many sidecars: one at least. `http` asks.
    pub async fn sees(&self, count: usize, http: &Http) {
        assert!(count > 0, "a fleet of none is what it tells of before it has looked");
        let seeing = async {
            let mut clock = tokio::time::interval(Duration::from_millis(10));
            loop {
                clock.tick().await;
                let page = http.get("/metrics").send().await.text();
                let metrics = Metrics::parse(&page);
                let stale = metrics.sum("fusebox_fleet_stale", &[]) == 1.0;
                if !stale && metrics.sum("fusebox_fleet_sidecars", &[]) == count as f64 {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, seeing).await.is_err() {
            panic!("waited {PATIENCE:?} for {count} sidecars: {}", self.log());
        }
    }

    /// Waits until `done` holds of the fleet, as each picture of it comes.
    pub async fn until(&self, what: &str, done: impl Fn(&v1::Fleet) -> bool) -> v1::Fleet {
        let mut pictures = self.grpc().await.watch_fleet(v1::WatchFleetRequest {}).await.unwrap().into_inner();
        let mut last = None;
        let waiting = async {
            while let Some(fleet) = pictures.message().await.expect("pictures come") {
                if done(&fleet) {
                    return fleet;
                }
                last = Some(fleet);
            }
            panic!("the pictures ended while {what} was waited for");
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(fleet) => fleet,
            Err(_) => panic!("waited for {what} in {last:#?}\n{}", self.log()),
        }
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits for a line of the log.
    pub async fn logged(&self, what: &str, matches: impl Fn(&str) -> bool) {
        self.process.logged(what, matches).await;
    }

    /// Writes `config` over its configuration file.
    pub fn rewrite(&self, config: &Value) {
        self.process.rewrite(&config.to_string());
    }

    /// Sends it a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        self.process.signal(name).await;
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }
}

/// The fleet to look at that `demo/run` starts, on free ports. Dropped, it ends, with all that it started.
#[derive(Debug)]
pub struct Demonstration {
    child: Child,
    grpc: SocketAddr,
}

impl Demonstration {
    /// Starts one, and waits until it says that all of it is there.
    pub async fn start() -> Self {
        let mut command = Command::new(program("demonstration", "FUSEBOX_DEMONSTRATION"));
        command.args(["127.0.0.1:0", "127.0.0.1:0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the demonstration is built");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut grpc = None;
        let said = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let address = line.split("--address ").nth(1).and_then(|rest| rest.split(' ').next());
                grpc = grpc.or_else(|| address.and_then(|address| address.parse().ok()));
                if line.starts_with("Ctrl-C") {
                    return;
                }
            }
            panic!("the demonstration ended");
        };
        tokio::time::timeout(3 * PATIENCE, said).await.expect("the demonstration starts");
        Self { child, grpc: grpc.expect("it says where its gRPC door is") }
    }

    /// Where the control plane's gRPC door is.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc
    }
}

impl Drop for Demonstration {
    fn drop(&mut self) {
        // So that it ends what it has started.
        if let Some(pid) = self.child.id() {
            let _ = std::process::Command::new("kill").arg("-INT").arg(pid.to_string()).status();
        }
    }
}
