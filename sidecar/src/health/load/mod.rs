//! How busy everything is, read on a timer, one file a source; never on a caller's path.
//!
//! What follows from the readings is decided by the rules of degradation and of limits.

mod exposition;
mod gpu;
mod machine;
mod server;

use std::{mem, path::PathBuf, sync::Arc, time::Duration};

use fusebox_rules::{degradation::Load, limit::Queue, moment::Moment};
use futures_util::future::join_all;
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use self::{
    gpu::{Gpus, Used},
    machine::Machine,
    server::Server,
};
use crate::{
    call::{Current, Shared},
    clock,
    config::{Degradation, GpuCounts},
    telemetry::ProviderPlaces,
};

/// How long a server's page may take.
const PATIENCE: Duration = Duration::from_secs(1);
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
    if config.degradation.enabled || config.overload.enabled {
        readers.spawn(watch(Arc::clone(shared), Sources::new(&current, "/"), current));
    }
    readers
}

/// Everything that is read.
struct Sources {
    machine: Machine,
    gpus: Gpus,
    servers: Vec<Server>,
}

async fn watch(shared: Arc<Shared>, mut sources: Sources, current: Arc<Current>) {
    let settings = &current.plan.config.degradation;
    let mut clock = interval(settings.interval);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let good_for = settings.interval.max(PATIENCE).saturating_mul(GOOD_FOR);
    loop {
        clock.tick().await;
        sources.ask_servers().await;
        let now = clock::now();
        if settings.enabled {
            let load = sources.load(settings, good_for, now).await;
            shared.pressure.read(&settings.levels, load, counting(load, settings), now);
        }
        if current.plan.config.overload.enabled {
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
        Self { machine: Machine::new(root), gpus: Gpus::default(), servers: servers.collect() }
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

    /// On a thread of its own, as the library may block while it is loaded.
    async fn gpus(&mut self, settings: &Degradation, now: Moment) -> Used {
        if settings.gpu == GpuCounts::Off {
            return Used::default();
        }
        let mut gpus = mem::take(&mut self.gpus);
        let read = spawn_blocking(move || (gpus.read(now), gpus)).await;
        let Ok((used, gpus)) = read else { return Used::default() };
        self.gpus = gpus;
        used
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
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_told_not_to_count_does_not() {
        let load = Load { cpu: Some(0.9), memory: Some(0.8), kv_cache: Some(0.7), ..Load::default() };
        let settings = |cpu, memory| Degradation { cpu, memory, ..Config::default().degradation };
        for (cpu, memory, worst) in [(true, true, "cpu"), (false, true, "memory"), (false, false, "kv_cache")] {
            assert_eq!(counting(load, &settings(cpu, memory)).worst().unwrap().0, worst);
        }
    }

    #[test]
    fn gpus_count_only_while_no_server_tells_of_its_queue_unless_told_otherwise() {
        let busy = Load { gpu: Some(1.0), gpu_memory: Some(0.95), cpu: Some(0.1), ..Load::default() };
        let told = Load { queue: Some(0.0), ..busy };
        for (gpu, load, counted) in [
            (GpuCounts::Auto, busy, Some(1.0)),
            (GpuCounts::Auto, told, Some(0.1)),
            (GpuCounts::On, told, Some(1.0)),
            (GpuCounts::Off, busy, Some(0.1)),
        ] {
            let settings = Degradation { gpu, ..Config::default().degradation };
            assert_eq!(counting(load, &settings).worst().map(|(_, worst)| worst), counted, "{gpu:?}");
        }
    }
}
