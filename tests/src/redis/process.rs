//! A `redis-server` as a child process: started, stopped, woken, and never left behind.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::wait::{PATIENCE, until};

/// Debian's name for it; `FUSEBOX_REDIS_SERVER` names another.
const PROGRAM: &str = "redis-server";

/// A running process. Dropped, it is killed, and gone before the drop ends.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts the server with `redis.conf` of `folder`; what it says goes to `log` there.
    pub(super) fn start(folder: &Path, sentinel: bool) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let program = std::env::var_os("FUSEBOX_REDIS_SERVER").unwrap_or_else(|| PROGRAM.into());
        let mut command = Command::new(&program);
        command.arg(folder.join("redis.conf")).args(sentinel.then_some("--sentinel")).current_dir(folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn();
        let child = child.unwrap_or_else(|error| panic!("cannot start {program:?} (`tests/run` installs it): {error}"));
        Self { child }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Halts it between two instructions, and waits until it stands.
    pub(super) async fn stop(&self) {
        self.signal("STOP");
        self.until_stands(true).await;
    }

    /// Lets it go on after [`Self::stop`].
    pub(super) async fn wake(&self) {
        self.signal("CONT");
        self.until_stands(false).await;
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }

    /// A signal is sent, not delivered, when `kill` has ended.
    async fn until_stands(&self, stands: bool) {
        until("a signal to be heard", PATIENCE, || async {
            let state = state(self.pid());
            if (state == Some('T')) == stands { Ok(()) } else { Err(state) }
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nobody to kill, and its end is still to be heard of.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The letter by which the kernel calls what the process does; `None`: there is no such process.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it stands in parentheses, and may hold some.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// What the process that listens at `address` has said so far.
pub(super) fn log(folder: &Path, address: SocketAddr) -> String {
    let said = fs::read_to_string(folder.join("log")).unwrap_or_default();
    format!("redis at {address} said:\n{said}")
}
