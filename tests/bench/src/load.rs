//! Full load: `wrk` with keep-alive connections, each sending its next call when the last is answered.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::payload;

/// Threads of the load generator.
const THREADS: u32 = 2;

/// `wrk`, and what it needs to send our request.
#[derive(Debug)]
pub(crate) struct Generator {
    script: PathBuf,
    body: PathBuf,
}

/// How a run under full load went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    /// Calls that were answered, well or ill.
    pub(crate) calls: u64,
    /// Calls that were not answered with a 2xx, and connections that broke.
    pub(crate) failed: u64,
    /// How long it took.
    pub(crate) lasted: Duration,
}

impl Generator {
    /// Writes the request's body and the script that reads it to `directory`.
    pub(crate) fn prepare(directory: &Path) -> io::Result<Self> {
        let (script, body) = (directory.join("wrk.lua"), directory.join("body.json"));
        std::fs::write(&script, include_str!("../wrk.lua"))?;
        std::fs::write(&body, payload::request_body(false))?;
        Ok(Self { script, body })
    }

    /// Loads `target` over `connections` for `seconds`.
    pub(crate) fn run(&self, target: SocketAddr, connections: u32, seconds: u64) -> io::Result<Load> {
        // Killed with us, however we end.
        let output = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "wrk"])
            .args(["--threads", &THREADS.to_string(), "--connections", &connections.to_string()])
            .args(["--duration", &format!("{seconds}s"), "--timeout", "5s", "--script"])
            .arg(&self.script)
            .arg(format!("http://{target}/v1/chat/completions"))
            .arg("--")
            .arg(&self.body)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        result(&said).ok_or_else(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("wrk gave no result ({}): {said}{complaint}", output.status))
        })
    }
}

/// The line that our script ends with: `result CALLS MICROSECONDS FAILED`.
fn result(said: &str) -> Option<Load> {
    let line = said.lines().find_map(|line| line.strip_prefix("result "))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [calls, micros, failed] = fields[..] else { return None };
    Some(Load { calls, failed, lasted: Duration::from_micros(micros) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_from_among_other_lines() {
        let load = Load { calls: 120, failed: 3, lasted: Duration::from_secs(2) };
        assert_eq!(result("Running 2s test\nresult 120 2000000 3\nRequests/sec: 60\n"), Some(load));
        assert_eq!(result("result 120 2000000\n"), None);
        assert_eq!(result("unable to connect\n"), None);
    }
}
