//! Makes connections: to a server, to the master that Sentinels name, or to a Cluster. Each try starts from nothing,
//! so names, certificates and masters may have changed since the last. Keeping a connection alive is others' work.

use std::{fs, future::Future, io, path::Path, sync::Arc, time::Duration};

use futures_util::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt},
};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    Pipeline, ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, Value,
    aio::{AsyncPushSender, ConnectionLike as _, MultiplexedConnection},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{RoutingInfo, SingleNodeRoutingInfo},
    cmd,
};
use rustls::crypto::ring;

use super::address::{Address, AddressError, Host, Kind, Login, Tls};

/// For a connection to a server, its greeting, and each question that is asked before it is used.
const STEP_LIMIT: Duration = Duration::from_secs(1);
/// For all of it. A Cluster is asked for its nodes first.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
/// How often a Cluster's connection follows a redirection, or tries anew, before it gives up.
const CLUSTER_RETRIES: u32 = 3;
const CLUSTER_RETRY_WAIT_MS: (u64, u64) = (10, 100);

/// Hears what a server says unasked.
pub(super) type Pushes = Arc<dyn AsyncPushSender>;

/// Makes connections to one address.
#[derive(Debug)]
pub(super) struct Dialer(Address);

/// A connection. Its clones are the same connection.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster { connection: ClusterConnection, sharded: bool },
}

impl Dialer {
    /// For `address`, whose files are read once now, so that a wrong one is found at the start.
    ///
    /// # Errors
    /// Which file cannot be used.
    pub(super) fn try_new(address: Address) -> Result<Self, AddressError> {
        if let Some(tls) = &address.tls {
            // The crate takes the process's provider. Another that was chosen earlier is left in force.
            let _ = ring::default_provider().install_default();
            check(tls)?;
        }
        Ok(Self(address))
    }

    pub(super) fn address(&self) -> &Address {
        &self.0
    }

    /// Connects, and makes sure that commands are answered.
    ///
    /// # Errors
    /// Why there is no connection; tells nothing of logins.
    pub(super) async fn dial(&self, pushes: Pushes) -> RedisResult<Wire> {
        within(DIAL_LIMIT, async {
            match &self.0.kind {
                Kind::Single => self.server(&self.0.hosts[0], pushes).await.map(Wire::One),
                Kind::Sentinel { master } => self.master(master, pushes).await.map(Wire::One),
                Kind::Cluster => self.cluster(pushes).await,
            }
        })
        .await
    }

    async fn server(&self, host: &Host, pushes: Pushes) -> RedisResult<MultiplexedConnection> {
        let login = info(&self.0.login).set_protocol(ProtocolVersion::RESP3).set_db(self.0.database.into());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_LIMIT))
            .set_response_timeout(None)
            .set_push_sender(pushes);
        let client = self.client(host, &login)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // One that is still loading greets, and answers nothing else.
        within(STEP_LIMIT, cmd("PING").exec_async(&mut connection)).await?;
        Ok(connection)
    }

    /// Asks all Sentinels at once. Who first names a server that says of itself that it is the master is believed.
    async fn master(&self, name: &str, pushes: Pushes) -> RedisResult<MultiplexedConnection> {
        let mut answers: FuturesUnordered<_> = self.0.hosts.iter().map(|host| self.ask_sentinel(host, name)).collect();
        let mut tried = Vec::new();
        let mut fault = None;
        while let Some(answer) = answers.next().await {
            let host = match answer {
                Ok(host) if tried.contains(&host) => continue,
                Ok(host) => host,
                Err(error) => {
                    fault = Some(error);
                    continue;
                }
            };
            match self.master_at(&host, Arc::clone(&pushes)).await {
                Ok(connection) => return Ok(connection),
                Err(error) => fault = Some(error),
            }
            tried.push(host);
        }
        Err(fault.unwrap_or_else(|| failure("no Sentinel answered")))
    }

    async fn ask_sentinel(&self, sentinel: &Host, master: &str) -> RedisResult<Host> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(STEP_LIMIT))
            .set_response_timeout(Some(STEP_LIMIT));
        let client = self.client(sentinel, &info(&self.0.sentinel_login))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let answer: Option<(String, u16)> = question.query_async(&mut connection).await?;
        let (name, port) = answer.ok_or_else(|| failure("the Sentinel does not know the master's name"))?;
        Ok(Host { name, port })
    }

    async fn master_at(&self, host: &Host, pushes: Pushes) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.server(host, pushes).await?;
        let role: Vec<Value> = within(STEP_LIMIT, cmd("ROLE").query_async(&mut connection)).await?;
        match role.first() {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
            _ => Err(failure("the server that Sentinel names is not the master yet")),
        }
    }

    async fn cluster(&self, pushes: Pushes) -> RedisResult<Wire> {
        let certificates = self.0.tls.as_ref().map(read).transpose()?;
        let login = info(&self.0.login).set_protocol(ProtocolVersion::RESP3);
        let nodes: Vec<ConnectionInfo> = self
            .0
            .hosts
            .iter()
            .map(|host| connection_info(host, &login, self.0.tls.is_some()))
            .collect::<Result<_, _>>()?;
        let builder = ClusterClientBuilder::new(nodes)
            .connection_timeout(STEP_LIMIT)
            .response_timeout(STEP_LIMIT)
            .overall_response_timeout(None)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_RETRY_WAIT_MS.0)
            .max_retry_wait(CLUSTER_RETRY_WAIT_MS.1)
            .push_sender(pushes);
        let builder = match certificates {
            Some(certificates) => builder.certs(certificates),
            None => builder,
        };
        let mut connection = builder.build()?.get_async_connection().await?;
        let sharded = has_sharded_channels(&mut connection).await?;
        Ok(Wire::Cluster { connection, sharded })
    }

    fn client(&self, host: &Host, login: &RedisConnectionInfo) -> RedisResult<Client> {
        let info = connection_info(host, login, self.0.tls.is_some())?;
        match &self.0.tls {
            None => Client::open(info),
            Some(tls) => Client::build_with_tls(info, read(tls)?),
        }
    }
}

impl Wire {
    /// Sends `commands` together. As many replies, in their order; an error within a reply is the reply's.
    pub(super) async fn send(&self, commands: Vec<Cmd>) -> Vec<RedisResult<Value>> {
        match self {
            Self::One(connection) => send_in_one(connection.clone(), commands).await,
            Self::Cluster { connection, .. } => {
                let sent = commands.into_iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { connection.req_packed_command(&command).await.and_then(Value::extract_error) }
                });
                join_all(sent).await
            }
        }
    }

    /// Whether it answers at all; of a Cluster, some node or other.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let reply = match self {
            Self::One(connection) => connection.clone().send_packed_command(&cmd("PING")).await,
            Self::Cluster { connection, .. } => connection.clone().route_command(cmd("PING"), anywhere()).await,
        };
        reply.and_then(Value::extract_error).map(drop)
    }

    /// Whether channels belong to slots here.
    pub(super) fn is_sharded(&self) -> bool {
        matches!(self, Self::Cluster { sharded: true, .. })
    }
}

async fn send_in_one(mut connection: MultiplexedConnection, mut commands: Vec<Cmd>) -> Vec<RedisResult<Value>> {
    let count = commands.len();
    let sent = match (count, commands.pop()) {
        (1, Some(command)) => connection.send_packed_command(&command).await.map(|reply| vec![reply]),
        (_, None) => Ok(Vec::new()),
        (_, Some(last)) => {
            let mut pipeline = Pipeline::with_capacity(count);
            for command in commands.into_iter().chain([last]) {
                pipeline.add_command(command);
            }
            connection.send_packed_commands(&pipeline, 0, count).await
        }
    };
    match sent {
        Ok(replies) if replies.len() == count => replies.into_iter().map(Value::extract_error).collect(),
        Ok(replies) => {
            let told = format!("{} for {count} requests", replies.len());
            let error = RedisError::from((ErrorKind::Parse, "another number of replies", told));
            vec![Err(error); count]
        }
        Err(error) => vec![Err(error); count],
    }
}

/// Sharded channels came with Redis 7. A node that keeps its version to itself is taken for a new one.
async fn has_sharded_channels(connection: &mut ClusterConnection) -> RedisResult<bool> {
    let mut question = cmd("INFO");
    question.arg("server");
    let reply = within(STEP_LIMIT, connection.route_command(question, anywhere())).await?;
    let text: String = match reply.extract_error().and_then(|reply| Ok(redis::from_redis_value(reply)?)) {
        Ok(text) => text,
        Err(_) => return Ok(true),
    };
    Ok(is_of_7_or_later(&text))
}

/// By what `INFO server` says. Valkey names the version of Redis that it stands for.
fn is_of_7_or_later(text: &str) -> bool {
    let version = text.lines().find_map(|line| line.strip_prefix("redis_version:"));
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_none_or(|major| major >= 7)
}

fn anywhere() -> RoutingInfo {
    RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random)
}

fn info(login: &Login) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default();
    if let Some(user) = &login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password);
    }
    info
}

fn connection_info(host: &Host, login: &RedisConnectionInfo, secure: bool) -> RedisResult<ConnectionInfo> {
    let (name, port) = (host.name.clone(), host.port);
    let address = if secure {
        ConnectionAddr::TcpTls { host: name, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(name, port)
    };
    Ok(address.into_connection_info()?.set_redis_settings(login.clone()))
}

fn read(tls: &Tls) -> io::Result<TlsCertificates> {
    let read = |file: &Path| {
        fs::read(file).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
    };
    let client_tls = match (&tls.cert, &tls.key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    Ok(TlsCertificates { client_tls, root_cert: tls.ca.as_deref().map(read).transpose()? })
}

fn check(tls: &Tls) -> Result<(), AddressError> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let certificates = read(tls).map_err(|error| AddressError(format!("a file of TLS cannot be read: {error}")))?;
    let is_empty = |pem: &Vec<u8>| !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN);
    if certificates.root_cert.as_ref().is_some_and(is_empty) {
        return Err(AddressError("there is no certificate in the file `ca`".to_owned()));
    }
    let here = Host { name: "localhost".to_owned(), port: 1 };
    let built = connection_info(&here, &RedisConnectionInfo::default(), true)
        .and_then(|info| Client::build_with_tls(info, certificates));
    built.map(drop).map_err(|error| AddressError(format!("a file of TLS is not PEM as it should be: {error}")))
}

async fn within<T>(limit: Duration, doing: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer to the greeting within {limit:?}")).into())
    })
}

fn failure(why: &'static str) -> RedisError {
    io::Error::other(why).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharded_channels_are_expected_from_redis_7_on_and_of_those_who_do_not_say() {
        assert!(!is_of_7_or_later("# Server\r\nredis_version:6.2.14\r\nredis_mode:cluster\r\n"));
        for text in ["redis_version:7.0.15\r\n", "redis_version:10.1.0", "server_name:other", "redis_version:?"] {
            assert!(is_of_7_or_later(text), "{text}");
        }
    }
}
