//! A program of ours as a child process: started, listened to, and never left behind.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

use crate::program::program;

/// How long a program may take to start, or to do what a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A program that has said where it listens. Dropped, it is killed and its files are removed.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    log: Log,
    folder: TempDir,
    ready: Value,
    _readers: JoinSet<()>,
}

/// The program `name`, or the one that the variable `instead` names, with no environment but `env`.
pub(crate) fn command(name: &str, instead: &str, env: &[(String, String)]) -> Command {
    let mut command = Command::new(program(name, instead));
    command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

impl Running {
    /// Starts what `command` says, and waits until it says that it is ready. `folder` holds its files.
    pub(crate) async fn start(mut command: Command, folder: TempDir) -> Self {
        let ready = folder.path().join("ready.json");
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command
            .env("FUSEBOX_READY_FILE", &ready)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let log = Log::default();
        let mut readers = JoinSet::new();
        readers.spawn(log.clone().read(child.stderr.take().unwrap()));
        readers.spawn(log.clone().read(child.stdout.take().unwrap()));
        let told = tokio::select! {
            ended = child.wait() => Err(format!("{name} ended at once: {ended:?}")),
            told = read_once_there(&ready) => told.ok_or(format!("{name} was not ready within {PATIENCE:?}")),
        };
        match told {
            Ok(ready) => Self { child, log, folder, ready, _readers: readers },
            Err(why) => {
                let _ = child.kill().await;
                // The last words may still be in the pipe.
                while readers.join_next().await.is_some() {}
                panic!("{why}\n{}", log.text());
            }
        }
    }

    /// Where it serves `door`.
    pub(crate) fn address(&self, door: &str) -> SocketAddr {
        let address = self.ready[door].as_str().and_then(|address| address.parse().ok());
        address.expect("an address for each door")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits for a line of the log.
    pub(crate) async fn logged(&self, what: &str, matches: impl Fn(&str) -> bool) {
        self.log.until(what, matches).await;
    }

    /// Writes `text` over its configuration file.
    pub(crate) fn rewrite(&self, text: &str) {
        replace(&self.folder.path().join("config.yaml"), text);
    }

    /// Writes `text` over the file at `path` of its folder.
    pub(crate) fn replace(&self, path: &str, text: &str) {
        replace(&self.folder.path().join(path), text);
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status().await;
        assert!(status.unwrap().success(), "kill -{name}");
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// Its number among processes.
    pub(crate) fn pid(&self) -> u32 {
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

/// At once, so that nobody reads half a file.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
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
