//! `Link`: one connection to Redis that everybody shares, kept up in the background. Who asks is answered within the
//! limit that it gives, and at once while there is no connection; nobody waits for one to be made.
//!
//! A request is sent once. One that was lost with its connection is not sent again: whoever asked knows whether that
//! is safe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use fusebox_rules::moment::Moment;
use parking_lot::Mutex;
use redis::{Cmd, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    address::{Address, AddressError, Kind},
    backoff::Backoff,
    classify::{Fate, classify},
    dial::{Dialer, Pushes, Wire},
    herald::Herald,
    script::Batch,
};
use crate::{Clock, StoreError};

/// Requests that may be under way at a time. More of them means that Redis does not keep up.
const MAX_IN_FLIGHT: usize = 1024;
/// A server that leaves so many in a row without an answer is frozen, or cut off.
const MAX_SILENT: u32 = 3;
/// A link on which nothing is asked asks something itself.
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_LIMIT: Duration = Duration::from_secs(1);

/// A connection that is kept up as long as this lives.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    /// The task that connects. It ends with the link.
    _keeper: JoinSet<()>,
}

/// How a link is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkState {
    /// Whether there is a connection. One that has just died may be taken for alive.
    pub connected: bool,
    /// Which connection since the link was opened, counted from 1; the last one's where there is none now.
    pub generation: u64,
    /// Since when it is connected, or is not.
    pub since: Moment,
    /// Why it is not connected, for people. Without logins.
    pub error: Option<Arc<str>>,
}

struct Shared {
    address: Address,
    clock: Clock,
    state: watch::Sender<LinkState>,
    live: Mutex<Option<Arc<Live>>>,
    in_flight: Semaphore,
    /// Whether the last connection's channels belonged to slots.
    sharded: AtomicBool,
}

/// A connection, and what is known of its health.
struct Live {
    wire: Wire,
    /// Takes the first reason to throw this connection away. A later connection has another.
    lost: mpsc::Sender<String>,
    /// Requests in a row that nobody answered.
    silent: AtomicU32,
    /// Whether there was an answer since the last look.
    heard: AtomicBool,
}

impl Link {
    /// Begins to connect to `address`, for ever. Is called within a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that the address names cannot be used. That nobody is there is no error.
    pub fn open(address: Address, clock: Clock) -> Result<Self, AddressError> {
        let dialer = Dialer::try_new(address)?;
        let state = LinkState { connected: false, generation: 0, since: clock(), error: None };
        let shared = Arc::new(Shared {
            address: dialer.address().clone(),
            clock,
            state: watch::Sender::new(state),
            live: Mutex::new(None),
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            sharded: AtomicBool::new(dialer.address().is_cluster()),
        });
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(Arc::clone(&shared), dialer));
        Ok(Self { shared, _keeper: keeper })
    }

    /// Asks all of `batch`; as many replies, in its order. None comes later than `limit`. Three limits in a row that
    /// pass without an answer end the connection: let `limit` be longer than a healthy server ever takes.
    pub async fn request(&self, batch: &Batch, limit: Duration) -> Vec<Result<Value, StoreError>> {
        self.ask_all(batch, limit).await.unwrap_or_else(|error| vec![Err(error); batch.len()])
    }

    /// Asks one plain command.
    ///
    /// # Errors
    /// There was no answer within `limit`, or it was an error.
    pub async fn command(&self, command: Cmd, limit: Duration) -> Result<Value, StoreError> {
        let mut replies = self.request(&Batch::new().command(command), limit).await;
        replies.pop().unwrap_or_else(|| Err(StoreError::Protocol("no reply to a request".to_owned())))
    }

    /// How it is now.
    #[must_use]
    pub fn state(&self) -> LinkState {
        self.shared.state.borrow().clone()
    }

    /// Tells of every change of `state`.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<LinkState> {
        self.shared.state.subscribe()
    }

    /// Where it leads.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// With which command a script publishes what `Hints` of the same address hear: `SPUBLISH` on a Cluster from
    /// Redis 7 on, to a channel in the slot of the script's keys; else `PUBLISH`. Known for sure once connected; it
    /// may change with a new connection.
    #[must_use]
    pub fn publish_command(&self) -> &'static str {
        if self.shared.sharded.load(Ordering::Relaxed) { "SPUBLISH" } else { "PUBLISH" }
    }

    async fn ask_all(&self, batch: &Batch, limit: Duration) -> Result<Vec<Result<Value, StoreError>>, StoreError> {
        let live = self.shared.live.lock().clone();
        let live = live.ok_or_else(|| self.shared.no_connection())?;
        let permits = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let _in_flight = self
            .shared
            .in_flight
            .try_acquire_many(permits)
            .map_err(|_| StoreError::not_asked("too many requests are under way"))?;
        let answers = batch.run(&live.wire, limit).await;
        Ok(live.judged(answers, limit))
    }
}

impl Shared {
    fn no_connection(&self) -> StoreError {
        match &self.state.borrow().error {
            Some(error) => StoreError::not_asked(format!("no connection: {error}")),
            None => StoreError::not_asked("no connection yet"),
        }
    }

    fn up(&self, live: &Arc<Live>) {
        self.sharded.store(live.wire.is_sharded(), Ordering::Relaxed);
        *self.live.lock() = Some(Arc::clone(live));
        self.state.send_modify(|state| {
            let generation = state.generation + 1;
            *state = LinkState { connected: true, generation, since: (self.clock)(), error: None };
        });
    }

    fn down(&self, why: &str) {
        *self.live.lock() = None;
        self.state.send_if_modified(|state| {
            let changed = state.connected || state.error.as_deref() != Some(why);
            if state.connected {
                state.connected = false;
                state.since = (self.clock)();
            }
            state.error = Some(why.into());
            changed
        });
    }
}

impl Live {
    fn is_cluster(&self) -> bool {
        matches!(self.wire, Wire::Cluster { .. })
    }

    /// The answers in our words; what they say of the connection is taken note of.
    fn judged(&self, answers: Vec<Option<RedisResult<Value>>>, limit: Duration) -> Vec<Result<Value, StoreError>> {
        let mut answered = answers.is_empty();
        let mut broken = None;
        let late = || StoreError::not_known(format!("no answer within {limit:?}"));
        let replies = answers
            .into_iter()
            .map(|answer| {
                let error = match answer {
                    None => return Err(late()),
                    Some(Err(error)) => error,
                    Some(Ok(value)) => {
                        answered = true;
                        return Ok(value);
                    }
                };
                let (ours, fate) = classify(&error);
                match fate {
                    Fate::Broken => broken = Some(error),
                    // A Cluster's connection looks for the new master by itself.
                    Fate::Misled if !self.is_cluster() => self.lose(format!("not the master any more: {error}")),
                    Fate::Misled | Fate::Sound => answered = true,
                }
                Err(ours)
            })
            .collect();
        match broken {
            Some(error) if !self.is_cluster() => self.lose(error.to_string()),
            _ if answered => self.was_heard(),
            Some(error) => self.was_silent(|| error.to_string()),
            None => self.was_silent(|| format!("{MAX_SILENT} requests in a row were not answered")),
        }
        replies
    }

    fn was_heard(&self) {
        self.silent.store(0, Ordering::Relaxed);
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Nobody answered a request. Of a Cluster that may be one node's fault, so only a row of them counts.
    fn was_silent(&self, why: impl FnOnce() -> String) {
        if self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_SILENT {
            self.lose(why());
        }
    }

    fn lose(&self, why: String) {
        // A full channel has a reason in it already.
        let _ = self.lost.try_send(why);
    }

    /// Whether there was an answer since the last look, or is one now.
    async fn is_well(&self) -> bool {
        if self.heard.swap(false, Ordering::Relaxed) {
            return true;
        }
        let why = match timeout(PING_LIMIT, self.wire.ping()).await {
            Ok(Ok(())) => {
                self.silent.store(0, Ordering::Relaxed);
                return true;
            }
            Ok(Err(error)) if classify(&error).1 == Fate::Sound => return true,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer to a ping within {PING_LIMIT:?}"),
        };
        if self.is_cluster() {
            self.was_silent(|| why);
        } else {
            self.lose(why);
        }
        false
    }
}

/// Connects, looks after the connection, and connects anew.
async fn keep(shared: Arc<Shared>, dialer: Dialer) {
    let (mut backoff, mut herald) = (Backoff::default(), Herald::default());
    loop {
        let (lost, mut losses) = mpsc::channel(1);
        let why = match dialer.dial(told_of_end(&shared.address, lost.clone())).await {
            Ok(wire) => {
                let live = Arc::new(Live { wire, lost, silent: AtomicU32::new(0), heard: AtomicBool::new(false) });
                shared.up(&live);
                let lasts = || {
                    backoff.reset();
                    if herald.is_well() {
                        tracing::info!(address = %shared.address, "connected to redis");
                    }
                };
                look_after(&live, &mut losses, lasts).await
            }
            Err(error) => plain(&error),
        };
        shared.down(&why);
        if herald.lost() {
            tracing::warn!(address = %shared.address, error = why, "no connection to redis");
        }
        sleep(backoff.next(fastrand::f64())).await;
    }
}

/// Returns with the reason for which `live` must be replaced. Each look at it that is good is told to `lasts`.
async fn look_after(live: &Live, losses: &mut mpsc::Receiver<String>, mut lasts: impl FnMut()) -> String {
    loop {
        let look = async {
            sleep(PING_EVERY).await;
            live.is_well().await
        };
        tokio::select! {
            biased;
            // `live` holds a sender, so there is always something to wait for.
            why = losses.recv() => return why.unwrap_or_default(),
            well = look => if well { lasts() },
        }
    }
}

/// A server that closes a connection is noticed at once. Of a Cluster it is one node's, which is connected anew.
fn told_of_end(address: &Address, lost: mpsc::Sender<String>) -> Pushes {
    let cluster = address.kind == Kind::Cluster;
    Arc::new(move |push: PushInfo| {
        if push.kind == PushKind::Disconnection && !cluster {
            let _ = lost.try_send("the connection was closed".to_owned());
        }
        Ok::<(), ()>(())
    })
}

/// An error of connecting, as its readers know it.
pub(super) fn plain(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) if error.code().is_some() => format!("{} {detail}", error.code().unwrap_or_default()),
        _ => error.to_string(),
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("address", &self.address).field("state", &*self.state.borrow()).finish()
    }
}
