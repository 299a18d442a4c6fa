//! What sidecars share: the runs of agents behind a trait, and the loops that keep one sidecar and its fleet of one mind.
//!
//! No call waits here, but for what only the store can know of it, and then no longer than its [`Patience`]. The loops
//! ask the store on their own time, and lay what they hear into gates, where calls find it. Decisions are the rules'.

mod answers;
mod beat;
mod breakers;
mod claims;
mod common;
mod counts;
mod desk;
mod hear;
mod orders;
mod patience;
mod runs;
mod shares;
mod trouble;
mod veil;
mod watch;

use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_proto::store::Heartbeat;
use fusebox_rules::{
    fleet::{SharedClock, Stamp, pace},
    moment::Moment,
    run::{Limits, Repeat, Used, Verdict},
};
use fusebox_store::{Operation, Store, StoreError, redis::Address};
use futures_core::future::BoxFuture;
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinSet};

pub use answers::Fetched;
pub use claims::{Claimed, Held};
pub use common::Common;
pub use orders::Orders;
pub use patience::Patience;
pub use runs::{Embedded, SharedRuns};
use trouble::Trouble;
pub use veil::{Veil, Veiled, Veiling};

use crate::{
    clock, config,
    gate::{Bells, Gate},
    telemetry::Telemetry,
};

/// How long the store may take to answer. Nothing of a call waits for it.
const LIMIT: Duration = Duration::from_millis(500);

/// What agent runs have spent. Deciding is the rules'; keeping, and for whom, is this trait's.
pub trait Runs: Debug + Send + Sync {
    /// A call of run `id` wants to begin; `shown` is what its conversation repeats. What is granted must be settled.
    /// What others know of the run is waited for no longer than `patience` lasts.
    fn begin<'a>(
        &'a self,
        id: &'a Arc<str>,
        limits: Limits,
        shown: Option<Repeat>,
        patience: &'a mut Patience,
    ) -> BoxFuture<'a, Verdict>;

    /// A call that was granted has ended. Waits for nothing: it is also told of as a call is dropped.
    fn settle(&self, id: &Arc<str>, used: Used);

    /// Runs that are remembered.
    fn tracked(&self) -> usize;
}

/// A provider, as the fleet's loops see it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its settings.
    pub settings: Arc<config::Provider>,
    /// Where what is heard of it is laid.
    pub gate: Arc<Gate>,
}

/// Makes what the sidecar says of itself, all but its id.
pub type Portrait = Arc<dyn Fn() -> Heartbeat + Send + Sync>;

/// This sidecar's place in its fleet.
#[derive(Debug)]
pub struct Fleet {
    store: Arc<Store>,
    id: Arc<str>,
    bells: Bells,
    /// Rung when a record was heard that came of itself.
    moved: Notify,
    clock: Mutex<SharedClock>,
    /// Sidecars that are there; 0: not known yet.
    live: AtomicU32,
    trouble: Trouble,
    orders: Orders,
    telemetry: Arc<Telemetry>,
}

impl Fleet {
    /// The fleet that `settings` name; `None`: this process is alone. Is called within a tokio runtime.
    ///
    /// # Errors
    /// The store's address cannot be used. That nobody is there is no error.
    pub fn open(settings: &config::Fleet, telemetry: &Arc<Telemetry>) -> Result<Option<Arc<Self>>, String> {
        let Some(url) = &settings.redis else { return Ok(None) };
        let fault = |error: &dyn std::fmt::Display| format!("fleet.redis: {error}");
        let address = Address::parse(url.reveal()).map_err(|error| fault(&error))?;
        let store = Store::redis(address, &settings.name, Arc::new(clock::now)).map_err(|error| fault(&error))?;
        Ok(Some(Arc::new(Self::at(Arc::new(store), name(settings.pod.as_deref()), telemetry))))
    }

    /// The place of the sidecar `id` in the fleet of `store`.
    fn at(store: Arc<Store>, id: Arc<str>, telemetry: &Arc<Telemetry>) -> Self {
        Self {
            store,
            id,
            bells: Bells::default(),
            moved: Notify::new(),
            clock: Mutex::default(),
            live: AtomicU32::new(0),
            trouble: Trouble::default(),
            orders: Orders::default(),
            telemetry: Arc::clone(telemetry),
        }
    }

    /// Takes part for as long as what is returned lives, with the providers of one generation of the configuration.
    #[must_use]
    pub fn start(self: &Arc<Self>, members: Vec<Member>, portrait: Portrait) -> JoinSet<()> {
        let shared: Vec<Member> = members.iter().filter(|member| member.gate.is_shared()).cloned().collect();
        let mut loops = JoinSet::new();
        loops.spawn(Arc::clone(self).hear(shared.clone()));
        loops.spawn(Arc::clone(self).beat(shared.clone(), portrait));
        loops.spawn(Arc::clone(self).synchronise(shared.clone()));
        loops.spawn(Arc::clone(self).share_out(shared));
        loops.spawn(Arc::clone(self).count());
        loops.spawn(Arc::clone(self).watch(members));
        loops
    }

    /// What gates ring.
    #[must_use]
    pub const fn bells(&self) -> &Bells {
        &self.bells
    }

    /// Whose name this sidecar goes by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Sidecars that are there, this one among them; 0: not known yet.
    #[must_use]
    pub fn live(&self) -> u32 {
        self.live.load(Relaxed)
    }

    /// What operators have set.
    #[must_use]
    pub const fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The shared time now; zero before any was told.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.clock.lock().stamp(clock::now())
    }

    /// Whether the store answers.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.trouble.is_well()
    }

    /// Asks the store, and learns its time. Whether it answers is told once, as it changes.
    async fn ask<O: Operation>(&self, operation: &O) -> Result<(Stamp, O::Reply), StoreError> {
        let sent = clock::now();
        let answer = self.store.ask(operation, LIMIT).await;
        let got = clock::now();
        match &answer {
            Ok((stamp, _)) => {
                self.clock.lock().hear(sent, got, *stamp);
                self.trouble.over(&self.telemetry, got);
            }
            Err(error) => self.trouble.begun(error, &self.telemetry, got),
        }
        answer
    }

    /// The shared clock as it is known now.
    fn clock(&self) -> SharedClock {
        self.clock.lock().clone()
    }
}

/// A name that no other sidecar has: the pod's, or the host's, and some letters drawn at random.
fn name(pod: Option<&str>) -> Arc<str> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = pod.map_or_else(host, str::to_owned);
    let own = own.trim();
    let drawn: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect();
    format!("{}-{drawn}", if own.is_empty() { "sidecar" } else { own }).into()
}

/// A wait of about `about`, so that sidecars do not keep step.
fn jittered(about: Duration) -> Duration {
    about.mul_f64(1.0 + pace::JITTER * (2.0 * fastrand::f64() - 1.0))
}

/// Waits until `moment`.
async fn until(moment: Moment) {
    tokio::time::sleep_until(clock::at(moment)).await;
}

#[cfg(test)]
mod fixture;
