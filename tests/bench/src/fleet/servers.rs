//! What the fleet's measurements run on: Redis, mock providers and sidecars as child processes that end with this one.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::wire;
use crate::{clock, process as kernel};

/// How long a child may take to come up, on a machine that starts a hundred of them.
const START: Duration = Duration::from_secs(60);
/// Between two looks at what tells nobody that it has come about.
const LOOK: Duration = Duration::from_millis(20);

/// A child process. Dropped, it is killed. It is started by the main thread, with which it ends too.
#[derive(Debug)]
pub(crate) struct Child(process::Child);

impl Child {
    fn start(program: &Path, arguments: &[&str], variables: &[(&str, &Path)], log: &Path) -> io::Result<Self> {
        let log = File::create(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.spawn().map(Self)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal, by its name without `SIG`.
    fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name}: {status}"))) }
    }

    fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Redis that keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    address: SocketAddr,
}

/// What a Redis was asked since it was told to count anew.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Asked {
    /// Scripts and pings: what came over the wire.
    pub(crate) requests: u64,
    /// Commands carried out, those of scripts among them.
    pub(crate) commands: u64,
    /// Bytes read from and written to all clients.
    pub(crate) bytes: u64,
}

impl Redis {
    pub(crate) fn start(program: &Path, directory: &Path) -> io::Result<Self> {
        let address = free_address()?;
        let port = address.port().to_string();
        let arguments = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let mut child = Child::start(program, &arguments, &[], &directory.join("redis.log"))?;
        await_that("Redis", || Ok(wire::redis(address, &["PING"]).is_ok() || child.has_ended()?))?;
        wire::redis(address, &["PING"])?;
        Ok(Self { child, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        kernel::cpu(self.child.pid())
    }

    pub(crate) fn count_anew(&self) -> io::Result<()> {
        wire::redis(self.address, &["CONFIG", "RESETSTAT"]).map(drop)
    }

    pub(crate) fn asked(&self) -> io::Result<Asked> {
        let told =
            wire::redis(self.address, &["INFO", "stats"])? + &wire::redis(self.address, &["INFO", "commandstats"])?;
        Ok(asked(&told))
    }

    pub(crate) fn pause(&self) -> io::Result<()> {
        self.child.signal("STOP")
    }

    pub(crate) fn resume(&self) -> io::Result<()> {
        self.child.signal("CONT")
    }
}

fn asked(info: &str) -> Asked {
    let after = |start: &str| info.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default();
    let number = |text: &str| text.split([',', '\r']).next().and_then(|text| text.parse().ok()).unwrap_or(0_u64);
    let requests = ["eval", "evalsha", "ping"].map(|name| number(after(&format!("cmdstat_{name}:calls="))));
    Asked {
        requests: requests.iter().sum(),
        commands: number(after("total_commands_processed:")),
        bytes: number(after("total_net_input_bytes:")) + number(after("total_net_output_bytes:")),
    }
}

/// A mock provider as a process of its own, so that its work is not taken for the callers'.
pub(crate) fn mock(directory: &Path, failing: bool) -> io::Result<(Child, SocketAddr)> {
    let address = free_address()?;
    let listen = address.to_string();
    let mut arguments = vec!["mock", "--listen", &listen];
    arguments.extend(failing.then_some("--failing"));
    let log = directory.join(if failing { "failing.log" } else { "mock.log" });
    let child = Child::start(&std::env::current_exe()?, &arguments, &[], &log)?;
    await_that("the mock provider", || Ok(wire::get(address, "/v1/models").is_ok()))?;
    Ok((child, address))
}

/// One of Fusebox's own programs, that says where its doors are.
#[derive(Debug)]
struct Program {
    child: Child,
    log: PathBuf,
    ready: PathBuf,
    name: String,
}

/// A sidecar and its doors.
#[derive(Debug)]
pub(crate) struct Sidecar {
    program: Program,
    /// Known once it is ready.
    pub(crate) http: SocketAddr,
    admin: SocketAddr,
}

/// A control plane and its doors.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    _program: Program,
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
}

impl Program {
    /// Begins to start. Its files are called `name` and lie in `directory`.
    fn begin(program: &Path, directory: &Path, name: &str, config: &Value) -> io::Result<Self> {
        let [file, ready, log] = ["json", "ready", "log"].map(|kind| directory.join(format!("{name}.{kind}")));
        fs::write(&file, config.to_string())?;
        let _ = fs::remove_file(&ready);
        let path = file.to_str().ok_or_else(|| io::Error::other("the directory's name is no text"))?;
        let child = Child::start(program, &["run", "--config", path], &[("FUSEBOX_READY_FILE", &ready)], &log)?;
        Ok(Self { child, log, ready, name: name.to_owned() })
    }

    /// Where two of its doors are, once it is ready.
    fn doors(&mut self, names: [&str; 2]) -> io::Result<[SocketAddr; 2]> {
        await_that(&self.name, || Ok(self.ready.exists() || self.child.has_ended()?))?;
        let Ok(text) = fs::read_to_string(&self.ready) else {
            let log = fs::read_to_string(&self.log)?;
            return Err(io::Error::other(format!("{} has ended: {log}", self.name)));
        };
        let doors: Value = serde_json::from_str(&text)?;
        let door = |name: &str| doors[name].as_str().and_then(|address| address.parse().ok());
        match names.map(door) {
            [Some(one), Some(other)] => Ok([one, other]),
            _ => Err(io::Error::other(format!("{} names no doors: {text}", self.name))),
        }
    }
}

impl ControlPlane {
    /// One for the fleet at `redis`, ready.
    pub(crate) fn start(program: &Path, directory: &Path, redis: &Redis) -> io::Result<Self> {
        let config = json!({
            "fleet": {"redis": redis.url()},
            "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"},
            "telemetry": {"log": "error"},
        });
        let mut program = Program::begin(program, directory, "control-plane", &config)?;
        let [http, grpc] = program.doors(["http", "grpc"])?;
        Ok(Self { _program: program, http, grpc })
    }
}

impl Sidecar {
    /// Begins to start; [`Self::await_ready`] is next. Its files are called `name` and lie in `directory`.
    pub(crate) fn begin(program: &Path, directory: &Path, name: &str, config: &Value) -> io::Result<Self> {
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Ok(Self { program: Program::begin(program, directory, name, config)?, http: nowhere, admin: nowhere })
    }

    pub(crate) fn await_ready(&mut self) -> io::Result<()> {
        [self.http, self.admin] = self.program.doors(["http", "admin"])?;
        Ok(())
    }

    pub(crate) fn start(program: &Path, directory: &Path, name: &str, config: &Value) -> io::Result<Self> {
        let mut this = Self::begin(program, directory, name, config)?;
        this.await_ready()?;
        Ok(this)
    }

    /// Waits until it sees so many sidecars in its fleet, and its store answers.
    pub(crate) fn await_fleet(&self, live: usize) -> io::Result<()> {
        await_that(&format!("{} to see {live} sidecars", self.program.name), || {
            let status: Value = serde_json::from_str(&wire::get(self.admin, "/status")?)?;
            Ok(status["fleet"]["connected"] == true && status["fleet"]["live"].as_u64() >= Some(live as u64))
        })
    }

    pub(crate) fn log(&self) -> io::Result<String> {
        fs::read_to_string(&self.program.log)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.child.pid()
    }

    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        kernel::cpu(self.pid())
    }
}

/// A sidecar with no more than it needs, and these providers, each under a model of its own name too. With a Redis their
/// breakers are the fleet's; without one it is alone.
pub(crate) fn config(redis: Option<&Redis>, providers: &[(&str, SocketAddr)], log: &str) -> Value {
    let scope = if redis.is_some() { "fleet" } else { "pod" };
    let provider = |(rank, (name, address)): (usize, &(&str, SocketAddr))| {
        json!({
            "name": name, "kind": "openai", "base_url": format!("http://{address}/v1"), "priority": rank,
            "scope": scope, "metrics_url": "off", "retry": {"max_retries": 0},
            "breaker": {"failure_threshold": 4, "open_for": "600s", "max_open_for": "600s", "ramp": "0s"},
        })
    };
    let model = |(name, _): &(&str, SocketAddr)| json!({"name": name, "providers": [{"provider": name, "model": crate::payload::MODEL}]});
    let mut config = json!({
        "listen": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "admin": "127.0.0.1:0", "workers": 1},
        "telemetry": {"log": log},
        "providers": providers.iter().enumerate().map(provider).collect::<Vec<_>>(),
        "models": providers.iter().map(model).collect::<Vec<_>>(),
        "degradation": {"enabled": false},
        "health": {"interval": "1h", "model": "off"},
        "cache": {"mode": "off"},
    });
    if let Some(redis) = redis {
        config["fleet"] = json!({"redis": redis.url()});
    }
    config
}

/// Waits until `holds`. An error of it is taken for a no.
pub(crate) fn await_that(what: &str, mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let begin = clock::now();
    loop {
        match holds() {
            Ok(true) => return Ok(()),
            answer if clock::now().duration_since(begin) > START => {
                let why = answer.err().map(|error| format!(": {error}")).unwrap_or_default();
                return Err(io::Error::other(format!("waited {START:?} for {what}{why}")));
            }
            _ => clock::sleep_until(clock::now() + LOOK),
        }
    }
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_redis_was_asked_is_read_from_what_it_tells_of_itself() {
        let info = "# Stats\r\ntotal_commands_processed:70\r\ntotal_net_input_bytes:300\r\ntotal_net_output_bytes:44\r\n\
                    cmdstat_evalsha:calls=5,usec=9\r\ncmdstat_ping:calls=2,usec=1\r\ncmdstat_hget:calls=63,usec=1\r\n";
        assert_eq!(asked(info), Asked { requests: 7, commands: 70, bytes: 344 });
    }
}
