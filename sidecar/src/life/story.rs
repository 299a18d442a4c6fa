//! What the admin port shows of the sidecar's life.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::Relaxed},
};

use fusebox_base::serve::tls::Certificate;
use fusebox_rules::moment::Moment;
use parking_lot::Mutex;

use crate::{
    call::{Shared, plan::Upstream},
    clock,
    doors::admin::{
        CheckView, ConfigView, FleetView, LimitView, LoadView, ModelView, PlacesView, ProviderView, SharesView, View,
    },
    fleet::Common,
    gate::{Left, limiter::Places},
    health::checks::{Checks, Finding},
    telemetry::Shares,
};

/// Where in its life the sidecar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    Starting,
    Ready,
    Draining,
}

/// The sidecar's story so far.
pub(super) struct Story {
    source: String,
    shared: Arc<Shared>,
    checks: Arc<Checks>,
    /// `None`: its doors speak without TLS.
    certificate: Option<Certificate>,
    /// `None`: it is alone.
    common: Option<Arc<Common>>,
    phase: AtomicU8,
    reloads: Mutex<Reloads>,
}

struct Reloads {
    loaded: Moment,
    count: u64,
    faults: Vec<String>,
}

impl Story {
    pub(super) fn new(
        source: String,
        shared: Arc<Shared>,
        checks: Arc<Checks>,
        certificate: Option<Certificate>,
        common: Option<Arc<Common>>,
    ) -> Self {
        let reloads = Reloads { loaded: clock::now(), count: 0, faults: Vec::new() };
        Self {
            source,
            shared,
            checks,
            certificate,
            common,
            phase: AtomicU8::new(Phase::Starting as u8),
            reloads: Mutex::new(reloads),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(super) fn reloaded(&self) {
        let mut reloads = self.reloads.lock();
        *reloads = Reloads { loaded: clock::now(), count: reloads.count + 1, faults: Vec::new() };
    }

    pub(super) fn refused(&self, faults: Vec<String>) {
        self.reloads.lock().faults = faults;
    }
}

impl View for Story {
    fn not_ready(&self) -> Vec<String> {
        let phase = self.phase.load(Relaxed);
        if phase == Phase::Ready as u8 {
            Vec::new()
        } else if phase == Phase::Draining as u8 {
            vec!["draining".into()]
        } else {
            vec!["starting".into()]
        }
    }

    fn providers(&self) -> Vec<ProviderView> {
        self.shared.current.load().plan.upstreams.iter().map(|upstream| shown(upstream)).collect()
    }

    fn models(&self) -> Vec<ModelView> {
        let current = self.shared.current.load();
        let providers = &current.plan.config.providers;
        let models = current.plan.config.models.iter();
        models
            .map(|model| ModelView {
                name: Arc::clone(&model.name),
                providers: model.providers.iter().map(|served| Arc::clone(&providers[served.provider].name)).collect(),
            })
            .collect()
    }

    fn checks(&self) -> Vec<CheckView> {
        let now = clock::now();
        let shown = |finding: Finding| CheckView {
            name: finding.name,
            critical: finding.critical,
            healthy: finding.healthy,
            message: finding.message,
            took_seconds: finding.took.as_secs_f64(),
            seconds_ago: now.since(finding.at).as_secs_f64(),
        };
        self.checks.findings(&self.shared.current.load().plan).into_iter().map(shown).collect()
    }

    fn runs(&self) -> usize {
        self.shared.runs.tracked()
    }

    fn config(&self) -> ConfigView {
        let reloads = self.reloads.lock();
        ConfigView {
            source: self.source.clone(),
            loaded_seconds_ago: clock::now().since(reloads.loaded).as_secs_f64(),
            reloads: reloads.count,
            faults: reloads.faults.clone(),
        }
    }

    fn certificate_ends(&self) -> Option<u64> {
        self.certificate.as_ref()?.ends()
    }

    fn fleet_name(&self) -> String {
        self.shared.current.load().plan.config.fleet.name.clone()
    }

    fn fleet(&self) -> Option<FleetView> {
        let common = self.common.as_ref()?;
        let (fleet, current) = (common.fleet(), self.shared.current.load());
        let config = &current.plan.config;
        let Shares { runs, claims, cache } = self.shared.telemetry.shares();
        Some(FleetView {
            name: config.fleet.name.clone(),
            id: fleet.id().to_owned(),
            connected: fleet.is_connected(),
            live: fleet.live(),
            settings_version: fleet.orders().applied(),
            shares: SharesView {
                runs,
                claims: Some(claims).filter(|_| config.idempotency.shared),
                cache: Some(cache).filter(|_| config.cache.shared),
                waiting: common.waiting(),
            },
        })
    }

    fn load(&self) -> LoadView {
        let pressure = &self.shared.pressure;
        let read = pressure.load().parts().into_iter().filter_map(|(name, part)| Some((name, part?)));
        let current = self.shared.current.load();
        let places = current.plan.upstreams.iter().map(|upstream| {
            let Places { limit, taken, waiting } = upstream.gate.limiter().places();
            PlacesView { provider: Arc::clone(&upstream.settings.name), limit, taken, waiting }
        });
        LoadView { degradation_level: pressure.level().name(), load: read.collect(), places: places.collect() }
    }
}

fn shown(upstream: &Upstream) -> ProviderView {
    let standing = upstream.gate.standing();
    let limits = upstream.gate.left().into_iter();
    ProviderView {
        name: Arc::clone(&upstream.settings.name),
        enabled: upstream.settings.enabled,
        priority: upstream.settings.priority,
        breaker: standing.state.into(),
        in_flight: u64::from(standing.in_flight),
        cool_down_seconds: standing.cooling.map(|left| left.as_secs_f64()),
        fault: standing.key_refused.then(|| "it refused its key".into()),
        rate_limits: limits
            .map(|Left { unit, per_minute, left }| LimitView { limit: unit.name(), per_minute, left })
            .collect(),
    }
}
