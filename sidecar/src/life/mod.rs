//! The sidecar's life: start, serve, reload, drain. Reads as a list.

mod generation;
mod models;
mod ordered;
mod portrait;
mod story;
mod workers;

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use fusebox_base::log::Log;
use parking_lot::Mutex;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    generation::Generations,
    models::Models,
    ordered::Ordered,
    portrait::Painter,
    story::{Phase, Story},
    workers::{Bound, Workers},
};
use crate::{
    call::{Shared, plan::Upstream},
    clock,
    config::{Config, Faults, READY_FILE, Sources, Watch},
    doors::{admin, grpc::Health},
    fleet::{Common, Fleet, Member, Portrait},
    health::{checks::Checks, load, probe},
    telemetry::Telemetry,
};

/// How long connections may take to send what their calls were ended with, once grace is over; and how long the fleet's
/// store to hear of them.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long spans and log lines may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Why the sidecar did not start, or did not last until it was told to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong. Every fault is named.
    #[error("the configuration is wrong:\n{0}")]
    Config(Faults),
    /// Something that the configuration names cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// An address cannot be listened on.
    #[error("listen.{door}: {address} cannot be listened on: {error}")]
    Listen {
        /// Which of the three.
        door: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// A thread that serves calls died, and the sidecar has drained because of it.
    #[error("a worker thread died; start the sidecar anew")]
    WorkerDied,
    /// The operating system refused something else.
    #[error("the sidecar could not start: {0}")]
    System(#[from] io::Error),
}

/// Serves calls until told to stop, then drains.
///
/// # Errors
/// Whatever keeps it from starting; once it serves, only a worker's death.
pub async fn run(sources: Sources) -> Result<(), StartError> {
    let source = sources.file.as_ref().map_or("defaults and environment".into(), |file| file.display().to_string());
    let (config, watch) = Watch::begin(sources).map_err(StartError::Config)?;
    let log =
        Log::try_start(&config.telemetry).map_err(|error| StartError::Unusable(format!("telemetry.log: {error}")))?;
    let telemetry = Telemetry::try_new(&config.telemetry, config.listen.workers + 1)
        .map_err(|error| StartError::Unusable(format!("telemetry.otlp_endpoint: {error}")))?;
    let bound = Bound::bind(&config.listen)?;
    let moved = Arc::new(Notify::new());
    let fleet = Fleet::open(&config.fleet, &telemetry).map_err(StartError::Unusable)?;
    let bells = fleet.as_ref().map(|fleet| fleet.bells().clone());
    let generations = Generations::new(Arc::clone(&telemetry), config.listen.workers, Arc::clone(&moved), bells);
    let (current, access) = generations.first(config).map_err(StartError::Unusable)?.begin();
    let common = fleet.as_ref().map(Common::open);
    let shared = Shared::new(current, Arc::clone(&telemetry));
    let shared = Arc::new(match &common {
        None => shared,
        Some(common) => shared.sharing(common),
    });
    let read = Arc::clone(&shared);
    let checks = Checks::new(Arc::new(move || read.pressure.load().gpu_memory));
    let story = Arc::new(Story::new(
        source,
        Arc::clone(&shared),
        Arc::clone(&checks),
        access.certificate.clone(),
        common.clone(),
    ));
    let health = Health::starting().await;
    let mut models = Models::new(health.clone());
    let draining = CancellationToken::new();
    let addresses = bound.addresses;
    let admin = start_admin(bound.admin.try_clone()?, &telemetry, &story)?;
    let mut workers = Workers::start(bound, &shared, &access, &health, &draining)?;
    let (mut stop, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);

    story.enter(Phase::Ready);
    health.serving(true).await;
    addresses.announce()?;
    let following = Arc::clone(&shared);
    let (config, ordered) = (shared.current.load().plan.config.clone(), Ordered::by(fleet.clone()));
    let mut life = Life { shared, story, generations, watch, log: &log, access, checks, fleet, config, ordered };
    let why = tokio::select! {
        () = life.go_on() => Ok(()),
        () = models.follow(&following, &moved) => Ok(()),
        () = either(&mut stop, &mut interrupt) => Ok(()),
        () = workers.lost() => {
            tracing::error!("a worker thread died; the sidecar stops, to be started anew");
            Err(StartError::WorkerDied)
        }
    };

    let grace = life.shared.current.load().plan.config.shutdown.grace;
    tracing::info!(grace_s = grace.as_secs(), calls = life.shared.calls(), "draining");
    life.story.enter(Phase::Draining);
    health.drain(models.names()).await;
    draining.cancel();
    if let Some(fleet) = &life.fleet {
        fleet.leave().await;
    }
    tokio::select! {
        () = workers.ended() => {}
        () = tokio::time::sleep(grace) => tracing::warn!(calls = life.shared.calls(), "grace is over; the calls still in flight are ended"),
        () = either(&mut stop, &mut interrupt) => tracing::warn!("told to stop again; the calls still in flight are ended"),
    }
    life.shared.ending.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, workers.ended()).await;
    if let Some(common) = &common {
        let _ = tokio::time::timeout(LAST_WORDS, common.end()).await;
    }
    drop(admin);
    telemetry.flush(FLUSH);
    log.flush(FLUSH);
    why
}

async fn either(stop: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
}

fn start_admin(
    listener: std::net::TcpListener,
    telemetry: &Arc<Telemetry>,
    story: &Arc<Story>,
) -> io::Result<JoinSet<io::Result<()>>> {
    let door = Arc::new(admin::Admin::new(Arc::clone(telemetry), Arc::clone(story) as Arc<dyn admin::View>));
    let mut task = JoinSet::new();
    task.spawn(admin::serve(TcpListener::from_std(listener)?, door, CancellationToken::new()));
    Ok(task)
}

/// What goes on while calls are served.
struct Life<'a> {
    shared: Arc<Shared>,
    story: Arc<Story>,
    generations: Generations,
    watch: Watch,
    log: &'a Log,
    access: generation::Access,
    checks: Arc<Checks>,
    fleet: Option<Arc<Fleet>>,
    /// As it was read, before operators' settings are laid over it.
    config: Config,
    ordered: Ordered,
}

impl Life<'_> {
    /// Looks after its health, probes what is half-open, and exchanges the configuration whenever it changes. Does not end.
    async fn go_on(&mut self) {
        let mut taking_part = None;
        loop {
            self.take_part(&mut taking_part);
            let _probers = probe::start(&self.shared);
            let _checks = self.checks.start(&self.shared);
            let _readers = load::start(&self.shared);
            loop {
                let done = tokio::select! {
                    _ = self.watch.changed() => self.reload(),
                    () = self.ordered.wait() => self.obey(),
                };
                if done {
                    break;
                }
            }
        }
    }

    /// Takes part in the fleet with the providers of the configuration in force. What goes on goes on: connections are
    /// not made anew for a switch or a rank.
    fn take_part(&self, taking_part: &mut Option<(Vec<Member>, JoinSet<()>)>) {
        let Some(fleet) = &self.fleet else { return };
        let members = members(&self.shared);
        let same = |(one, other): (&Member, &Member)| Arc::ptr_eq(&one.gate, &other.gate);
        if !taking_part
            .as_ref()
            .is_some_and(|(now, _)| now.len() == members.len() && now.iter().zip(&members).all(same))
        {
            *taking_part = Some((members.clone(), fleet.start(members, self.portrait())));
        }
    }

    /// Puts `config` in force.
    fn exchange(&self, config: Config) -> Result<(), Vec<String>> {
        let generation = self.generations.next(config, &self.shared.current.load())?;
        self.shared.replace(generation.replace(&self.access));
        Ok(())
    }

    /// Does what operators have set; whether the configuration was exchanged for it.
    fn obey(&mut self) -> bool {
        let began = clock::wall();
        self.ordered.obey(&self.shared);
        let config = self.ordered.laid_over(&self.config);
        let exchanged = config.providers != self.shared.current.load().plan.config.providers;
        if exchanged {
            if let Err(faults) = self.exchange(config) {
                for fault in &faults {
                    tracing::error!(%fault, "what operators have set cannot be done; the last good configuration stays");
                }
                self.ordered.tell(&self.shared.telemetry, began, false);
                return false;
            }
            tracing::info!("providers are asked as operators have set");
        }
        self.ordered.tell(&self.shared.telemetry, began, true);
        self.ordered.done();
        exchanged
    }

    /// What the sidecar says of itself to its fleet.
    fn portrait(&self) -> Portrait {
        let painter = Mutex::new(Painter::new(Arc::clone(&self.shared), Arc::clone(&self.checks)));
        Arc::new(move || painter.lock().paint())
    }

    /// As a whole or not at all: whatever is wrong, the last good configuration stays.
    fn reload(&mut self) -> bool {
        let read = self.watch.reload().map_err(|faults| faults.iter().map(ToString::to_string).collect());
        let made = read.and_then(|config| {
            let ordered = self.ordered.laid_over(&config);
            self.exchange(ordered).map(|()| config)
        });
        match made {
            Ok(config) => {
                if let Err(error) = self.log.set_filter(&config.telemetry.log) {
                    tracing::warn!(%error, "telemetry.log stays as it was");
                }
                self.config = config;
                self.story.reloaded();
                tracing::info!("the configuration was loaded anew");
                true
            }
            Err(faults) => {
                for fault in &faults {
                    tracing::error!(%fault, "the new configuration is refused; the last good one stays");
                }
                self.story.refused(faults);
                false
            }
        }
    }
}

/// The providers of the configuration in force, as the fleet's loops see them.
fn members(shared: &Shared) -> Vec<Member> {
    let current = shared.current.load();
    let member = |upstream: &Arc<Upstream>| Member {
        settings: Arc::clone(&upstream.settings),
        gate: Arc::clone(&upstream.gate),
    };
    current.plan.upstreams.iter().map(member).collect()
}

/// Where the sidecar can be found, once every port is known.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
    admin: SocketAddr,
}

impl Addresses {
    fn announce(&self) -> io::Result<()> {
        let Self { grpc, http, admin } = self;
        tracing::info!(%grpc, %http, %admin, "ready");
        let Some(file) = std::env::var_os(READY_FILE).filter(|file| !file.is_empty()) else { return Ok(()) };
        let file = Path::new(&file);
        let text = serde_json::json!({"grpc": grpc, "http": http, "admin": admin}).to_string();
        // Whoever waits for the file finds all of it or none.
        let unfinished = file.with_extension("unfinished");
        fs::write(&unfinished, text)?;
        fs::rename(unfinished, file)
    }
}
