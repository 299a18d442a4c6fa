//! Sidecars in a table, and one in full.

use fusebox_proto::v1::{HealthCheck, Sidecar, SidecarProvider};

use super::{View, heading};
use crate::cli::{
    page::{Line, Tone},
    table::{Column, Table},
    time::{self, Now},
    words,
};

/// All of them.
pub(crate) fn sidecars(sidecars: &[Sidecar], view: View) -> Vec<Line> {
    if sidecars.is_empty() {
        return vec!["there are no sidecars".into()];
    }
    view.table(&sidecar_table(&sidecars.iter().collect::<Vec<_>>(), view.now))
}

pub(super) fn sidecar_table(sidecars: &[&Sidecar], now: Now) -> Table {
    let mut table = Table::new([
        Column::new("SIDECAR").shrinks_to(8),
        Column::new("HEALTH"),
        Column::new("LEVEL").gives_way(1),
        Column::new("CALLS/S").right().gives_way(2),
        Column::new("IN FLIGHT").right().gives_way(5),
        Column::new("CPU").right().gives_way(6),
        Column::new("MEMORY").right().gives_way(7),
        Column::new("SETTINGS").right().gives_way(4),
        Column::new("SEEN").right().gives_way(3),
        Column::new("NODE").shrinks_to(8).gives_way(8),
        Column::new("ZONE").shrinks_to(6).gives_way(9),
        Column::new("VERSION").gives_way(10),
    ]);
    for sidecar in sidecars {
        let load = sidecar.load.unwrap_or_default();
        table.row([
            sidecar.id.as_str().into(),
            health(sidecar),
            words::level(sidecar.degradation_level()).line(),
            words::rate(sidecar.calls_per_second).into(),
            sidecar.in_flight.to_string().into(),
            fraction(load.cpu).into(),
            fraction(load.memory).into(),
            sidecar.settings_version.to_string().into(),
            now.ago(sidecar.seen_at.as_ref()).into(),
            sidecar.node.as_str().into(),
            sidecar.zone.as_str().into(),
            sidecar.version.as_str().into(),
        ]);
    }
    table
}

/// One in full.
pub(crate) fn sidecar(sidecar: &Sidecar, view: View) -> Vec<Line> {
    let now = view.now;
    let mut lines = Vec::new();
    if sidecar.late {
        let text = format!(" Heartbeats are missing: this is as of {}.", now.ago(sidecar.seen_at.as_ref()));
        lines.extend(view.folded(Line::toned("! LATE", Tone::Bad).text(text)));
    }
    let line = Line::toned(&sidecar.id, Tone::Strong).text(": ").join(words::health(sidecar.health()).line());
    let line = line.text("; level ").join(words::level(sidecar.degradation_level()).line());
    let word = words::word(sidecar.degradation_word.as_ref(), now);
    lines.extend(view.folded(if word.is_empty() { line } else { line.text(format!(", as set by {word}")) }));
    for fact in [whereabouts(sidecar, now), traffic(sidecar), load(sidecar)].into_iter().filter(|fact| !fact.is_empty())
    {
        lines.extend(view.folded(Line::toned("  ", Tone::Plain).text(fact)));
    }
    let mut part = |title: &str, table: &Table| {
        lines.extend([Line::new(), heading(title)]);
        lines.extend(view.table(table));
    };
    if !sidecar.checks.is_empty() {
        part("Checks", &checks(&sidecar.checks));
    }
    if !sidecar.providers.is_empty() {
        part("Providers", &providers(&sidecar.providers));
    }
    lines
}

fn health(sidecar: &Sidecar) -> Line {
    if sidecar.late { Line::toned("! late", Tone::Warn) } else { words::health(sidecar.health()).line() }
}

fn whereabouts(sidecar: &Sidecar, now: Now) -> String {
    let places =
        [("pod", &sidecar.pod), ("node", &sidecar.node), ("zone", &sidecar.zone), ("version", &sidecar.version)];
    let mut told: Vec<_> =
        places.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}")).collect();
    if let Some(at) = &sidecar.started_at {
        told.push(format!("up {}", time::short(now.since(at))));
    }
    told.push(format!("seen {}", now.ago(sidecar.seen_at.as_ref())));
    told.push(format!("settings version {}", sidecar.settings_version));
    told.join(", ")
}

fn traffic(sidecar: &Sidecar) -> String {
    let now = format!("{} calls/s, {} in flight", words::rate(sidecar.calls_per_second), sidecar.in_flight);
    match &sidecar.totals {
        None => now,
        Some(totals) => {
            let (calls, errors) = (words::count(totals.calls), words::count(totals.errors));
            format!("{now}; since it began {calls} calls, {errors} of them failed")
        }
    }
}

fn load(sidecar: &Sidecar) -> String {
    let load = sidecar.load.unwrap_or_default();
    let told = [
        ("cpu", load.cpu),
        ("memory", load.memory),
        ("gpu", load.gpu),
        ("gpu memory", load.gpu_memory),
        ("queue", load.queue),
        ("kv cache", load.kv_cache),
    ];
    let told =
        told.iter().filter(|(_, value)| value.is_some()).map(|(name, value)| format!("{name} {}", fraction(*value)));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!("load: {told}") }
}

fn checks(checks: &[HealthCheck]) -> Table {
    let mut table = Table::new([
        Column::new("CHECK").shrinks_to(8),
        Column::new("FOUND"),
        Column::new("WEIGHT").gives_way(2),
        Column::new("TOOK").right().gives_way(3),
        Column::new("MESSAGE").shrinks_to(12).gives_way(1),
    ]);
    for check in checks {
        let found = match (check.healthy, check.critical) {
            (true, _) => Line::toned("✓ good", Tone::Good),
            (false, true) => Line::toned("✗ bad", Tone::Bad),
            (false, false) => Line::toned("! bad", Tone::Warn),
        };
        let took = check.took.and_then(|took| std::time::Duration::try_from(took).ok()).map(time::show);
        table.row([
            check.name.as_str().into(),
            found,
            if check.critical { "critical" } else { "" }.into(),
            took.unwrap_or_default().into(),
            check.message.as_str().into(),
        ]);
    }
    table
}

fn providers(providers: &[SidecarProvider]) -> Table {
    let mut table = Table::new([
        Column::new("PROVIDER").shrinks_to(8),
        Column::new("SWITCH"),
        Column::new("RANK").right().gives_way(2),
        Column::new("BREAKER"),
        Column::new("SHARED").gives_way(4),
        Column::new("CALLS/S").right().gives_way(3),
        Column::new("ERRORS/S").right().gives_way(1),
    ]);
    for provider in providers {
        table.row([
            provider.name.as_str().into(),
            words::switch(provider.enabled).line(),
            provider.priority.to_string().into(),
            words::breaker_state(provider.breaker()).line(),
            if provider.shared { "yes" } else { "no" }.into(),
            words::rate(provider.calls_per_second).into(),
            words::rate(provider.errors_per_second).into(),
        ]);
    }
    table
}

fn fraction(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{:.0}%", value * 100.0))
}

#[cfg(test)]
mod tests {
    use fusebox_proto::v1::HealthStatus;

    use super::{super::fixture, *};

    #[test]
    fn one_in_full() {
        let one = fixture::sidecar("pod-2", HealthStatus::Critical);
        assert_eq!(
            fixture::text(&sidecar(&one, fixture::view(80))),
            "\
pod-2: ✗ critical; level ✓ full
  pod pod-2-abc, node node-7, zone eu-1a, version 0.1.0, up 2h, seen 1s ago,
  settings version 12
  40.0 calls/s, 3 in flight
  load: cpu 42%, memory 50%

Checks
CHECK  FOUND  WEIGHT    MESSAGE
disk   ✗ bad  critical  3% free

Providers
PROVIDER  SWITCH  RANK  BREAKER   SHARED  CALLS/S  ERRORS/S
vllm      ✓ on       0  ✓ closed  yes        40.0         0"
        );
    }

    #[test]
    fn a_list_at_a_terminals_width() {
        let all = fixture::fleet().sidecars;
        assert_eq!(
            fixture::text(&sidecars(&all, fixture::view(60))),
            "\
SIDECAR  HEALTH      LEVEL   CALLS/S  SETTINGS    SEEN
pod-1    ✓ healthy   ✓ full     40.0        12  1s ago
pod-2    ✗ critical  ✓ full     40.0        12  1s ago
pod-3    ! late      ✓ full     40.0        12  1m ago"
        );
        assert_eq!(fixture::text(&sidecars(&[], fixture::view(60))), "there are no sidecars");
    }

    #[test]
    fn one_that_is_late_says_so_first() {
        let text = fixture::text(&sidecar(&fixture::fleet().sidecars[2], fixture::view(80)));
        assert!(text.starts_with("! LATE Heartbeats are missing: this is as of 1m ago.\npod-3: "), "{text}");
    }
}
