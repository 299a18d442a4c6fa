//! The Redis servers that other tests lean on: that they are real, fail as they are told, and leave nothing behind.

mod cluster;
mod sentinel;
mod wire;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use fusebox_tests::{
    redis::{ALL_RIGHTS, Options, Server},
    tls::Authority,
};
use futures_util::future::join_all;
use redis::{RedisConnectionInfo, RedisError, RedisResult};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

use crate::support::ms;

/// How long something is waited for that must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long something is waited for that must not come.
const SILENCE: Duration = ms(150);

/// A connection on which a test writes what it likes.
struct Line(TcpStream);

impl Line {
    async fn to(address: SocketAddr) -> Self {
        Self(timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap())
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// Waits for exactly this answer.
    async fn hears(&mut self, answer: &str) {
        let mut heard = vec![0; answer.len()];
        timeout(PATIENCE, self.0.read_exact(&mut heard)).await.expect("an answer").unwrap();
        assert_eq!(String::from_utf8_lossy(&heard), answer);
    }

    async fn hears_nothing(&mut self) {
        let heard = timeout(SILENCE, self.0.read_u8()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    async fn pings(&mut self) {
        self.send("PING\r\n").await;
        self.hears("+PONG\r\n").await;
    }

    /// Waits until the other side has said all, and hangs up.
    async fn ends(mut self) {
        let end = timeout(PATIENCE, self.0.read_u8()).await.expect("an end").expect_err("an end");
        assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof);
    }

    /// Waits until the other side resets it.
    async fn is_reset(&mut self) {
        let end = timeout(PATIENCE, self.0.read_u8()).await.expect("an end").expect_err("an end");
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

/// The word by which the server refuses.
fn refusal(answer: RedisResult<()>) -> String {
    code(&answer.expect_err("a refusal"))
}

fn code(error: &RedisError) -> String {
    error.code().unwrap_or_else(|| panic!("not the server's word: {error:?}")).to_owned()
}

fn lives(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

async fn refuses(address: SocketAddr) {
    let kind = TcpStream::connect(address).await.expect_err("nobody listens").kind();
    assert_eq!(kind, std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone_with_its_files() {
    let server = Server::start().await;
    assert_eq!(server.query::<String>(&["PING"]).await, "PONG");
    let (pid, address) = (server.pid(), server.address());
    let folder: (String, String) = server.query(&["CONFIG", "GET", "dir"]).await;
    assert!(lives(pid) && Path::new(&folder.1).exists());
    drop(server);
    assert!(!lives(pid) && !Path::new(&folder.1).exists());
    refuses(address).await;
}

#[tokio::test]
async fn a_test_that_panics_leaves_no_server_behind() {
    let (tell, told) = oneshot::channel();
    let test = tokio::spawn(async {
        let servers = [Server::start().await, Server::start().await];
        // Even one that could not end by itself.
        servers[1].pause().await;
        tell.send([servers[0].pid(), servers[1].pid()]).unwrap();
        panic!("as a test does that fails");
    });
    let pids = told.await.unwrap();
    assert!(test.await.unwrap_err().is_panic());
    assert_eq!(pids.map(lives), [false, false]);
}

#[tokio::test]
async fn servers_that_start_at_once_share_nothing() {
    let servers = join_all((0..6).map(|_| Server::start())).await;
    for (number, server) in servers.iter().enumerate() {
        server.command(&["SET", "number", &number.to_string()]).await;
    }
    for (number, server) in servers.iter().enumerate() {
        assert_eq!(server.query::<usize>(&["GET", "number"]).await, number);
    }
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_empty_on_the_same_port() {
    let mut server = Server::start_with(Options::new().set("maxclients", "500")).await;
    server.command(&["SET", "key", "value"]).await;
    server.config_set("maxclients", "400").await;
    let (pid, address) = (server.pid(), server.address());
    server.kill();
    assert!(!server.runs() && !lives(pid));
    refuses(address).await;
    server.restart().await;
    assert_eq!(server.address(), address);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.query::<Option<String>>(&["GET", "key"]).await, None);
    let clients: (String, u16) = server.query(&["CONFIG", "GET", "maxclients"]).await;
    assert_eq!(clients.1, 500, "what it was started with, not what it was told later");
}

#[tokio::test]
async fn a_paused_server_takes_connections_and_answers_when_it_is_resumed() {
    let server = Server::start().await;
    let mut old = Line::to(server.address()).await;
    old.pings().await;
    server.pause().await;
    let mut new = Line::to(server.address()).await;
    for line in [&mut old, &mut new] {
        line.send("PING\r\n").await;
        line.hears_nothing().await;
    }
    server.resume().await;
    old.hears("+PONG\r\n").await;
    new.hears("+PONG\r\n").await;
}

#[tokio::test]
async fn a_read_only_server_refuses_writes_and_answers_reads() {
    let server = Server::start().await;
    server.command(&["SET", "key", "before"]).await;
    server.make_read_only().await;
    assert_eq!(refusal(server.ask(&["SET", "key", "after"]).await), "READONLY");
    assert_eq!(server.query::<String>(&["GET", "key"]).await, "before");
    server.make_writable().await;
    assert_eq!(server.query::<String>(&["SET", "key", "after", "GET"]).await, "before");
}

#[tokio::test]
async fn a_server_out_of_memory_refuses_writes_and_answers_reads() {
    let server = Server::start().await;
    server.command(&["SET", "key", "before"]).await;
    server.out_of_memory().await;
    assert_eq!(refusal(server.ask(&["SET", "key", "after"]).await), "OOM");
    assert_eq!(server.query::<String>(&["GET", "key"]).await, "before");
    server.memory_again().await;
    server.command(&["SET", "key", "after"]).await;
}

#[tokio::test]
async fn a_server_of_little_memory_fills_up_and_throws_nothing_away() {
    let server = Server::start_with(Options::new().maxmemory(4_000_000)).await;
    let value = "x".repeat(200_000);
    let mut kept = 0;
    let full = loop {
        match server.ask::<()>(&["SET", &kept.to_string(), &value]).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 30, "it holds more than it may");
    };
    assert_eq!(code(&full), "OOM");
    assert_eq!(server.query::<u64>(&["DBSIZE"]).await, kept);
}

#[tokio::test]
async fn a_flush_forgets_keys_and_scripts() {
    let server = Server::start().await;
    let script: String = server.query(&["SCRIPT", "LOAD", "return redis.call('SET', KEYS[1], 'value')"]).await;
    server.command(&["EVALSHA", &script, "1", "key"]).await;
    server.flush().await;
    assert_eq!(server.query::<u64>(&["DBSIZE"]).await, 0);
    assert_eq!(refusal(server.ask(&["EVALSHA", &script, "1", "key"]).await), "NOSCRIPT");
}

#[tokio::test]
async fn a_server_with_users_knows_whom_it_may_let_in() {
    let options = Options::new().user("alice", "secret", "~mine:* +@all -@admin").user("bob", "hidden", ALL_RIGHTS);
    let mut server = Server::start_with(options).await;
    for _ in 0..2 {
        let ask = |url: String, key: &'static str| async move {
            let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
            redis::cmd("SET").arg(key).arg(1).query_async::<()>(&mut connection).await
        };
        ask(server.url_for("alice", "secret"), "mine:key").await.unwrap();
        ask(server.url_for("bob", "hidden"), "any").await.unwrap();
        assert_eq!(refusal(ask(server.url_for("alice", "secret"), "any").await), "NOPERM");
        assert_eq!(refusal(ask(server.url(), "any").await), "NOAUTH");
        ask(server.url_for("alice", "wrong"), "mine:key").await.expect_err("a wrong password");
        server.restart().await;
    }
}

#[tokio::test]
async fn a_server_under_tls_speaks_nothing_else_and_shows_its_certificate() {
    let authority = Arc::new(Authority::new());
    let server = Server::start_with(Options::new().tls(&authority)).await;
    assert!(server.url().starts_with("rediss://"));
    assert_eq!(server.query::<String>(&["PING"]).await, "PONG");
    // One who does not know the authority, and one who does not even speak TLS.
    for url in [server.url(), server.url().replace("rediss", "redis")] {
        let strange = redis::Client::open(url).unwrap();
        strange.get_multiplexed_async_connection().await.map(drop).expect_err("no way to speak");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_certificates_hears_nobody_without() {
    let authority = Arc::new(Authority::new());
    let options = Options::new().mutual_tls(&authority).user("alice", "secret", ALL_RIGHTS);
    let server = Server::start_with(options).await;
    assert_eq!(server.query::<String>(&["ACL", "WHOAMI"]).await, "keeper");
    let alice = RedisConnectionInfo::default().set_username("alice").set_password("secret");
    let mut connection = server.client_as(alice).unwrap().get_multiplexed_async_connection().await.unwrap();
    let name: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut connection).await.unwrap();
    assert_eq!(name, "alice");

    let tls = tokio_rustls::TlsConnector::from(Arc::new(authority.client(None)));
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = server.address().ip().into();
    let mut refused = tls.connect(name, stream).await.expect("TLS 1.3 is done before the server has looked");
    let mut heard = Vec::new();
    let _ = refused.write_all(b"PING\r\n").await;
    let end = timeout(PATIENCE, refused.read_to_end(&mut heard)).await.expect("an end");
    assert!(end.is_err() && heard.is_empty(), "{end:?}, {heard:?}");
}
