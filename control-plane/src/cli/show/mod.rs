//! What is printed of each answer: plain functions from messages to lines.

mod alerts;
mod audit;
mod change;
mod fleet;
mod providers;
mod sidecars;

pub(crate) use alerts::{alert_line, alerts, silences};
pub(crate) use audit::audit;
pub(crate) use change::{done, dry_run};
pub(crate) use fleet::{fleet, notices};
pub(crate) use providers::providers;
pub(crate) use sidecars::{sidecar, sidecars};

use super::{
    page::{Line, Tone},
    table::Table,
    time::Now,
};

/// How wide it may be, and when it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub(crate) width: Option<usize>,
    pub(crate) now: Now,
}

impl View {
    /// A paragraph within the width.
    fn folded(self, line: Line) -> Vec<Line> {
        line.folded(self.width, 2)
    }

    /// A table's lines.
    fn table(self, table: &Table) -> Vec<Line> {
        table.lines(self.width)
    }
}

/// What a part of the page is about.
fn heading(text: impl AsRef<str>) -> Line {
    Line::toned(text, Tone::Strong)
}

#[cfg(test)]
mod fixture {
    //! A small fleet to look at.

    use std::time::Duration;

    use fusebox_proto::v1::{
        Alert, AlertKind, Breaker, BreakerState, DegradationLevel, Delivery, ErrorMetrics, ErrorPattern, Fleet,
        HealthCheck, HealthStatus, Load, Model, Provider, Severity, Sidecar, SidecarProvider, Totals, Word,
    };
    use prost_types::Timestamp;

    use super::{Line, Now, View};

    pub(super) const NOON: i64 = 1_700_000_000;

    pub(super) fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds: NOON + seconds, nanos: 0 })
    }

    pub(super) fn view(width: impl Into<Option<usize>>) -> View {
        View { width: width.into(), now: Now(Duration::from_secs(NOON.unsigned_abs())) }
    }

    pub(super) fn text(lines: &[Line]) -> String {
        lines.iter().map(|line| line.show(false)).collect::<Vec<_>>().join("\n")
    }

    pub(super) fn word(reason: &str, expires: Option<i64>) -> Option<Word> {
        Some(Word { by: "ana".into(), reason: reason.into(), at: at(-60), expires_at: expires.and_then(at) })
    }

    pub(super) fn fleet() -> Fleet {
        Fleet {
            name: "north".into(),
            at: at(-2),
            health: HealthStatus::Degraded.into(),
            health_reason: "1 of 3 live sidecars is critical: critical from 50%, degraded from 10%".into(),
            degradation_level: DegradationLevel::Reduced.into(),
            degradation_overridden: true,
            degradation_word: word("load test", Some(600)),
            settings_version: 12,
            providers: vec![vllm(), azure()],
            sidecars: vec![sidecar("pod-1", HealthStatus::Healthy), sidecar("pod-2", HealthStatus::Critical), late()],
            models: vec![
                Model { name: "chat".into(), providers: vec!["vllm".into(), "azure".into()], enabled: 1 },
                Model { name: "embed".into(), providers: vec!["azure".into()], enabled: 0 },
            ],
            firing_alerts: vec![alert()],
            totals: Some(Totals {
                calls: 1_234_567,
                errors: 321,
                input_tokens: 45_000_000,
                output_tokens: 6_700_000,
                cost: 12.3,
                calls_per_second: 120.5,
                answers: [("provider", 970), ("cache", 25), ("static", 5)]
                    .map(|(source, count)| (source.to_owned(), count))
                    .into(),
            }),
            errors: Some(ErrorMetrics {
                calls_1m: 7_200,
                errors_1m: 36,
                top_patterns: vec![
                    ErrorPattern { pattern: "rate_limited:chat".into(), count: 120 },
                    ErrorPattern { pattern: "network_error:embed".into(), count: 7 },
                ],
                ..ErrorMetrics::default()
            }),
            ..Fleet::default()
        }
    }

    fn vllm() -> Provider {
        Provider {
            name: "vllm".into(),
            enabled: true,
            breaker: Some(Breaker { state: BreakerState::Closed.into(), ..Breaker::default() }),
            sidecars_applied: 3,
            sidecars_total: 3,
            sidecars_open: 1,
            calls_per_second: 118.0,
            errors_per_second: 0.6,
            models: vec!["chat".into()],
            shared: true,
            ..Provider::default()
        }
    }

    fn azure() -> Provider {
        Provider {
            name: "azure".into(),
            enabled: false,
            priority: 10,
            enabled_word: word("incident 12: 模型 answers nonsense since the morning", Some(7200)),
            breaker: Some(Breaker {
                state: BreakerState::Open.into(),
                half_open_at: at(42),
                reason: "5 failures in a row".into(),
                ..Breaker::default()
            }),
            sidecars_applied: 2,
            sidecars_total: 3,
            shared: true,
            ..Provider::default()
        }
    }

    pub(super) fn sidecar(id: &str, health: HealthStatus) -> Sidecar {
        Sidecar {
            id: id.into(),
            pod: format!("{id}-abc"),
            node: "node-7".into(),
            version: "0.1.0".into(),
            zone: "eu-1a".into(),
            started_at: at(-7_200),
            seen_at: at(-1),
            health: health.into(),
            degradation_level: DegradationLevel::Full.into(),
            load: Some(Load { cpu: Some(0.42), memory: Some(0.5), ..Load::default() }),
            calls_per_second: 40.0,
            in_flight: 3,
            settings_version: 12,
            checks: vec![HealthCheck {
                name: "disk".into(),
                critical: true,
                healthy: health == HealthStatus::Healthy,
                message: "3% free".into(),
                took: None,
            }],
            providers: vec![SidecarProvider {
                name: "vllm".into(),
                enabled: true,
                breaker: BreakerState::Closed.into(),
                shared: true,
                calls_per_second: 40.0,
                ..SidecarProvider::default()
            }],
            ..Sidecar::default()
        }
    }

    fn late() -> Sidecar {
        Sidecar { late: true, seen_at: at(-95), ..sidecar("pod-3", HealthStatus::Healthy) }
    }

    pub(super) fn alert() -> Alert {
        Alert {
            id: "a-1".into(),
            kind: AlertKind::BreakerOpened.into(),
            provider: "azure".into(),
            severity: Severity::Critical.into(),
            raised_at: at(-300),
            message: "the breaker of azure opened: 5 failures in a row".into(),
            deliveries: vec![
                Delivery { channel: "oncall".into(), state: "delivered".into(), attempts: 1, ..Delivery::default() },
                Delivery {
                    channel: "slack".into(),
                    state: "pending".into(),
                    attempts: 3,
                    last_error: "status 500".into(),
                    ..Delivery::default()
                },
            ],
            ..Alert::default()
        }
    }
}
