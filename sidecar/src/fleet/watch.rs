//! One sidecar at a time, by lease, looks at what the fleet has counted and at how all are, and says what a person must
//! hear of: one alert for each thing that is wrong, until it is wrong no longer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fusebox_proto::store::{Heartbeat, breaker_record::State, heartbeat::Health};
use fusebox_rules::{
    breaker::Mode,
    degradation::Level,
    fleet::{Alert, AlertChange, AlertKey, AlertKind, Condition, Spike, SpikeSettings, Stamp, Verdict, settle},
};
use fusebox_store::{
    StoreError,
    alerts::{Firing, Limits, Raise, Raised, Resolve},
    errors::Counts,
    lock::Lock,
    presence::Live,
};

use super::{Fleet, Member, jittered};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);
/// How long who looks goes on to be the one, unless it says so again.
const LEASE: Duration = Duration::from_secs(15);
/// Sidecars whose heartbeats are read at a time.
const PAGE: u32 = 500;

/// Spikes that are watched, by provider and kind.
type Spikes = BTreeMap<(String, String), Spike>;

impl Fleet {
    /// Looks, where it is this sidecar's turn. Does not end.
    pub(super) async fn watch(self: Arc<Self>, members: Vec<Member>) {
        let mut spikes = Spikes::new();
        loop {
            tokio::time::sleep(jittered(EVERY)).await;
            let mine = self.ask(&Lock { name: "watch", holder: &self.id, lasts: LEASE }).await;
            if !mine.is_ok_and(|(_, lock)| lock.mine) {
                // Whoever looks now knows better what began when.
                spikes.clear();
                continue;
            }
            let _ = self.look(&members, &mut spikes).await;
        }
    }

    async fn look(&self, members: &[Member], spikes: &mut Spikes) -> Result<(), StoreError> {
        let (now, firing) = self.ask(&Firing).await?;
        take_over(&firing, spikes);
        let sidecars = self.everybody().await?;
        let providers = providers(members, &sidecars);
        let mut holds = self.spikes(&providers, &firing, spikes).await?;
        let shared: Vec<_> = members.iter().filter_map(opened).collect();
        let is_shared = |name: &str| shared.iter().any(|condition| condition.key.provider == name);
        // A forced one is an operator's affair.
        let others = providers.iter().filter(|name| !is_shared(name) && self.orders.mode(name, now) == Mode::Auto);
        holds.extend(others.filter_map(|name| opened_by_most(name, &sidecars, &firing)));
        holds.extend(shared);
        holds.extend(sidecars.iter().filter_map(critical));
        holds.extend(sidecars.iter().filter_map(degraded));
        let keys: Vec<AlertKey> = firing.into_iter().map(|alert| alert.condition.key).collect();
        for change in settle(&holds, &keys) {
            self.change(&change, now).await?;
        }
        Ok(())
    }

    async fn everybody(&self) -> Result<Vec<Heartbeat>, StoreError> {
        let (mut all, mut after) = (Vec::new(), Some(String::new()));
        while let Some(from) = after {
            let (_, page) = self.ask(&Live { after: &from, most: PAGE, lately: Duration::ZERO }).await?;
            all.extend(page.sidecars.into_iter().map(|alive| alive.heartbeat));
            after = page.next;
        }
        Ok(all)
    }

    /// The spikes that there are now.
    async fn spikes(
        &self,
        providers: &BTreeSet<String>,
        firing: &[Alert],
        spikes: &mut Spikes,
    ) -> Result<Vec<Condition>, StoreError> {
        let mut holds = Vec::new();
        for provider in providers {
            let (now, tally) = self.ask(&Counts { provider }).await?;
            let watched = spikes.keys().filter(|(of, _)| of == provider).map(|(_, kind)| kind.clone());
            let kinds: BTreeSet<String> = tally.hour.errors.keys().cloned().chain(watched).collect();
            for kind in kinds {
                let key = (provider.clone(), kind);
                let spike = spikes.entry(key.clone()).or_default();
                let verdict = spike.look(tally.seen(&key.1, now), &SpikeSettings::default(), now);
                match verdict {
                    Verdict::Began(figures) => holds.push(Condition::spike(provider, &key.1, figures)),
                    Verdict::Nothing if spike.is_on() => holds.push(told(provider, &key.1, firing)),
                    Verdict::Nothing | Verdict::Ended => drop(spikes.remove(&key)),
                }
            }
        }
        Ok(holds)
    }

    async fn change(&self, change: &AlertChange, at: Stamp) -> Result<(), StoreError> {
        match change {
            AlertChange::Raise(condition) => {
                if let (_, Raised::New(alert)) = self.ask(&Raise { condition, at, limits: Limits::default() }).await? {
                    tracing::warn!(target: "fusebox::fleet", alert = alert.id, "{}", condition.message);
                }
            }
            AlertChange::Resolve(key) => {
                if let (_, Some(alert)) = self.ask(&Resolve { key, at }).await? {
                    tracing::info!(target: "fusebox::fleet", alert = alert.id, "over: {}", alert.condition.message);
                }
            }
        }
        Ok(())
    }
}

/// Spikes that somebody else has found go on here.
fn take_over(firing: &[Alert], spikes: &mut Spikes) {
    for alert in firing.iter().filter(|alert| alert.condition.key.kind == AlertKind::ErrorSpike) {
        let AlertKey { provider, error_kind, .. } = &alert.condition.key;
        let ongoing = || Spike::ongoing(alert.raised, alert.condition.figures.historical);
        spikes.entry((provider.clone(), error_kind.clone())).or_insert_with(ongoing);
    }
}

/// The condition of a spike that goes on: as it was told, if it was.
fn told(provider: &str, kind: &str, firing: &[Alert]) -> Condition {
    let same = |alert: &&Alert| {
        let key = &alert.condition.key;
        key.kind == AlertKind::ErrorSpike && key.provider == provider && key.error_kind == kind
    };
    let known = firing.iter().find(same).map(|alert| alert.condition.clone());
    known.unwrap_or_else(|| Condition::spike(provider, kind, fusebox_rules::fleet::Figures::default()))
}

/// Every provider that any sidecar has.
fn providers(members: &[Member], sidecars: &[Heartbeat]) -> BTreeSet<String> {
    let own = members.iter().map(|member| member.settings.name.to_string());
    let others = sidecars.iter().flat_map(|sidecar| &sidecar.providers).map(|provider| provider.name.clone());
    own.chain(others).collect()
}

fn opened(member: &Member) -> Option<Condition> {
    let record = member.gate.with_view(|view| view.record().clone())?;
    Condition::breaker(&member.settings.name, &record)
}

/// What most sidecars' own breakers say of a provider.
fn opened_by_most(provider: &str, sidecars: &[Heartbeat], firing: &[Alert]) -> Option<Condition> {
    let used = sidecars.iter().flat_map(|sidecar| &sidecar.providers);
    let used = used.filter(|beat| beat.enabled && beat.name == provider);
    let (mut open, mut all) = (0, 0);
    for beat in used {
        all += 1;
        open += usize::from(matches!(beat.state(), State::Open | State::HalfOpen));
    }
    let is_told = |alert: &Alert| {
        let key = &alert.condition.key;
        key.kind == AlertKind::BreakerOpened && key.provider == provider
    };
    Condition::own_breakers(provider, open, all, firing.iter().any(is_told))
}

fn critical(sidecar: &Heartbeat) -> Option<Condition> {
    if sidecar.health() != Health::Critical {
        return None;
    }
    let failed = sidecar.checks.iter().filter(|check| !check.healthy).map(|check| check.name.as_str());
    let failed: Vec<&str> = failed.collect();
    let why = if failed.is_empty() { "no provider can be asked".to_owned() } else { failed.join(", ") };
    Some(Condition::critical(&sidecar.id, &why))
}

fn degraded(sidecar: &Heartbeat) -> Option<Condition> {
    use fusebox_proto::store::Level as Told;
    let level = match sidecar.level() {
        Told::Unspecified | Told::Full => Level::Full,
        Told::Reduced => Level::Reduced,
        Told::Minimal => Level::Minimal,
    };
    Condition::degraded(&sidecar.id, level)
}
