//! How busy everything is, read on a timer, one file a source; never on a caller's path.
//!
//! What follows from the readings is decided by the rules of degradation and of limits.

mod exposition;
mod gpu;
mod machine;
mod server;

use std::{path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::{degradation::Load, limit::Queue, moment::Moment};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use self::{
    gpu::{Gpus, Used},
    machine::Machine,
    server::Server,
};
use super::aside::Aside;
use crate::{
    call::{Current, Shared},
    clock,
    config::{Degradation, GpuCounts},
    telemetry::ProviderPlaces,
};

/// How long a server's page or a GPU's driver may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest window of a limit, however seldom the load is read: it grows by windows, and after an outage a limit of
/// minutes would stay low for hours.
const WINDOW: Duration = Duration::from_secs(1);
/// For how many intervals a server's word stands if it says nothing more.
const GOOD_FOR: u32 = 3;

/// Reads the load under the configuration in force, for as long as what is returned lives.
#[must_use]
pub fn start(shared: &Arc<Shared>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    let current = shared.current.load_full();
    let config = &current.plan.config;
    if !config.degradation.enabled {
        shared.pressure.unread();
    }
    if !config.overload.enabled {
        shared.telemetry.set_places(Vec::new());
    }
    if config.degradation.enabled || config.overload.enabled {
        readers.spawn(watch(Arc::clone(shared), Sources::new(&current, "/"), current));
    }
    readers
}

/// Everything that is read.
struct Sources {
    machine: Machine,
    gpus: Arc<Mutex<Gpus>>,
    /// Asks them: loading the library takes its time, and a driver may hang.
    aside: Aside<Used>,
    servers: Vec<Server>,
}

async fn watch(shared: Arc<Shared>, mut sources: Sources, current: Arc<Current>) {
    let (settings, overload) = (&current.plan.config.degradation, &current.plan.config.overload);
    // Servers are asked and windows closed at each beat, the load is read at the first of so many.
    let beats = if overload.enabled { settings.interval.as_nanos().div_ceil(WINDOW.as_nanos()) } else { 1 };
    let beats = u32::try_from(beats).unwrap_or(u32::MAX).max(1);
    let beat = settings.interval / beats;
    let mut clock = interval(beat);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let good_for = beat.max(PATIENCE).saturating_mul(GOOD_FOR);
    for place in (0..beats).cycle() {
        clock.tick().await;
        sources.ask_servers().await;
        let now = clock::now();
        if settings.enabled && place == 0 {
            let load = sources.load(settings, good_for, now).await;
            shared.pressure.read(&settings.levels, load, counting(load, settings), now);
        }
        if overload.enabled {
            close_windows(&shared, &current, &sources, good_for);
        }
    }
}

impl Sources {
    fn new(current: &Current, root: impl Into<PathBuf>) -> Self {
        let upstreams = current.plan.upstreams.iter().filter(|upstream| upstream.settings.enabled);
        let servers = upstreams.filter_map(|upstream| {
            let (provider, url) = (&upstream.settings.name, upstream.settings.metrics_url.as_ref()?);
            Server::try_new(upstream.index, url, upstream.settings.timeouts.connect)
                .inspect_err(
                    |fault| tracing::warn!(target: "fusebox::load", %provider, %fault, "metrics_url cannot be used"),
                )
                .ok()
        });
        Self {
            machine: Machine::new(root),
            gpus: Arc::default(),
            aside: Aside::new("gpus"),
            servers: servers.collect(),
        }
    }

    /// Asks all servers at once: a slow one does not keep the others' word from being heard.
    async fn ask_servers(&mut self) {
        join_all(self.servers.iter_mut().map(|server| server.ask(PATIENCE))).await;
    }

    async fn load(&mut self, settings: &Degradation, good_for: Duration, now: Moment) -> Load {
        let Used { compute, memory: gpu_memory } = self.gpus(settings, now).await;
        let said: Vec<_> = self.servers.iter().filter_map(|server| server.said(now, good_for)).collect();
        let full = f64::from(settings.queue_full.max(1));
        let queues = said.iter().filter_map(|said| Some((f64::from(said.queue?.waiting) / full).min(1.0)));
        Load {
            cpu: self.machine.cpu(now),
            memory: self.machine.memory(),
            gpu: compute,
            gpu_memory,
            queue: queues.reduce(f64::max),
            kv_cache: said.iter().filter_map(|said| said.cache).reduce(f64::max),
        }
    }

    async fn gpus(&mut self, settings: &Degradation, now: Moment) -> Used {
        if settings.gpu == GpuCounts::Off {
            return Used::default();
        }
        let gpus = Arc::clone(&self.gpus);
        self.aside.ask(PATIENCE, move || gpus.lock().read(now)).await.unwrap_or_default()
    }

    /// What the server of the provider with this index says of its queue.
    fn queue(&self, provider: usize, good_for: Duration, now: Moment) -> Option<Queue> {
        let server = self.servers.iter().find(|server| server.provider == provider)?;
        server.said(now, good_for)?.queue
    }
}

/// The part of a load that counts.
fn counting(load: Load, settings: &Degradation) -> Load {
    let gpu = match settings.gpu {
        GpuCounts::On => true,
        GpuCounts::Auto => load.queue.is_none(),
        GpuCounts::Off => false,
    };
    Load {
        cpu: load.cpu.filter(|_| settings.cpu),
        memory: load.memory.filter(|_| settings.memory),
        gpu: load.gpu.filter(|_| gpu),
        gpu_memory: load.gpu_memory.filter(|_| gpu),
        ..load
    }
}

/// Lets each provider's limit follow what has happened since the last time.
fn close_windows(shared: &Shared, current: &Current, sources: &Sources, good_for: Duration) {
    let now = clock::now();
    let mut all = Vec::with_capacity(current.plan.upstreams.len());
    for upstream in &current.plan.upstreams {
        let limiter = upstream.gate.limiter();
        limiter.close_window(sources.queue(upstream.index, good_for, now), now);
        let places = limiter.places();
        let provider = Arc::clone(&upstream.settings.name);
        all.push(ProviderPlaces { provider, limit: places.limit, waiting: places.waiting });
    }
    shared.telemetry.set_places(all);
}

#[cfg(test)]
mod tests;
