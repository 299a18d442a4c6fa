//! A master, its replica, and three Sentinels that put the one in the other's place.
//!
//! A death that a test wants is seen sooner than anybody would have it in earnest: after a second of silence. At all
//! other times a minute of silence is forgiven, so that a machine that is busy causes no failover that nobody asked for.

use std::{collections::HashMap, net::SocketAddr};

use redis::RedisError;

use super::{
    Options, Server,
    wait::{LONG_PATIENCE, PATIENCE, until},
};

/// What the Sentinels call the master.
pub const MASTER_NAME: &str = "fusebox";
/// Sentinels that must agree that the master is gone, of the three.
const QUORUM: u8 = 2;
/// How long a server may be silent before it is held for dead: while a death is waited for, and at all other times.
const DOWN_AFTER_MS: (u32, u32) = (1_000, 60_000);
/// A Sentinel that lost an election, or whose failover stuck, tries again after twice this.
const FAILOVER_TIMEOUT_MS: u32 = 2_000;
/// How often a Sentinel looks around; its own periods are seconds long. The last two bound how long it does nothing
/// after a machine that was busy has kept it waiting.
const PERIODS_MS: [(&str, &str); 5] = [
    ("INFO-PERIOD", "300"),
    ("PUBLISH-PERIOD", "1000"),
    ("ASK-PERIOD", "200"),
    ("TILT-TRIGGER", "5000"),
    ("TILT-PERIOD", "2000"),
];

/// Two servers and three Sentinels, all running. Dropped, all are killed.
#[derive(Debug)]
pub struct Sentinel {
    servers: [Server; 2],
    sentinels: Vec<Server>,
    /// Which of the servers is the master, as far as this has seen.
    master: usize,
}

impl Sentinel {
    /// Starts all five, and waits until the Sentinels know each other and the replica, and the replica follows.
    pub async fn start() -> Self {
        let master = Server::start().await;
        let follows = format!("{} {}", master.address().ip(), master.address().port());
        let replica = Server::start_with(Options::new().set("replicaof", &follows)).await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = Server::start_with(watching(master.address())).await;
            let periods = PERIODS_MS.iter().flat_map(|(name, millis)| [*name, *millis]);
            let words: Vec<&str> = ["SENTINEL", "DEBUG"].into_iter().chain(periods).collect();
            sentinel.command(&words).await;
            sentinels.push(sentinel);
        }
        let this = Self { servers: [master, replica], sentinels, master: 0 };
        this.until_whole().await;
        this
    }

    /// The master, as far as this has seen: after the start, or after the last failover that it waited for.
    #[must_use]
    pub fn master(&self) -> &Server {
        &self.servers[self.master]
    }

    /// The other server: the replica, or the master that was.
    #[must_use]
    pub fn other(&self) -> &Server {
        &self.servers[1 - self.master]
    }

    /// The three Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// The three Sentinels, to kill some.
    pub fn sentinels_mut(&mut self) -> &mut [Server] {
        &mut self.sentinels
    }

    /// Where the Sentinels listen.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(Server::address).collect()
    }

    /// Kills the master and waits until the other is in its place.
    pub async fn fail_over(&mut self) {
        self.kill_master();
        self.until_failed_over().await;
    }

    /// Kills the master, and waits for nothing.
    pub fn kill_master(&mut self) {
        self.servers[self.master].kill();
    }

    /// Waits until the other server is the master, in its own eyes and in those of every Sentinel that runs; for a
    /// master that is killed, or paused, or cut off.
    pub async fn until_failed_over(&mut self) {
        self.bear_silence_for(DOWN_AFTER_MS.0).await;
        self.until_other_is_master().await;
        self.bear_silence_for(DOWN_AFTER_MS.1).await;
    }

    async fn until_other_is_master(&mut self) {
        let next = 1 - self.master;
        let address = self.servers[next].address();
        until("a new master", LONG_PATIENCE, || async {
            for sentinel in self.watchers() {
                let seen = address_of_master(sentinel).await.map_err(|error| error.to_string())?;
                if seen != address {
                    return Err(format!("{} says {seen}", sentinel.address()));
                }
            }
            match self.servers[next].info("replication", "role").await.as_str() {
                "master" => Ok(()),
                role => Err(format!("{address} is a {role}")),
            }
        })
        .await;
        self.master = next;
    }

    /// Asks for a failover while all is well: the master that was lives on, refuses writes with `READONLY`, and follows.
    pub async fn hand_over(&mut self) {
        // One that has just been done keeps the next one waiting.
        until("a Sentinel to begin", LONG_PATIENCE, || async {
            self.watchers()[0].ask::<()>(&["SENTINEL", "FAILOVER", MASTER_NAME]).await
        })
        .await;
        self.until_other_is_master().await;
        self.until_whole().await;
    }

    /// Starts the server that was killed, and waits until it follows the master.
    pub async fn bring_back(&mut self) {
        self.servers[1 - self.master].restart().await;
        self.until_whole().await;
    }

    /// From now on the master's writes reach nobody, and the replica stays as it is. A failover within the next nine
    /// seconds loses them; later, the Sentinels find that the replica knows too little to be made master.
    pub async fn stop_replication(&self) {
        self.master().command(&["ACL", "SETUSER", "default", "-psync", "-sync"]).await;
        self.master().command(&["CLIENT", "KILL", "TYPE", "REPLICA"]).await;
        self.other().until_info("replication", "master_link_status", "down").await;
    }

    /// Ends [`Self::stop_replication`] where no failover came in between.
    pub async fn resume_replication(&self) {
        // A replica that is refused `PSYNC` tries `SYNC` next, and knows no offsets if that is allowed by then.
        self.master().command(&["ACL", "SETUSER", "default", "+psync"]).await;
        self.until_whole().await;
        self.master().command(&["ACL", "SETUSER", "default", "+sync"]).await;
    }

    /// A failover that loses `writes`, all of which the master took before it died.
    pub async fn lose_writes(&mut self, writes: &[&[&str]]) {
        self.stop_replication().await;
        for write in writes {
            self.master().command(write).await;
        }
        self.fail_over().await;
    }

    /// Waits until both servers and every Sentinel that runs know each other, and the replica follows.
    pub async fn until_whole(&self) {
        until("a master, a replica and Sentinels", LONG_PATIENCE, || async {
            for sentinel in self.watchers() {
                self.sees_all(sentinel).await.map_err(|why| format!("{} sees {why}", sentinel.address()))?;
            }
            Ok::<(), String>(())
        })
        .await;
        self.other().until_info("replication", "master_link_status", "up").await;
    }

    /// Waits until the replica has all that the master has been told so far: a failover then keeps it.
    pub async fn until_replicated(&self) {
        let told: u64 = self.master().info("replication", "master_repl_offset").await.parse().unwrap();
        until("the replica to hear of everything", PATIENCE, || async {
            let heard = self.other().info("replication", "slave_repl_offset").await;
            if heard.parse::<u64>().is_ok_and(|heard| heard >= told) { Ok(()) } else { Err((heard, told)) }
        })
        .await;
    }

    /// What is missing in the eyes of `sentinel`.
    async fn sees_all(&self, sentinel: &Server) -> Result<(), String> {
        let told = |error: RedisError| error.to_string();
        let seen = address_of_master(sentinel).await.map_err(told)?;
        let master: HashMap<String, String> = sentinel.ask(&["SENTINEL", "MASTER", MASTER_NAME]).await.map_err(told)?;
        let others = (self.sentinels.len() - 1).to_string();
        let is_whole = seen == self.master().address()
            && master.get("flags").is_some_and(|flags| flags == "master")
            && master.get("num-other-sentinels") == Some(&others);
        if !is_whole {
            return Err(format!("the master {seen}: {master:?}"));
        }
        let replicas: Vec<HashMap<String, String>> =
            sentinel.ask(&["SENTINEL", "REPLICAS", MASTER_NAME]).await.map_err(told)?;
        let port = self.other().address().port().to_string();
        let follows = |replica: &HashMap<String, String>| {
            replica.get("port") == Some(&port)
                && replica.get("flags").is_some_and(|flags| flags == "slave")
                && replica.get("master-link-status").is_some_and(|status| status == "ok")
        };
        if replicas.len() == 1 && follows(&replicas[0]) { Ok(()) } else { Err(format!("replicas {replicas:?}")) }
    }

    /// Tells every Sentinel that runs for how many milliseconds a server may be silent.
    async fn bear_silence_for(&self, millis: u32) {
        for sentinel in self.watchers() {
            let millis = millis.to_string();
            sentinel.command(&["SENTINEL", "SET", MASTER_NAME, "down-after-milliseconds", &millis]).await;
        }
    }

    /// The Sentinels that run.
    fn watchers(&self) -> Vec<&Server> {
        self.sentinels.iter().filter(|sentinel| sentinel.runs()).collect()
    }

    /// Waits until `sentinel` holds the master for dead, and knows that too few are left to make another.
    pub async fn until_powerless(&self, sentinel: &Server) {
        self.bear_silence_for(DOWN_AFTER_MS.0).await;
        until("a death that nobody can mend", LONG_PATIENCE, || async {
            let master: HashMap<String, String> = sentinel.query(&["SENTINEL", "MASTER", MASTER_NAME]).await;
            let quorum = sentinel.ask::<String>(&["SENTINEL", "CKQUORUM", MASTER_NAME]).await;
            let powerless = quorum.as_ref().is_err_and(|error| error.code() == Some("NOQUORUM"));
            let is_down = master.get("flags").is_some_and(|flags| flags.contains("s_down"));
            if powerless && is_down { Ok(()) } else { Err((quorum, master)) }
        })
        .await;
    }
}

fn watching(master: SocketAddr) -> Options {
    let (host, port) = (master.ip(), master.port());
    Options::new()
        .sentinel()
        .set("sentinel", &format!("monitor {MASTER_NAME} {host} {port} {QUORUM}"))
        .set("sentinel", &format!("down-after-milliseconds {MASTER_NAME} {}", DOWN_AFTER_MS.1))
        .set("sentinel", &format!("failover-timeout {MASTER_NAME} {FAILOVER_TIMEOUT_MS}"))
}

async fn address_of_master(sentinel: &Server) -> Result<SocketAddr, RedisError> {
    let (host, port): (String, u16) = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME]).await?;
    Ok(SocketAddr::new(host.parse().expect("an address, not a name"), port))
}
