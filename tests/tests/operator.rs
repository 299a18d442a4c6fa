//! The operator's command: what it asks of a control plane, what it shows, and how it ends. The program is the real one;
//! the control plane says what it is told to say, over real sockets.

mod change;
mod lists;
mod reach;
mod screen;
mod status;
mod watch;

use fusebox_proto::v1::{
    Alert, AlertKind, Breaker, BreakerState, ChangeResult, DegradationLevel, Fleet, HealthStatus, Model, Provider,
    Severity, Sidecar,
};
use prost_types::{Duration, Timestamp};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
}

fn fleet() -> Fleet {
    let provider = |name: &str, priority| Provider {
        name: name.into(),
        enabled: true,
        priority,
        breaker: Some(Breaker { state: BreakerState::Closed.into(), ..Breaker::default() }),
        shared: true,
        sidecars_applied: 2,
        sidecars_total: 2,
        ..Provider::default()
    };
    let sidecar = |id: &str| Sidecar {
        id: id.into(),
        health: HealthStatus::Healthy.into(),
        degradation_level: DegradationLevel::Full.into(),
        ..Sidecar::default()
    };
    Fleet {
        name: "north".into(),
        at: at(0),
        health: HealthStatus::Healthy.into(),
        degradation_level: DegradationLevel::Full.into(),
        providers: vec![provider("vllm", 0), provider("azure", 10)],
        sidecars: vec![sidecar("pod-1"), sidecar("pod-2")],
        models: vec![Model { name: "chat".into(), providers: vec!["vllm".into(), "azure".into()], enabled: 2 }],
        settings_version: 12,
        ..Fleet::default()
    }
}

/// A change that `applied` of three sidecars have applied.
fn applied(applied: u32) -> ChangeResult {
    ChangeResult {
        settings_version: 13,
        sidecars_applied: applied,
        sidecars_total: 3,
        effects: vec!["chat is left with azure".into()],
        waiting_for: if applied < 3 { vec!["pod-3".into()] } else { Vec::new() },
    }
}

fn alert(id: &str) -> Alert {
    Alert {
        id: id.into(),
        kind: AlertKind::BreakerOpened.into(),
        severity: Severity::Critical.into(),
        provider: "azure".into(),
        message: format!("the story of {id}"),
        raised_at: at(-60),
        ..Alert::default()
    }
}

/// A wait of whole seconds, as a change takes it.
fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}
