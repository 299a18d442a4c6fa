//! Running the operator's command off a terminal.

use std::{
    fmt::Display,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::Terminal;
use crate::program::program;

/// How long the command may take to do what a test waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The command, in a home of its own.
#[derive(Debug)]
pub struct Fusebox {
    home: TempDir,
    env: Vec<(String, String)>,
}

/// How it ended, and what it said.
#[derive(Debug, Clone)]
pub struct Ended {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The command while it runs, line by line. Dropped, it is killed.
#[derive(Debug)]
pub struct Lines {
    child: Child,
    out: tokio::io::Lines<BufReader<ChildStdout>>,
    err: tokio::io::Lines<BufReader<ChildStderr>>,
}

#[allow(clippy::needless_pass_by_value, reason = "an address reads better without a `&`")]
impl Fusebox {
    /// For the control plane at `address`.
    #[must_use]
    pub fn at(address: impl Display) -> Self {
        Self::new().with("FUSEBOX_ADDRESS", &address.to_string())
    }

    /// With nothing in its environment but a home.
    #[must_use]
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let env = vec![("HOME".to_owned(), home.path().to_str().expect("a path of plain text").to_owned())];
        Self { home, env }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file into its home and returns its path.
    pub fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Its home.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs it to its end; `line` is split at blanks.
    pub async fn run(&self, line: &str) -> Ended {
        self.run_args(&line.split(' ').collect::<Vec<_>>()).await
    }

    /// Runs it to its end.
    pub async fn run_args(&self, args: &[&str]) -> Ended {
        let output = tokio::time::timeout(PATIENCE, self.command(args).output()).await.expect("it ends").unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Ended { status: status(output.status), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Starts it; `line` is split at blanks.
    #[must_use]
    pub fn start(&self, line: &str) -> Lines {
        let mut child = self.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        Lines { child, out, err }
    }

    /// Starts it on a terminal of so many columns and lines; `line` is split at blanks.
    #[must_use]
    pub fn on_terminal(&self, line: &str, columns: u16, rows: u16) -> Terminal {
        Terminal::start(self.command(&line.split(' ').collect::<Vec<_>>()), columns, rows)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("fusebox", "FUSEBOX_COMMAND"));
        command.args(args).env_clear().envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

impl Default for Fusebox {
    fn default() -> Self {
        Self::new()
    }
}

impl Ended {
    /// The document that it printed.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// What it printed; it ended well.
    #[allow(clippy::must_use_candidate, reason = "that it ended well may be all that a test asks")]
    pub fn good(&self) -> &str {
        assert_eq!(self.status, 0, "{self:?}");
        &self.out
    }

    /// Asserts that it ended so, and that it said `what` on standard error.
    pub fn failed(&self, status: i32, what: &str) {
        assert!(self.status == status && self.err.contains(what), "not {status}, {what}: {self:?}");
    }
}

impl Lines {
    /// The next line of its standard output.
    pub async fn next(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.out.next_line()).await.expect("a line").unwrap();
        match line {
            Some(line) => line,
            None => panic!("it ended: {}", self.rest_of_errors().await),
        }
    }

    /// The next line of its standard error.
    pub async fn next_error(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.err.next_line()).await.expect("a line").unwrap();
        line.expect("it goes on")
    }

    /// Sends it a signal, by its name without `SIG`, and waits for its end.
    pub async fn signal(&mut self, name: &str) -> i32 {
        send(self.child.id().expect("it runs"), name).await;
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> i32 {
        status(tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap())
    }

    /// Reads no more of what it prints.
    pub fn close(self) -> Child {
        self.child
    }

    async fn rest_of_errors(&mut self) -> String {
        let mut rest = String::new();
        let _ = self.err.get_mut().read_to_string(&mut rest).await;
        rest
    }
}

/// The exit status; one that a signal ended has none.
pub(super) fn status(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| panic!("{status}"))
}

pub(super) async fn send(pid: u32, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().await;
    assert!(done.unwrap().success(), "kill -{name}");
}
