//! Without Redis: five made-up sidecars in this process's own store, so that the dashboard and the command can be tried.
//!
//! What they say is drawn at random; how their breakers move, what operators set and what is counted is as in any fleet.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fusebox_base::clock;
use fusebox_proto::store::{
    Heartbeat, Level as WireLevel, ProviderBeat,
    breaker_record::State as WireState,
    heartbeat::{Check, Health, Load, ServedModel, Totals},
};
use fusebox_rules::{
    breaker::{Admission, Asker, Breaker, Mode, News, Settings as BreakerSettings, State},
    degradation::Level,
    fleet::{Stamp, settings::Settings},
    moment::Moment,
};
use fusebox_store::{
    Store,
    errors::{Count, Failures},
    presence::Beat,
    settings::GetSettings,
};

/// Between two heartbeats.
const EVERY: Duration = Duration::from_millis(500);
/// How long the store, which is this process, may take.
const LIMIT: Duration = Duration::from_secs(1);
const SIDECARS: usize = 5;
/// Calls of a sidecar between two heartbeats, about.
const CALLS: u32 = 12;

/// A made-up provider.
struct Character {
    name: &'static str,
    /// The share of its calls that fail while all is well.
    fails: f64,
    /// For how much of each ten minutes it is ill, and how much of its calls fails then.
    ill: (f64, f64),
    kind: &'static str,
}

const PROVIDERS: [Character; 3] = [
    Character { name: "local-gpu", fails: 0.002, ill: (0.2, 0.9), kind: "model_overloaded" },
    Character { name: "hosted", fails: 0.02, ill: (0.3, 0.2), kind: "rate_limited" },
    Character { name: "spare", fails: 0.001, ill: (0.0, 0.0), kind: "network_error" },
];
/// How often the ill times come round.
const ROUND: f64 = 600.0;

/// Plays the fleet. Does not end.
pub async fn run(store: Arc<Store>) {
    let mut cast: Vec<Player> = (0..SIDECARS).map(Player::new).collect();
    loop {
        let began = clock::now();
        if let Ok((now, settings)) = store.ask(&GetSettings, LIMIT).await {
            for player in &mut cast {
                player.act(&settings, now, began);
                player.tell(&store, &settings, now).await;
            }
        }
        tokio::time::sleep_until(clock::at(began + EVERY)).await;
    }
}

/// A made-up sidecar.
struct Player {
    id: String,
    started: Stamp,
    providers: Vec<Part>,
    totals: Totals,
    level: Level,
    answered: bool,
}

/// A provider, as one of them has it.
struct Part {
    of: &'static Character,
    breaker: Breaker,
    enabled: bool,
    priority: u32,
    calls: u32,
    failed: u32,
}

impl Player {
    fn new(index: usize) -> Self {
        let part = |(rank, of)| Part {
            of,
            breaker: Breaker::new(BreakerSettings { open_for: Duration::from_secs(15), ..BreakerSettings::default() }),
            enabled: true,
            priority: rank,
            calls: 0,
            failed: 0,
        };
        Self {
            id: format!("made-up-{index}"),
            started: Stamp::default(),
            providers: (0..).zip(&PROVIDERS).map(part).collect(),
            totals: Totals::default(),
            level: Level::Full,
            answered: true,
        }
    }

    /// Obeys, and makes some calls.
    fn act(&mut self, settings: &Settings, now: Stamp, moment: Moment) {
        if self.started == Stamp::default() {
            self.started = now;
        }
        for (rank, part) in (0..).zip(&mut self.providers) {
            let set = settings.provider(part.of.name, now);
            part.enabled = set.enabled.is_none_or(|said| said.value);
            part.priority = set.priority.map_or(rank, |said| said.value);
            part.breaker.force(set.breaker.map_or(Mode::Auto, |said| said.value), moment);
            part.breaker.tick(moment);
            (part.calls, part.failed) = (0, 0);
        }
        self.level = settings.level(&self.id, now).map_or(Level::Full, |said| said.value);
        self.answered = true;
        for _ in 0..fastrand::u32(CALLS / 2..=CALLS * 3 / 2) {
            self.call(now, moment);
        }
    }

    /// One call: by rank, until one answers.
    fn call(&mut self, now: Stamp, moment: Moment) {
        let mut ranked: Vec<usize> = (0..self.providers.len()).filter(|at| self.providers[*at].enabled).collect();
        ranked.sort_by_key(|at| self.providers[*at].priority);
        self.totals.calls += 1;
        for (step, at) in ranked.into_iter().enumerate() {
            if self.providers[at].answers(now, moment) {
                let source = if step == 0 { "provider" } else { "fallback" };
                *self.totals.answers.entry(source.to_owned()).or_default() += 1;
                self.totals.input_tokens += fastrand::u64(20..2_000);
                self.totals.output_tokens += fastrand::u64(5..600);
                self.totals.cost += if self.providers[at].of.name == "hosted" { 0.002 } else { 0.0 };
                return;
            }
        }
        self.answered = false;
        self.totals.errors += 1;
    }

    async fn tell(&self, store: &Store, settings: &Settings, now: Stamp) {
        for part in self.providers.iter().filter(|part| part.calls > 0) {
            let failures = [Failures { kind: part.of.kind, operation: "generate", count: part.failed }];
            let failures = if part.failed > 0 { &failures[..] } else { &[] };
            let count = Count { provider: part.of.name, sidecar: &self.id, at: now, calls: part.calls, failures };
            let _ = store.ask(&count, LIMIT).await;
        }
        let heartbeat = self.heartbeat(settings);
        let _ = store.ask(&Beat { heartbeat: &heartbeat, every: EVERY * 2 }, LIMIT).await;
    }

    fn heartbeat(&self, settings: &Settings) -> Heartbeat {
        let per_second = |many: u32| f64::from(many) / EVERY.as_secs_f64();
        let open = self.providers.iter().any(|part| part.breaker.state() != State::Closed);
        let health = match (self.answered, open) {
            (false, _) => Health::Critical,
            (true, true) => Health::Degraded,
            (true, false) => Health::Healthy,
        };
        let models = BTreeMap::from([("chat", vec!["local-gpu", "hosted", "spare"]), ("embed", vec!["local-gpu"])]);
        let check = Check { name: "model".into(), critical: true, healthy: self.answered, ..Check::default() };
        Heartbeat {
            id: self.id.clone(),
            pod: self.id.clone(),
            node: "this machine".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            started_ms: self.started.as_millis(),
            health: health.into(),
            checks: vec![check],
            level: level(self.level).into(),
            load: Some(Load { cpu: Some(fastrand::f64() * 0.5), memory: Some(0.3), ..Load::default() }),
            calls_per_second: self.providers.iter().map(|part| per_second(part.calls)).sum(),
            settings_version: settings.version,
            providers: self.providers.iter().map(Part::beat).collect(),
            models: models
                .into_iter()
                .map(|(name, providers)| ServedModel {
                    name: name.into(),
                    providers: providers.into_iter().map(str::to_owned).collect(),
                })
                .collect(),
            totals: Some(self.totals.clone()),
            ..Heartbeat::default()
        }
    }
}

impl Part {
    /// Whether it answers a call that comes now.
    fn answers(&mut self, now: Stamp, moment: Moment) -> bool {
        let Admission::Granted(mut permit) = self.breaker.admit(Asker::Caller, 0, moment, fastrand::f64()) else {
            return false;
        };
        let well = fastrand::f64() >= self.failing(now);
        self.calls += 1;
        self.failed += u32::from(!well);
        self.breaker.record(&mut permit, if well { News::Succeeded } else { News::Failed }, moment);
        well
    }

    /// The share of calls that fails now.
    #[expect(clippy::cast_precision_loss, reason = "a place in ten minutes")]
    fn failing(&self, now: Stamp) -> f64 {
        let place = (now.as_millis() as f64 / 1_000.0 % ROUND) / ROUND;
        let (share, ill) = self.of.ill;
        if place < share { ill } else { self.of.fails }
    }

    fn beat(&self) -> ProviderBeat {
        let state = match self.breaker.state() {
            State::Closed => WireState::Closed,
            State::Open => WireState::Open,
            State::HalfOpen => WireState::HalfOpen,
        };
        let per_second = |many: u32| f64::from(many) / EVERY.as_secs_f64();
        ProviderBeat {
            name: self.of.name.into(),
            enabled: self.enabled,
            priority: self.priority,
            state: state.into(),
            shared: false,
            calls_per_second: per_second(self.calls),
            errors_per_second: per_second(self.failed),
        }
    }
}

const fn level(level: Level) -> WireLevel {
    match level {
        Level::Full => WireLevel::Full,
        Level::Reduced => WireLevel::Reduced,
        Level::Minimal => WireLevel::Minimal,
    }
}
