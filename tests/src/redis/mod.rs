//! Real Redis servers: one alone, a master with a replica under Sentinel, a cluster; and all that befalls them.
//!
//! They are Debian's `redis-server`, 7.0 or newer, on the loopback interface. The harness asks each command over a
//! connection of its own, so that it never suffers from what it does to a server.

pub mod cluster;
mod options;
pub mod port;
mod process;
pub mod sentinel;
mod wait;

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisResult, TlsCertificates, Value,
};
use tempfile::TempDir;

pub use self::options::{ALL_RIGHTS, Options};
use self::{
    options::KEEPER,
    process::Process,
    wait::{PATIENCE, until},
};

/// How often another port is tried where another process was faster.
const STARTS: usize = 10;
/// How long the harness waits for the answer to one command.
const ANSWER: Duration = Duration::from_secs(5);
/// Where nobody listens: a port that only the machine's own services may take.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// A running server. Dropped, it is killed and its files are removed, whatever state it is in.
#[derive(Debug)]
pub struct Server {
    /// Before the folder, so that nobody writes there while it is removed. `None`: killed.
    process: Option<Process>,
    folder: TempDir,
    address: SocketAddr,
    options: Options,
}

impl Server {
    /// One with no options, on a free port.
    pub async fn start() -> Self {
        Self::start_with(Options::new()).await
    }

    /// One on a free port, once it answers.
    pub async fn start_with(options: Options) -> Self {
        Self::start_as(|| options.clone()).await
    }

    /// As [`Self::start_with`], for options that name another free port, which each try must choose anew.
    async fn start_as(options: impl Fn() -> Options) -> Self {
        let mut said = String::new();
        for _ in 0..STARTS {
            let address = port::free();
            let folder = tempfile::tempdir().unwrap();
            let options = options();
            fs::write(folder.path().join("redis.conf"), options.text(address, folder.path())).unwrap();
            let mut server = Self { process: None, folder, address, options };
            match server.run().await {
                Ok(()) => return server,
                Err(why) => said = why,
            }
            assert!(said.contains("in use"), "{said}");
        }
        panic!("no port stayed free: {said}");
    }

    /// Starts the process and waits until it answers.
    async fn run(&mut self) -> Result<(), String> {
        let pid = self.process.insert(Process::start(self.folder.path(), self.options.sentinel)).pid();
        let mut clock = tokio::time::interval(Duration::from_millis(5));
        let mut last = None;
        let answering = async {
            loop {
                clock.tick().await;
                if self.process.as_mut().is_none_or(Process::has_ended) {
                    return Err(process::log(self.folder.path(), self.address));
                }
                // Another server may have taken the port first, and answer there in this one's place.
                match self.ask::<String>(&["INFO", "server"]).await {
                    Ok(info) if info.lines().any(|line| line == format!("process_id:{pid}")) => return Ok(()),
                    answer => last = Some(answer),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, answering).await {
            Ok(ended) => ended,
            Err(_) => panic!("no good answer within {PATIENCE:?}, but {last:?}; {}", self.log()),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `redis://…`, or `rediss://…` where it speaks TLS, without a user.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{}", self.address)
    }

    /// As [`Self::url`], for a user. Both words stand in it as they are.
    #[must_use]
    pub fn url_for(&self, user: &str, password: &str) -> String {
        self.url().replace("://", &format!("://{user}:{password}@"))
    }

    /// Its process.
    ///
    /// # Panics
    /// It is killed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().pid()
    }

    /// Whether it has been started and not killed since.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        process::log(self.folder.path(), self.address)
    }

    /// Kills it, without a goodbye to its clients. Its port refuses connections from now on.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on the same port, empty and with the options of its first start; kills it before if it runs.
    pub async fn restart(&mut self) {
        self.kill();
        if let Err(said) = self.run().await {
            panic!("the server does not come back: {said}");
        }
    }

    /// Halts it: its port takes connections, and nobody answers.
    pub async fn pause(&self) {
        self.running().stop().await;
    }

    /// Lets it go on after [`Self::pause`]; it then answers what it was asked meanwhile.
    pub async fn resume(&self) {
        self.running().wake().await;
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("the server is killed")
    }

    /// Forgets all keys and all scripts.
    pub async fn flush(&self) {
        self.command(&["FLUSHALL", "SYNC"]).await;
        self.command(&["SCRIPT", "FLUSH", "SYNC"]).await;
    }

    /// Changes a setting, until the next restart.
    pub async fn config_set(&self, key: &str, value: &str) {
        self.command(&["CONFIG", "SET", key, value]).await;
    }

    /// From now on it refuses writes with `READONLY` and answers reads, as a replica that has lost its master.
    pub async fn make_read_only(&self) {
        let (host, port) = (NOWHERE.ip().to_string(), NOWHERE.port().to_string());
        self.command(&["REPLICAOF", &host, &port]).await;
    }

    /// Ends [`Self::make_read_only`]; nothing is forgotten.
    pub async fn make_writable(&self) {
        self.command(&["REPLICAOF", "NO", "ONE"]).await;
    }

    /// From now on it refuses with `OOM` what could need memory, and answers reads.
    pub async fn out_of_memory(&self) {
        self.config_set("maxmemory-policy", "noeviction").await;
        self.config_set("maxmemory", "1").await;
    }

    /// Ends [`Self::out_of_memory`].
    pub async fn memory_again(&self) {
        self.config_set("maxmemory", "0").await;
    }

    /// The answer to one command, as the harness's own user.
    ///
    /// # Panics
    /// The server refuses it, or does not answer.
    pub async fn command(&self, words: &[&str]) -> Value {
        self.query(words).await
    }

    /// As [`Self::command`], told as a type of the test's choice.
    ///
    /// # Panics
    /// As [`Self::command`], or the answer is none of that type.
    pub async fn query<T: FromRedisValue>(&self, words: &[&str]) -> T {
        match self.ask(words).await {
            Ok(answer) => answer,
            Err(error) => panic!("{words:?} at {}: {error}", self.address),
        }
    }

    /// As [`Self::query`], for what may go wrong.
    ///
    /// # Errors
    /// The server refuses the command, does not answer within five seconds, or with something else.
    pub async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
        let mut connection = self.client()?.get_multiplexed_async_connection_with_config(&config).await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async(&mut connection).await
    }

    /// A client as the harness's own user, who may do everything.
    ///
    /// # Errors
    /// What the certificates' files hold is none.
    pub fn client(&self) -> RedisResult<Client> {
        let mut user = RedisConnectionInfo::default();
        if !self.options.users.is_empty() {
            user = user.set_username(KEEPER.0).set_password(KEEPER.1);
        }
        self.client_as(user)
    }

    /// A client as somebody else.
    ///
    /// # Errors
    /// What the certificates' files hold is none.
    pub fn client_as(&self, user: RedisConnectionInfo) -> RedisResult<Client> {
        let (host, port) = (self.address.ip().to_string(), self.address.port());
        let Some(tls) = &self.options.tls else {
            return Client::open(ConnectionAddr::Tcp(host, port).into_connection_info()?.set_redis_settings(user));
        };
        let address = ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
        let client_tls = tls.client.as_ref().map(|client| ClientTlsConfig {
            client_cert: fs::read(&client.cert_file).unwrap(),
            client_key: fs::read(&client.key_file).unwrap(),
        });
        let root_cert = Some(fs::read(tls.authority.file()).unwrap());
        let info = address.into_connection_info()?.set_redis_settings(user);
        Client::build_with_tls(info, TlsCertificates { client_tls, root_cert })
    }

    /// What `section` of `INFO` says of `field`; empty where it says nothing.
    pub async fn info(&self, section: &str, field: &str) -> String {
        let info: String = self.query(&["INFO", section]).await;
        let found = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.unwrap_or_default().to_owned()
    }

    /// Waits until `section` of `INFO` says `value` of `field`.
    pub async fn until_info(&self, section: &str, field: &str, value: &str) {
        until(&format!("{field} {value} at {}", self.address), PATIENCE, || async {
            let now = self.info(section, field).await;
            if now == value { Ok(()) } else { Err(now) }
        })
        .await;
    }
}
