//! The sidecar as a child process, and its doors.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Output},
    time::Duration,
};

use fusebox_proto::v1::inference_service_client::InferenceServiceClient;
use tempfile::TempDir;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};

use super::Config;
use crate::{
    client::{Http, Metrics},
    running::{self, PATIENCE, Running, replace},
};

/// A running sidecar. Dropped, it is killed and its files are removed.
#[derive(Debug)]
pub struct Sidecar {
    process: Running,
    http: Http,
    admin: Http,
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

    /// Starts the sidecar as a container would: with these arguments and variables alone. `folder` holds its files.
    pub async fn start_container(folder: TempDir, arguments: &[String], env: &[(String, String)]) -> Self {
        let mut command = command(env);
        command.args(arguments);
        Self::ready(command, folder).await
    }

    async fn ready(command: Command, folder: TempDir) -> Self {
        let process = Running::start(command, folder).await;
        let (http, admin) = (Http::new(process.address("http")), Http::new(process.address("admin")));
        Self { process, http, admin }
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
        self.process.address("grpc")
    }

    /// A connection to the gRPC door.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.grpc_address())).unwrap();
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
        self.process.log()
    }

    /// Waits for a line of the log.
    pub async fn logged(&self, what: &str, matches: impl Fn(&str) -> bool) {
        self.process.logged(what, matches).await;
    }

    /// Writes `config` over its configuration file.
    pub fn rewrite(&self, config: &Config) {
        self.process.rewrite(&config.text());
    }

    /// Writes `text` over its configuration file.
    pub fn rewrite_text(&self, text: &str) {
        self.process.rewrite(text);
    }

    /// Writes `text` over a file of its folder.
    pub fn replace_mounted(&self, path: &str, text: &str) {
        self.process.replace(path, text);
    }

    /// Sends it a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        self.process.signal(name).await;
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        self.process.ended().await
    }

    /// Its resident memory, in bytes.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }
}

fn write_config(folder: &Path, config: &Config) {
    replace(&folder.join("config.yaml"), &config.text());
}

fn command(env: &[(String, String)]) -> Command {
    running::command("fusebox-sidecar", "FUSEBOX_SIDECAR", env)
}
