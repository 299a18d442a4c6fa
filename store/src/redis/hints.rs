//! `Hints`: what others publish, heard on a connection of its own. A hint may be lost, and that is told where it is
//! known; so whoever listens looks for itself after each subscription, after each loss, and now and then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use redis::{PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    address::{Address, AddressError},
    backoff::Backoff,
    dial::{Dialer, Pushes, Wire},
    herald::Herald,
    link::plain,
};

/// Hints that wait to be read. Whoever is further behind does better to look for itself.
const MAX_WAITING: usize = 256;
/// A longer payload is no hint.
const MAX_HINT_BYTES: usize = 64 * 1024;
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(1);
const PING_EVERY: Duration = Duration::from_secs(1);
const PING_LIMIT: Duration = Duration::from_secs(1);
/// How soon channels that could not be subscribed are tried again.
const PARTIAL_LIMIT: Duration = Duration::from_secs(2);

/// Subscriptions that are kept up as long as this lives.
#[derive(Debug)]
pub struct Hints {
    channels: watch::Sender<Vec<String>>,
    subscribed: watch::Receiver<u64>,
    waiting: mpsc::Receiver<(String, Vec<u8>)>,
    missed: Arc<Missed>,
    _keeper: JoinSet<()>,
}

/// What is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// From now on hints come in, for the first time or again; what was published before was not heard.
    Subscribed {
        /// Counted from 1.
        generation: u64,
    },
    /// More came than was read, and some are lost.
    Missed,
    /// One hint.
    Hint {
        /// Where it was published.
        channel: String,
        /// What was.
        payload: Vec<u8>,
    },
}

#[derive(Debug, Default)]
struct Missed {
    some: AtomicBool,
    wake: Notify,
}

/// What the task that subscribes works with.
struct Keeper {
    dialer: Dialer,
    channels: watch::Receiver<Vec<String>>,
    subscribed: watch::Sender<u64>,
    ear: Ear,
}

/// Takes in what the server says unasked; never waits.
#[derive(Clone)]
struct Ear {
    hints: mpsc::Sender<(String, Vec<u8>)>,
    missed: Arc<Missed>,
}

impl Hints {
    /// Begins to listen to `channels` of `address`, for ever. Is called within a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that the address names cannot be used.
    pub fn open(address: Address, channels: Vec<String>) -> Result<Self, AddressError> {
        let dialer = Dialer::try_new(address)?;
        let (hints, waiting) = mpsc::channel(MAX_WAITING);
        let (subscribing, subscribed) = watch::channel(0);
        let channels = watch::Sender::new(channels);
        let missed = Arc::new(Missed::default());
        let ear = Ear { hints, missed: Arc::clone(&missed) };
        let mut keeper = JoinSet::new();
        let task = Keeper { dialer, channels: channels.subscribe(), subscribed: subscribing, ear };
        keeper.spawn(task.keep());
        Ok(Self { channels, subscribed, waiting, missed, _keeper: keeper })
    }

    /// Listens to these from now on, by a new connection if they are others than before.
    pub fn listen_to(&self, channels: Vec<String>) {
        self.channels.send_if_modified(|now| {
            let changed = *now != channels;
            *now = channels;
            changed
        });
    }

    /// What is heard next. May be dropped and asked again; nothing is lost by that.
    pub async fn next(&mut self) -> Heard {
        loop {
            let woken = self.missed.wake.notified();
            if self.missed.some.swap(false, Ordering::Relaxed) {
                return Heard::Missed;
            }
            tokio::select! {
                biased;
                Ok(()) = self.subscribed.changed() => {
                    return Heard::Subscribed { generation: *self.subscribed.borrow_and_update() };
                }
                Some((channel, payload)) = self.waiting.recv() => return Heard::Hint { channel, payload },
                () = woken => {}
            }
        }
    }
}

impl Keeper {
    async fn keep(mut self) {
        let (mut backoff, mut herald) = (Backoff::default(), Herald::default());
        loop {
            let (lost, mut losses) = mpsc::channel(1);
            let wanted = self.channels.borrow_and_update().clone();
            let why = match self.subscribe(&wanted, lost).await {
                Ok((wire, missing)) => {
                    self.subscribed.send_modify(|generation| *generation += 1);
                    let address = self.dialer.address().clone();
                    let lasts = || {
                        backoff.reset();
                        // One that hears only of some is not what it should be.
                        if missing == 0 && herald.is_well() {
                            tracing::info!(%address, "listening to redis");
                        }
                    };
                    self.look_after(&wire, missing, &mut losses, lasts).await
                }
                Err(error) => Some(plain(&error)),
            };
            let Some(why) = why else { continue };
            if herald.lost() {
                tracing::warn!(address = %self.dialer.address(), error = why, "not listening to redis");
            }
            sleep(backoff.next(fastrand::f64())).await;
        }
    }

    /// A connection that listens to at least one of `wanted`, and how many of them it does not listen to.
    async fn subscribe(&self, wanted: &[String], lost: mpsc::Sender<String>) -> RedisResult<(Wire, usize)> {
        let wire = self.dialer.dial(self.ear.pushes(lost)).await?;
        // One by one, as on a Cluster they belong to several nodes, of which one may be gone.
        let asked = join_all(wanted.iter().map(|channel| timeout(SUBSCRIBE_LIMIT, subscribe(&wire, channel)))).await;
        let mut faults: Vec<RedisError> =
            asked.into_iter().filter_map(|asked| asked.unwrap_or_else(|_| Err(late())).err()).collect();
        match faults.pop() {
            Some(error) if faults.len() + 1 == wanted.len() => Err(error),
            Some(_) => Ok((wire, faults.len() + 1)),
            None => Ok((wire, 0)),
        }
    }

    /// Returns with the reason for which the connection must be replaced; none where other channels are wanted. Each
    /// look at it that is good is told to `lasts`.
    async fn look_after(
        &mut self,
        wire: &Wire,
        missing: usize,
        losses: &mut mpsc::Receiver<String>,
        mut lasts: impl FnMut(),
    ) -> Option<String> {
        let partial = async {
            match missing {
                0 => std::future::pending().await,
                _ => sleep(PARTIAL_LIMIT).await,
            }
        };
        tokio::pin!(partial);
        loop {
            let ping = async {
                sleep(PING_EVERY).await;
                timeout(PING_LIMIT, wire.ping()).await
            };
            tokio::select! {
                biased;
                why = losses.recv() => return Some(why.unwrap_or_else(|| "the connection was closed".to_owned())),
                Ok(()) = self.channels.changed() => return None,
                () = &mut partial => return Some(format!("{missing} channels could not be subscribed")),
                answer = ping => match answer {
                    Ok(Ok(())) => lasts(),
                    Ok(Err(error)) => return Some(plain(&error)),
                    Err(_) => return Some(format!("no answer to a ping within {PING_LIMIT:?}")),
                },
            }
        }
    }
}

impl Ear {
    fn pushes(&self, lost: mpsc::Sender<String>) -> Pushes {
        let ear = self.clone();
        Arc::new(move |push: PushInfo| {
            match push.kind {
                PushKind::Message | PushKind::SMessage => ear.hear(push.data),
                // A node of a Cluster may have held some of the channels; a slot that moves takes its own along.
                PushKind::Disconnection => drop(lost.try_send("the connection was closed".to_owned())),
                PushKind::SUnsubscribe => drop(lost.try_send("a channel has moved".to_owned())),
                _ => {}
            }
            Ok::<(), ()>(())
        })
    }

    fn hear(&self, data: Vec<Value>) {
        let mut parts = data.into_iter();
        let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (parts.next(), parts.next()) else {
            return;
        };
        let channel = String::from_utf8_lossy(&channel).into_owned();
        if payload.len() > MAX_HINT_BYTES || self.hints.try_send((channel, payload)).is_err() {
            self.missed.some.store(true, Ordering::Relaxed);
            self.missed.wake.notify_one();
        }
    }
}

async fn subscribe(wire: &Wire, channel: &str) -> RedisResult<()> {
    match wire.clone() {
        Wire::One(mut connection) => connection.subscribe(channel).await,
        Wire::Cluster { mut connection, sharded: true } => connection.ssubscribe(channel).await,
        Wire::Cluster { mut connection, sharded: false } => connection.subscribe(channel).await,
    }
}

fn late() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, format!("not subscribed within {SUBSCRIBE_LIMIT:?}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: Vec<u8>) -> PushInfo {
        let data = vec![Value::BulkString(b"news".to_vec()), Value::BulkString(payload)];
        PushInfo { kind: PushKind::Message, data }
    }

    /// `Hints` whose connection is played by the test.
    fn played() -> (Hints, Pushes) {
        let (hints, waiting) = mpsc::channel(MAX_WAITING);
        let missed = Arc::new(Missed::default());
        let ear = Ear { hints, missed: Arc::clone(&missed) };
        let subscribed = watch::Sender::new(0).subscribe();
        let pushes = ear.pushes(mpsc::channel(1).0);
        (
            Hints { channels: watch::Sender::new(Vec::new()), subscribed, waiting, missed, _keeper: JoinSet::new() },
            pushes,
        )
    }

    #[tokio::test]
    async fn a_reader_who_is_far_behind_is_told_that_hints_are_lost_and_reads_the_oldest() {
        let (mut hints, pushes) = played();
        for number in 0..MAX_WAITING + 2 {
            pushes.send(message(number.to_string().into_bytes())).unwrap();
        }
        assert_eq!(hints.next().await, Heard::Missed);
        for number in 0..MAX_WAITING {
            let payload = number.to_string().into_bytes();
            assert_eq!(hints.next().await, Heard::Hint { channel: "news".into(), payload });
        }
        pushes.send(message(b"later".to_vec())).unwrap();
        assert!(matches!(hints.next().await, Heard::Hint { payload, .. } if payload == b"later"));
    }

    #[tokio::test]
    async fn a_reader_who_waits_is_told_of_a_hint_that_was_too_long() {
        let (mut hints, pushes) = played();
        let next = hints.next();
        tokio::pin!(next);
        tokio::select! {
            biased;
            heard = &mut next => panic!("{heard:?}"),
            () = std::future::ready(()) => {}
        }
        pushes.send(message(vec![0; MAX_HINT_BYTES + 1])).unwrap();
        assert_eq!(next.await, Heard::Missed);
    }
}
