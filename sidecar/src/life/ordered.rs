//! What operators have set, done here: levels and breakers at once, switches and ranks as another configuration.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use fusebox_rules::{breaker::Mode, degradation::Level, fleet::settings::Settings};
use tokio::sync::watch;

use crate::{
    call::Shared,
    config::{Config, Provider},
    fleet::Fleet,
    telemetry::{Applied, Telemetry},
};

/// Longer than this is not slept at a time: the shared clock is corrected meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The fleet's settings, followed. Where there is no fleet nothing is ever set.
pub(super) struct Ordered(Option<Followed>);

struct Followed {
    fleet: Arc<Fleet>,
    newest: watch::Receiver<Arc<Settings>>,
    /// Those that are obeyed.
    held: Arc<Settings>,
}

impl Ordered {
    pub(super) fn by(fleet: Option<Arc<Fleet>>) -> Self {
        Self(fleet.map(|fleet| {
            let newest = fleet.orders().follow();
            Followed { fleet, newest, held: Arc::default() }
        }))
    }

    /// Waits until something else is in force: it was set, or what was set has expired.
    pub(super) async fn wait(&mut self) {
        let Some(Followed { fleet, newest, held }) = &mut self.0 else { return std::future::pending().await };
        loop {
            let now = fleet.now();
            let expiry = held.next_expiry(now).map(|at| at.since(now));
            tokio::select! {
                changed = newest.changed() => match changed {
                    Ok(()) => {
                        *held = Arc::clone(&newest.borrow_and_update());
                        return;
                    }
                    Err(_) => std::future::pending().await,
                },
                () = tokio::time::sleep(expiry.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)) => {
                    if expiry.is_some_and(|left| left <= LOOK_AGAIN) {
                        return;
                    }
                }
            }
        }
    }

    /// `config` as operators have set it.
    pub(super) fn laid_over(&self, config: &Config) -> Config {
        let mut config = config.clone();
        let Some(Followed { fleet, held, .. }) = &self.0 else { return config };
        let now = fleet.now();
        for provider in &mut config.providers {
            let set = held.provider(&provider.name, now);
            let enabled = set.enabled.map_or(provider.enabled, |said| said.value);
            let priority = set.priority.map_or(provider.priority, |said| said.value);
            if (enabled, priority) != (provider.enabled, provider.priority) {
                *provider = Arc::new(Provider { enabled, priority, ..Provider::clone(provider) });
            }
        }
        config
    }

    /// Does at once what needs no other configuration.
    pub(super) fn obey(&self, shared: &Shared) {
        let Some(Followed { fleet, held, .. }) = &self.0 else { return };
        let now = fleet.now();
        let level: Option<Level> = held.level(fleet.id(), now).map(|said| said.value);
        shared.pressure.force(level);
        for upstream in &shared.current.load().plan.upstreams {
            let set = held.provider(&upstream.settings.name, now);
            if upstream.gate.is_shared() {
                // The fleet's loop moves the shared record, which every gate follows.
                fleet.bells().news.notify_one();
            } else {
                upstream.gate.force(set.breaker.map_or(Mode::Auto, |said| said.value));
            }
            if let Some(said) = set.enabled {
                upstream.gate.switch(said.value);
            }
        }
    }

    /// All of it is in force.
    pub(super) fn done(&self) {
        if let Some(Followed { fleet, held, .. }) = &self.0 {
            fleet.orders().apply(held.version);
        }
    }

    /// Tells of settings that are new here, which began to be applied at `began`: all of it is `done`, or cannot be.
    pub(super) fn tell(&self, telemetry: &Telemetry, began: SystemTime, done: bool) {
        let Some(Followed { fleet, held, .. }) = &self.0 else { return };
        if fleet.orders().applied() == held.version {
            // What was set has expired.
            return;
        }
        telemetry.applied(&Applied {
            version: held.version,
            trace: held.trace.as_deref(),
            sidecar: fleet.id(),
            began,
            now: fleet.now(),
            done,
        });
    }
}
