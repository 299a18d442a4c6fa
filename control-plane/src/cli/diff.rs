//! What has changed from one picture of the fleet to the next, a line for each change.

use std::collections::BTreeMap;

use fusebox_proto::v1::{Alert, Fleet, Model, Provider, Sidecar};

use super::{
    page::{Line, Tone},
    time::Now,
    words,
};

/// More lines at once are not read: their number is told instead.
const MAX_LINES: usize = 50;

/// The changes, in the order of the page. Rates change all the time, and are none.
pub(crate) fn changes(before: &Fleet, after: &Fleet, now: Now) -> Vec<Line> {
    let mut lines = Vec::new();
    if before.stale != after.stale {
        lines.push(match after.stale {
            true => Line::toned("! STALE", Tone::Bad).text(" the shared store cannot be reached"),
            false => "the shared store is reached again".into(),
        });
    }
    if before.health != after.health {
        let line = Line::from("health: ").join(words::health(before.health()).line()).text(" → ");
        lines.push(line.join(words::health(after.health()).line()).text(because(&after.health_reason)));
    }
    if before.degradation_level != after.degradation_level || before.degradation_word != after.degradation_word {
        let line = Line::from("level: ").join(words::level(before.degradation_level()).line()).text(" → ");
        let line = line.join(words::level(after.degradation_level()).line());
        lines.push(line.text(because(&words::word(after.degradation_word.as_ref(), now))));
    }
    compare(
        &before.providers,
        &after.providers,
        |one| &one.name,
        |name, before, after| {
            provider(name, before, after, now, &mut lines);
        },
    );
    compare(
        &before.models,
        &after.models,
        |one| &one.name,
        |name, before, after| {
            model(name, before, after, &mut lines);
        },
    );
    compare(
        &before.firing_alerts,
        &after.firing_alerts,
        |one| &one.id,
        |_, before, after| {
            alert(before, after, &mut lines);
        },
    );
    compare(
        &before.sidecars,
        &after.sidecars,
        |one| &one.id,
        |id, before, after| {
            sidecar(id, before, after, &mut lines);
        },
    );
    if before.settings_version != after.settings_version {
        lines.push(format!("settings: version {}", after.settings_version).into());
    }
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(format!("and {more} more changes").into());
    }
    lines
}

/// Goes through what is on either side, by name.
fn compare<'a, T>(
    before: &'a [T],
    after: &'a [T],
    name: impl Fn(&T) -> &str,
    mut each: impl FnMut(&str, Option<&'a T>, Option<&'a T>),
) {
    let mut all: BTreeMap<String, (Option<&T>, Option<&T>)> = BTreeMap::new();
    for one in before {
        all.entry(name(one).to_owned()).or_default().0 = Some(one);
    }
    for one in after {
        all.entry(name(one).to_owned()).or_default().1 = Some(one);
    }
    for (name, (before, after)) in &all {
        each(name, *before, *after);
    }
}

fn provider(name: &str, before: Option<&Provider>, after: Option<&Provider>, now: Now, lines: &mut Vec<Line>) {
    let about = || Line::from(format!("provider {name}: "));
    let (Some(before), Some(after)) = (before, after) else {
        lines.push(about().text(if after.is_some() { "new" } else { "gone" }));
        return;
    };
    let said = |word| because(&words::word(word, now));
    if before.enabled != after.enabled {
        lines.push(about().join(words::switch(after.enabled).line()).text(said(after.enabled_word.as_ref())));
    }
    if before.priority != after.priority {
        let rank = format!("rank {} → {}", before.priority, after.priority);
        lines.push(about().text(rank).text(said(after.priority_word.as_ref())));
    }
    let (was, is) = (before.breaker.clone().unwrap_or_default(), after.breaker.clone().unwrap_or_default());
    if was.mode != is.mode || was.state != is.state {
        let why = if after.breaker_word.is_some() { said(after.breaker_word.as_ref()) } else { because(&is.reason) };
        let line = about().text("breaker ").join(words::breaker_state(was.state()).line()).text(" → ");
        lines.push(line.join(words::breaker(Some(&is), now)).text(why));
    }
    let applied = |one: &Provider| (one.sidecars_applied, one.sidecars_total);
    if applied(before) != applied(after) && before.sidecars_applied < before.sidecars_total {
        let (some, all) = applied(after);
        lines.push(about().text(format!("settings applied by {some} of {all} sidecars")));
    }
}

fn model(name: &str, before: Option<&Model>, after: Option<&Model>, lines: &mut Vec<Line>) {
    let enabled = |model: Option<&Model>| model.map(|model| model.enabled);
    if enabled(before) == enabled(after) {
        return;
    }
    let about = Line::from(format!("model {name}: "));
    lines.push(match after {
        None => about.text("gone"),
        Some(model) if model.enabled == 0 => about.and("✗ no provider may be asked", Tone::Bad),
        Some(model) => about.text(format!(
            "{} of {} may be asked",
            model.enabled,
            words::number(model.providers.len(), "provider")
        )),
    });
}

fn alert(before: Option<&Alert>, after: Option<&Alert>, lines: &mut Vec<Line>) {
    let told = |alert: &Alert, what: &str, tone| {
        Line::from("alert: ").and(what, tone).text(format!(" {} [{}]", alert.message, alert.id))
    };
    match (before, after) {
        (None, Some(alert)) => lines.push(told(alert, "✗ firing", Tone::Bad)),
        (Some(alert), None) => lines.push(told(alert, "✓ over", Tone::Good)),
        (Some(was), Some(is)) if was.acknowledged_at.is_none() && is.acknowledged_at.is_some() => {
            lines.push(told(is, &format!("acknowledged by {}:", is.acknowledged_by), Tone::Plain));
        }
        _ => {}
    }
}

fn sidecar(id: &str, before: Option<&Sidecar>, after: Option<&Sidecar>, lines: &mut Vec<Line>) {
    let about = || Line::from(format!("sidecar {id}: "));
    let (Some(before), Some(after)) = (before, after) else {
        lines.push(about().text(if after.is_some() { "joined" } else { "left" }));
        return;
    };
    if before.late != after.late {
        lines.push(about().text(if after.late { "! late: heartbeats are missing" } else { "heard of again" }));
    }
    if before.health != after.health {
        let failing: Vec<&str> =
            after.checks.iter().filter(|check| !check.healthy).map(|check| check.name.as_str()).collect();
        lines.push(about().join(words::health(after.health()).line()).text(because(&failing.join(", "))));
    }
    if before.degradation_level != after.degradation_level {
        lines.push(about().text("level ").join(words::level(after.degradation_level()).line()));
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fusebox_proto::v1::{Breaker, BreakerMode, BreakerState, HealthStatus, Word};

    use super::*;

    const NOW: Now = Now(Duration::from_secs(1_000));

    fn fleet() -> Fleet {
        Fleet {
            health: HealthStatus::Healthy.into(),
            providers: vec![Provider {
                name: "vllm".into(),
                enabled: true,
                breaker: Some(Breaker { state: BreakerState::Closed.into(), ..Breaker::default() }),
                sidecars_applied: 2,
                sidecars_total: 2,
                ..Provider::default()
            }],
            models: vec![Model { name: "chat".into(), providers: vec!["vllm".into()], enabled: 1 }],
            sidecars: vec![Sidecar { id: "pod-1".into(), health: HealthStatus::Healthy.into(), ..Sidecar::default() }],
            settings_version: 1,
            ..Fleet::default()
        }
    }

    fn told(change: impl Fn(&mut Fleet)) -> Vec<String> {
        let mut after = fleet();
        change(&mut after);
        changes(&fleet(), &after, NOW).iter().map(|line| line.show(false)).collect()
    }

    #[test]
    fn rates_are_no_change() {
        let same = told(|fleet| {
            fleet.providers[0].calls_per_second = 7.0;
            fleet.sidecars[0].in_flight = 3;
        });
        assert_eq!(same, Vec::<String>::new());
    }

    #[test]
    fn a_switch_is_told_with_its_word_and_with_how_far_it_has_got() {
        let lines = told(|fleet| {
            let provider = &mut fleet.providers[0];
            provider.enabled = false;
            provider.enabled_word = Some(Word { by: "ana".into(), reason: "incident 12".into(), ..Word::default() });
            provider.sidecars_applied = 0;
            fleet.models[0].enabled = 0;
            fleet.settings_version = 2;
        });
        assert_eq!(
            lines,
            [
                "provider vllm: - off (ana: incident 12)",
                "model chat: ✗ no provider may be asked",
                "settings: version 2"
            ]
        );
        let mut before = fleet();
        before.providers[0].sidecars_applied = 0;
        let lines = changes(&before, &fleet(), NOW);
        let lines: Vec<_> = lines.iter().map(|line| line.show(false)).collect();
        assert_eq!(lines, ["provider vllm: settings applied by 2 of 2 sidecars"]);
    }

    #[test]
    fn breakers_health_and_sidecars_are_told() {
        let lines = told(|fleet| {
            fleet.health = HealthStatus::Critical.into();
            fleet.health_reason = "all is lost".into();
            let breaker = fleet.providers[0].breaker.as_mut().unwrap();
            breaker.state = BreakerState::Open.into();
            breaker.reason = "5 failures in a row".into();
            fleet.sidecars[0].late = true;
            fleet.sidecars.push(Sidecar { id: "pod-2".into(), ..Sidecar::default() });
            fleet.stale = true;
        });
        assert_eq!(
            lines,
            [
                "! STALE the shared store cannot be reached",
                "health: ✓ healthy → ✗ critical (all is lost)",
                "provider vllm: breaker ✓ closed → ✗ open (5 failures in a row)",
                "sidecar pod-1: ! late: heartbeats are missing",
                "sidecar pod-2: joined",
            ]
        );
        let forced = told(|fleet| {
            fleet.providers[0].breaker.as_mut().unwrap().mode = BreakerMode::ForcedOpen.into();
            fleet.sidecars.clear();
            fleet.firing_alerts.push(Alert { id: "a-1".into(), message: "bad".into(), ..Alert::default() });
        });
        assert_eq!(
            forced,
            ["provider vllm: breaker ✓ closed → ✗ forced open", "alert: ✗ firing bad [a-1]", "sidecar pod-1: left"]
        );
    }

    #[test]
    fn a_flood_of_changes_is_counted_instead() {
        let lines = told(|fleet| {
            fleet.sidecars = (0..1000).map(|at| Sidecar { id: format!("s{at}"), ..Sidecar::default() }).collect();
        });
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines.last().unwrap(), "and 951 more changes");
    }
}
