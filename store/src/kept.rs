//! `Store`: where a fleet keeps what it shares, in this process or in Redis. Whoever asks does not see which.

use std::{collections::HashMap, fmt, time::Duration};

use fusebox_proto::keys::Keys;
use fusebox_rules::fleet::Stamp;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{
    Clock, Memory, Operation, StoreError, breaker,
    operation::{Place, Reply},
    redis::{Address, AddressError, Batch, Heard, Hints, Link, LinkState, Script},
};

/// Reads the shared time of a store that lives in this process.
pub type SharedTime = Box<dyn Fn() -> Stamp + Send + Sync>;

/// A fleet's store.
#[derive(Debug)]
pub struct Store {
    keys: Keys,
    kept: Kept,
}

enum Kept {
    Here(Box<Here>),
    Redis { link: Link, scripts: Mutex<HashMap<&'static str, Script>> },
}

/// What this process keeps for itself, and how it tells of changes.
struct Here {
    memory: Mutex<Memory>,
    now: SharedTime,
    moved: watch::Sender<Vec<breaker::News>>,
    /// The settings' version.
    set: watch::Sender<u64>,
    /// How often something has become of alerts.
    alerted: watch::Sender<u64>,
}

/// What is heard of others' changes. Any of it may be lost: whoever listens also looks for itself now and then.
#[derive(Debug)]
pub struct News(Source);

#[derive(Debug)]
enum Source {
    /// Records, and the settings' version.
    Here(watch::Receiver<Vec<breaker::News>>, watch::Receiver<u64>),
    Redis {
        hints: Hints,
        names: HashMap<String, String>,
        fleet: String,
    },
}

/// What is heard of alerts and silences. As with [`News`], any of it may be lost.
#[derive(Debug)]
pub struct AlertNews(AlertSource);

#[derive(Debug)]
enum AlertSource {
    Here(watch::Receiver<u64>),
    Redis(Hints),
}

/// One thing that is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Records of breakers.
    Breakers(Vec<breaker::News>),
    /// The fleet's settings have changed; what is published is not repeated here.
    Settings,
    /// Something may have been missed: look for yourself.
    Look,
}

impl Store {
    /// One that this process keeps for itself, and that ends with it.
    #[must_use]
    pub fn here(fleet: &str, now: SharedTime) -> Self {
        let (moved, set, alerted) = (watch::Sender::new(Vec::new()), watch::Sender::new(0), watch::Sender::new(0));
        let here = Here { memory: Mutex::default(), now, moved, set, alerted };
        Self { keys: Keys::new("", fleet), kept: Kept::Here(Box::new(here)) }
    }

    /// One in Redis, to which a connection is kept up. Is called within a tokio runtime.
    ///
    /// # Errors
    /// A certificate or key that the address names cannot be used. That nobody is there is no error.
    pub fn redis(address: Address, fleet: &str, clock: Clock) -> Result<Self, AddressError> {
        let keys = Keys::new(address.prefix(), fleet);
        let link = Link::open(address, clock)?;
        Ok(Self { keys, kept: Kept::Redis { link, scripts: Mutex::default() } })
    }

    /// Asks for `operation`, and waits for `limit` at most; the store's time, and the reply. What is asked at the same
    /// time is sent together.
    ///
    /// # Errors
    /// The store cannot be reached, refuses, or is not understood.
    pub async fn ask<O: Operation>(&self, operation: &O, limit: Duration) -> Result<(Stamp, O::Reply), StoreError> {
        match &self.kept {
            Kept::Here(here) => Ok(here.ask(operation)),
            Kept::Redis { link, scripts } => {
                let script = scripts.lock().entry(O::SCRIPT).or_insert_with(|| Script::new(O::SCRIPT)).clone();
                let keys = operation.keys(&self.keys).into_iter().map(String::into_bytes).collect();
                let place = Place { keys: &self.keys, publish: link.publish_command() };
                let batch = Batch::new().script(&script, keys, operation.arguments(&place));
                let value = link.request(&batch, limit).await.pop();
                let value = value.unwrap_or_else(|| Err(StoreError::Protocol("no reply to a request".to_owned())))?;
                let (now, mut reply) = Reply::begin(value)?;
                Ok((now, operation.read(&mut reply)?))
            }
        }
    }

    /// What others change of `providers`' breakers and of the settings, from now on.
    ///
    /// # Errors
    /// As for [`Store::redis`].
    pub fn news<'a>(&self, providers: impl Iterator<Item = &'a str>) -> Result<News, AddressError> {
        Ok(News(match &self.kept {
            Kept::Here(here) => Source::Here(here.moved.subscribe(), here.set.subscribe()),
            Kept::Redis { link, .. } => {
                let names: HashMap<_, _> =
                    providers.map(|name| (self.keys.provider_channel(name), name.to_owned())).collect();
                let fleet = self.keys.fleet_channel();
                let channels = names.keys().chain([&fleet]).cloned().collect();
                Source::Redis { hints: Hints::open(link.address().clone(), channels)?, names, fleet }
            }
        }))
    }

    /// What becomes of alerts and silences, from now on. Has a connection of its own.
    ///
    /// # Errors
    /// As for [`Store::redis`].
    pub fn news_of_alerts(&self) -> Result<AlertNews, AddressError> {
        Ok(AlertNews(match &self.kept {
            Kept::Here(here) => AlertSource::Here(here.alerted.subscribe()),
            Kept::Redis { link, .. } => {
                AlertSource::Redis(Hints::open(link.address().clone(), vec![self.keys.alerts_channel()])?)
            }
        }))
    }

    /// How the connection is; `None`: there is none to be had, for the store is this process's own.
    #[must_use]
    pub fn link(&self) -> Option<LinkState> {
        match &self.kept {
            Kept::Here(_) => None,
            Kept::Redis { link, .. } => Some(link.state()),
        }
    }

    /// Tells of every change of [`Store::link`].
    #[must_use]
    pub fn link_changes(&self) -> Option<watch::Receiver<LinkState>> {
        match &self.kept {
            Kept::Here(_) => None,
            Kept::Redis { link, .. } => Some(link.changes()),
        }
    }
}

impl Here {
    fn ask<O: Operation>(&self, operation: &O) -> (Stamp, O::Reply) {
        let now = (self.now)();
        let mut memory = self.memory.lock();
        let reply = memory.run(operation, now);
        let news = memory.take_news();
        let (version, changes) = (memory.settings_version(), memory.alert_changes());
        drop(memory);
        if !news.is_empty() {
            self.moved.send_replace(news);
        }
        let grows = |to: u64| move |known: &mut u64| to > std::mem::replace(known, to.max(*known));
        self.set.send_if_modified(grows(version));
        self.alerted.send_if_modified(grows(changes));
        (now, reply)
    }
}

impl News {
    /// What is told next. May be dropped and asked again.
    pub async fn next(&mut self) -> Told {
        match &mut self.0 {
            Source::Here(moved, set) => tokio::select! {
                Ok(()) = moved.changed() => Told::Breakers(moved.borrow_and_update().clone()),
                Ok(()) = set.changed() => Told::Settings,
                // The store is gone.
                else => std::future::pending().await,
            },
            Source::Redis { hints, names, fleet } => match hints.next().await {
                Heard::Subscribed { .. } | Heard::Missed => Told::Look,
                Heard::Hint { channel, .. } if channel == *fleet => Told::Settings,
                Heard::Hint { channel, payload } => match (names.get(&channel), breaker::decode_news(&payload)) {
                    (Some(provider), Ok(record)) => {
                        Told::Breakers(vec![breaker::News { provider: provider.clone(), record }])
                    }
                    _ => Told::Look,
                },
            },
        }
    }
}

impl AlertNews {
    /// Ends when something has become of an alert or a silence, or may have: look for yourself. May be dropped and
    /// asked again.
    pub async fn next(&mut self) {
        match &mut self.0 {
            AlertSource::Here(alerted) => {
                if alerted.changed().await.is_err() {
                    // The store is gone.
                    std::future::pending::<()>().await;
                }
            }
            AlertSource::Redis(hints) => drop(hints.next().await),
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(_) => f.write_str("Here"),
            Self::Redis { link, .. } => f.debug_tuple("Redis").field(link).finish(),
        }
    }
}
