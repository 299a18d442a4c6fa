//! The control plane's life: start, serve, reload, drain. Reads as a list.

mod addresses;
mod certificates;
mod doors;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use fusebox_base::{clock, log::Log};
use fusebox_rules::fleet::Stamp;
use fusebox_store::{Store, audit, redis::Address};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    addresses::announce,
    certificates::{Certificates, Read},
    doors::Doors,
};
use crate::{
    access::Keeper,
    alerts::Deliverer,
    config::{Config, Faults, Sources, Watch, needs_restart},
    control::{Control, Watchers},
    demonstration,
    doors::{admission::Admission, guard::Guard, metrics::Configured},
    picture::{Frame, HealthRule, Reader, Seen},
    telemetry::Traces,
};

/// How long connections may take to send their last words, once grace is over.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long spans and log lines may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong. Every fault is named.
    #[error("the configuration is wrong:\n{0}")]
    Config(Faults),
    /// Something that the configuration names cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// An address cannot be listened on.
    #[error("{key}: {address} cannot be listened on: {error}")]
    Listen {
        /// Which door.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The operating system refused something else.
    #[error("the control plane could not start: {0}")]
    System(#[from] io::Error),
}

/// Serves until told to stop, then drains.
///
/// # Errors
/// Whatever keeps it from starting.
pub async fn run(sources: Sources) -> Result<(), StartError> {
    let (config, watch) = Watch::begin(sources).map_err(StartError::Config)?;
    let unusable = |key: &str, error: &dyn fmt::Display| StartError::Unusable(format!("{key}: {error}"));
    let log = Log::try_start(&config.telemetry).map_err(|error| unusable("telemetry.log", &error))?;
    let traces = Traces::try_new(&config.telemetry).map_err(|error| unusable("telemetry.otlp_endpoint", &error))?;
    let certificates = Certificates::from(Read::try_new(&config).map_err(StartError::Unusable)?);
    let bound = doors::bind(&config)?;
    let store = Arc::new(store(&config).map_err(|error| unusable("fleet.redis", &error))?);
    let draining = CancellationToken::new();
    let parts = Parts::new(&config, Arc::clone(&store), &certificates, traces.clone(), &draining);
    let (mut stop, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);

    let addresses = bound.addresses;
    let mut doors = Doors::open(bound, &parts, &config, &certificates, traces.clone(), &draining).await?;
    let mut work = JoinSet::new();
    work.spawn(read(Arc::clone(parts.control.reader())));
    work.spawn(listen(Arc::clone(parts.control.reader())));
    let mut delivering = JoinSet::new();
    delivering.spawn(Arc::clone(&parts.deliverer).run());
    if config.fleet.redis.is_none() {
        work.spawn(demonstration::run(store));
        tracing::warn!("fleet.redis is not set: this shows made-up sidecars, to look around with");
    }
    announce(addresses)?;
    let grace = config.shutdown.grace;
    let mut life = Life { parts, config, watch, log: &log, certificates };
    tokio::select! {
        () = life.go_on() => {}
        () = either(&mut stop, &mut interrupt) => {}
    }

    tracing::info!(grace_s = grace.as_secs(), "draining");
    doors.drain(&draining).await;
    life.parts.deliverer.close();
    tokio::select! {
        () = async { doors.ended().await; while delivering.join_next().await.is_some() {} } => {}
        () = tokio::time::sleep(grace) => tracing::warn!("grace is over; requests still in flight are cut off"),
        () = either(&mut stop, &mut interrupt) => tracing::warn!("told to stop again; requests still in flight are cut off"),
    }
    let _ = tokio::time::timeout(LAST_WORDS, doors.ended()).await;
    traces.flush(FLUSH);
    log.flush(FLUSH);
    Ok(())
}

/// What is made once and lasts as long as the process.
struct Parts {
    control: Arc<Control>,
    deliverer: Arc<Deliverer>,
    keeper: Arc<Keeper>,
    guard: Arc<Guard>,
    rule: Arc<arc_swap::ArcSwap<HealthRule>>,
    admission: Option<Arc<Admission>>,
    configured: Arc<Configured>,
}

impl Parts {
    fn new(
        config: &Config,
        store: Arc<Store>,
        certificates: &Certificates,
        traces: Traces,
        draining: &CancellationToken,
    ) -> Self {
        let replica = replica();
        let name = &config.fleet.name;
        let deliverer = Deliverer::new(Arc::clone(&store), config.alerts.settings.clone(), name, &replica);
        let deliverer = Arc::new(deliverer.traced(traces));
        let rule = Arc::new(arc_swap::ArcSwap::from_pointee(health(config)));
        let reader = Arc::new(Reader::new(store, frame(config, &deliverer, &rule)));
        let watchers = Watchers::new(config.limits.max_watchers, draining.clone());
        let kept = audit::Limits { keep: config.audit.keep, keep_for: config.audit.keep_for };
        let control = Arc::new(Control::new(reader, Arc::clone(&deliverer), kept, watchers));
        let keeper = Arc::new(Keeper::new(config.auth.access()));
        let guard = Arc::new(Guard::new(Arc::clone(&keeper), Arc::clone(&control)));
        let admission = config.injector.as_ref().map(|injector| Arc::new(Admission::new(injector)));
        let configured = Arc::new(Configured { good: AtomicBool::new(true), certificates: certificates.named() });
        Self { control, deliverer, keeper, guard, rule, admission, configured }
    }
}

/// What a picture is set in.
fn frame(
    config: &Config,
    deliverer: &Arc<Deliverer>,
    rule: &Arc<arc_swap::ArcSwap<HealthRule>>,
) -> Box<dyn Fn(&Seen) -> Frame + Send + Sync> {
    let (name, demonstration) = (config.fleet.name.clone(), config.fleet.redis.is_none());
    let (deliverer, rule) = (Arc::clone(deliverer), Arc::clone(rule));
    Box::new(move |seen| Frame {
        name: name.clone(),
        rule: **rule.load(),
        channels: deliverer.deliveries().channels(),
        deliveries: seen.firing.iter().map(|alert| (alert.id, deliverer.deliveries().of_alert(alert.id))).collect(),
        demonstration,
    })
}

fn health(config: &Config) -> HealthRule {
    let crate::config::Health { critical_share, degraded_share } = config.health;
    HealthRule { critical_share, degraded_share }
}

/// Where the fleet's state is.
fn store(config: &Config) -> Result<Store, String> {
    let Some(url) = &config.fleet.redis else {
        let now = || Stamp::from_millis(u64::try_from(clock::unix_now().as_millis()).unwrap_or(u64::MAX));
        return Ok(Store::here(&config.fleet.name, Box::new(now)));
    };
    let address = Address::parse(url.reveal()).map_err(|error| error.to_string())?;
    Store::redis(address, &config.fleet.name, Arc::new(clock::now)).map_err(|error| error.to_string())
}

/// A name that no other replica has.
fn replica() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let drawn: String = std::iter::repeat_with(|| fastrand::char('a'..='z')).take(6).collect();
    format!("{}-{drawn}", host.trim())
}

async fn read(reader: Arc<Reader>) {
    reader.run().await;
}

/// Looks as soon as it is heard that something has changed.
async fn listen(reader: Arc<Reader>) {
    let heard = (reader.store().news(std::iter::empty()), reader.store().news_of_alerts());
    let (Ok(mut news), Ok(mut alerts)) = heard else {
        tracing::warn!("nothing is heard of the fleet between two looks");
        return;
    };
    loop {
        tokio::select! {
            _ = news.next() => {}
            () = alerts.next() => {}
        }
        reader.ring();
    }
}

async fn either(stop: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// What goes on while it serves.
struct Life<'a> {
    parts: Parts,
    config: Config,
    watch: Watch,
    log: &'a Log,
    certificates: Certificates,
}

impl Life<'_> {
    /// Exchanges the configuration whenever it changes. Does not end.
    async fn go_on(&mut self) {
        loop {
            let _ = self.watch.changed().await;
            let read = self.watch.reload().map_err(|faults| faults.iter().map(ToString::to_string).collect());
            let exchanged = read.and_then(|config| self.exchange(config));
            self.parts.configured.good.store(exchanged.is_ok(), Relaxed);
            match exchanged {
                Ok(()) => tracing::info!("the configuration was loaded anew"),
                Err(faults) => {
                    for fault in &faults {
                        tracing::error!(%fault, "the new configuration is refused; the last good one stays");
                    }
                    self.renew();
                }
            }
        }
    }

    /// Takes up certificates whose files have changed, whatever else is wrong: those in force expire, and nobody would be
    /// let in while a fault elsewhere waits to be mended.
    fn renew(&self) {
        if let Ok(read) = Read::try_new(&self.config) {
            self.certificates.exchange(read);
        }
    }

    /// As a whole or not at all.
    fn exchange(&mut self, config: Config) -> Result<(), Vec<String>> {
        self.certificates.exchange(Read::try_new(&config).map_err(|fault| vec![fault])?);
        for key in needs_restart(&self.config, &config) {
            tracing::warn!(key, "this takes effect only at a start");
        }
        if let Err(error) = self.log.set_filter(&config.telemetry.log) {
            tracing::warn!(%error, "telemetry.log stays as it was");
        }
        self.parts.keeper.exchange(config.auth.access());
        self.parts.deliverer.exchange(config.alerts.settings.clone());
        self.parts.rule.store(Arc::new(health(&config)));
        if let (Some(admission), Some(injector)) = (&self.parts.admission, &config.injector) {
            admission.exchange(injector);
        }
        self.config = config;
        Ok(())
    }
}
