//! The fleet at a glance.

use fusebox_proto::v1::{Channel, DegradationLevel, Fleet, HealthStatus, Model};

use super::{View, alerts::alert_table, heading, providers::provider_table, sidecars::sidecar_table};
use crate::cli::{
    page::{Line, Tone},
    table::{Column, Table},
    time::{self, Now},
    words,
};

/// Rows of alerts and of sidecars that a glance takes in.
const GLANCE: usize = 10;

/// The whole page.
pub(crate) fn fleet(fleet: &Fleet, view: View) -> Vec<Line> {
    let mut lines = notices(fleet, view.now).into_iter().flat_map(|line| view.folded(line)).collect::<Vec<_>>();
    lines.extend(view.folded(headline(fleet, view.now)));
    let facts = [fleet.health_reason.clone(), traffic(fleet), totals(fleet), patterns(fleet), age(fleet, view.now)];
    for fact in facts.into_iter().filter(|fact| !fact.is_empty()) {
        lines.extend(view.folded(Line::toned("  ", Tone::Plain).text(fact)));
    }
    for channel in fleet.channels.iter().filter(|channel| !channel.last_error.is_empty()) {
        lines.extend(view.folded(failing(channel, view.now)));
    }
    let mut part = |title: Line, table: Vec<Line>| {
        lines.push(Line::new());
        lines.extend(view.folded(title));
        lines.extend(table);
    };
    if fleet.providers.is_empty() {
        part(heading("No providers: no sidecar has told of any yet"), Vec::new());
    } else {
        part(heading("Providers"), view.table(&provider_table(&fleet.providers, view.now)));
    }
    if !fleet.models.is_empty() {
        part(heading("Models"), view.table(&models(&fleet.models)));
    }
    if !fleet.firing_alerts.is_empty() {
        let (all, some) = (&fleet.firing_alerts, fleet.firing_alerts.len().min(GLANCE));
        let title = format!("{} firing{}", words::number(all.len(), "alert"), beyond(all.len(), "fusebox alerts"));
        part(heading(title), view.table(&alert_table(&all[..some], view.now)));
    }
    let (title, unwell) = unwell(fleet);
    part(title, if unwell.is_empty() { Vec::new() } else { view.table(&sidecar_table(&unwell, view.now)) });
    lines
}

/// What must be known before any of it is believed.
pub(crate) fn notices(fleet: &Fleet, now: Now) -> Vec<Line> {
    let mut notices = Vec::new();
    if fleet.stale {
        let when = fleet.at.as_ref().map_or(String::new(), |at| {
            format!(": this is as of {}, {} ago", time::stamp(at), time::short(now.since(at)))
        });
        notices.push(Line::toned("! STALE", Tone::Bad).text(format!(" The shared store cannot be reached{when}.")));
    }
    if fleet.demonstration {
        let what = " There is no shared store: this is what the control plane's own process makes up, and no fleet.";
        notices.push(Line::toned("! DEMONSTRATION", Tone::Warn).text(what));
    }
    notices
}

fn headline(fleet: &Fleet, now: Now) -> Line {
    let line = Line::toned(&fleet.name, Tone::Strong).text(": ").join(words::health(fleet.health()).line());
    let line = line.text("; level ").join(words::level(fleet.degradation_level()).line());
    match words::word(fleet.degradation_word.as_ref(), now).as_str() {
        "" if fleet.degradation_overridden => line.text(", as an operator set it"),
        "" => line,
        word => line.text(format!(", as set by {word}")),
    }
}

fn traffic(fleet: &Fleet) -> String {
    let per_second = fleet.totals.as_ref().map_or(0.0, |totals| totals.calls_per_second);
    let errors = fleet.errors.clone().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "shown to two figures")]
    let share = words::share(errors.errors_1m as f64, errors.calls_1m as f64);
    let last = format!("in the last minute {} attempts, {share} failed", words::count(errors.calls_1m));
    format!("{} calls/s; {last}", words::rate(per_second))
}

fn totals(fleet: &Fleet) -> String {
    let Some(totals) = &fleet.totals else { return String::new() };
    let mut said = format!(
        "since the sidecars began: {} calls, {} tokens in, {} out",
        words::count(totals.calls),
        words::count(totals.input_tokens),
        words::count(totals.output_tokens),
    );
    if totals.cost > 0.0 {
        said.push_str(&format!(", cost {:.2}", totals.cost));
    }
    #[allow(clippy::cast_precision_loss, reason = "shown to two figures")]
    let whole = totals.answers.values().sum::<u64>() as f64;
    let mut answers: Vec<_> = totals.answers.iter().filter(|(_, count)| **count > 0).collect();
    answers.sort_by_key(|(source, count)| (std::cmp::Reverse(**count), *source));
    #[allow(clippy::cast_precision_loss, reason = "shown to two figures")]
    let shares = answers.iter().map(|(source, count)| format!("{source} {}", words::share(**count as f64, whole)));
    let shares = shares.collect::<Vec<_>>().join(", ");
    if shares.is_empty() { said } else { format!("{said}; answers by {shares}") }
}

fn patterns(fleet: &Fleet) -> String {
    let patterns = fleet.errors.as_ref().map_or(&[][..], |errors| &errors.top_patterns);
    let told = patterns.iter().take(5).map(|one| format!("{} {}", one.pattern, words::count(one.count)));
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!("commonest errors of the hour: {told}") }
}

fn age(fleet: &Fleet, now: Now) -> String {
    format!("settings version {}, as of {}", fleet.settings_version, now.ago(fleet.at.as_ref()))
}

fn failing(channel: &Channel, now: Now) -> Line {
    let since = channel.failing_since.as_ref();
    let since = since.map_or(String::new(), |at| format!(" for {}", time::short(now.since(at))));
    let line = Line::toned("  ! alerts are not delivered", Tone::Warn);
    line.text(format!(" to {} ({}){since}: {}", channel.name, channel.kind, channel.last_error))
}

fn models(models: &[Model]) -> Table {
    let mut table = Table::new([
        Column::new("MODEL").shrinks_to(8),
        Column::new("MAY BE ASKED"),
        Column::new("PROVIDERS").shrinks_to(12).gives_way(1),
    ]);
    for model in models {
        let all = model.providers.len();
        let asked = format!("{} of {all}", model.enabled);
        let asked = match model.enabled {
            0 => Line::toned(format!("✗ {asked}"), Tone::Bad),
            enabled if usize::try_from(enabled).is_ok_and(|enabled| enabled < all) => {
                Line::toned(format!("! {asked}"), Tone::Warn)
            }
            _ => Line::toned(format!("✓ {asked}"), Tone::Good),
        };
        table.row([model.name.as_str().into(), asked, model.providers.join(", ").into()]);
    }
    table
}

/// How many sidecars are how well; and those that are not well, at a glance.
fn unwell(fleet: &Fleet) -> (Line, Vec<&fusebox_proto::v1::Sidecar>) {
    let all = &fleet.sidecars;
    let live = |health| all.iter().filter(|one| !one.late && one.health() == health).count();
    let late = all.iter().filter(|one| one.late).count();
    let mut told = vec![format!("{} healthy", live(HealthStatus::Healthy))];
    for (count, what) in [
        (live(HealthStatus::Degraded), "degraded"),
        (live(HealthStatus::Critical), "critical"),
        (live(HealthStatus::Unspecified), "unknown"),
        (late, "late"),
    ] {
        if count > 0 {
            told.push(format!("{count} {what}"));
        }
    }
    let reduced = |one: &&fusebox_proto::v1::Sidecar| {
        !matches!(one.degradation_level(), DegradationLevel::Full | DegradationLevel::Unspecified)
    };
    let reduced = all.iter().filter(|one| !one.late).filter(reduced).count();
    if reduced > 0 {
        told.push(format!("{reduced} below full level"));
    }
    let unwell: Vec<_> = all.iter().filter(|one| one.late || one.health() != HealthStatus::Healthy).collect();
    let more = beyond(unwell.len(), "fusebox sidecars");
    let title = if all.is_empty() {
        heading("No sidecars")
    } else {
        heading(format!("{}: {}{more}", words::number(all.len(), "sidecar"), told.join(", ")))
    };
    (title, unwell.into_iter().take(GLANCE).collect())
}

fn beyond(all: usize, command: &str) -> String {
    if all > GLANCE { format!("; {GLANCE} of {all} are shown, `{command}` shows all") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn the_whole_page_at_full_width() {
        assert_eq!(
            fixture::text(&fleet(&fixture::fleet(), fixture::view(None))),
            "\
north: ! degraded; level ! reduced, as set by ana for 10m more: load test
  1 of 3 live sidecars is critical: critical from 50%, degraded from 10%
  120 calls/s; in the last minute 7.2k attempts, 0.5% failed
  since the sidecars began: 1.2M calls, 45M tokens in, 6.7M out, cost 12.30; answers by provider 97%, cache 2.5%, static 0.5%
  commonest errors of the hour: rate_limited:chat 120, network_error:embed 7
  settings version 12, as of 2s ago

Providers
PROVIDER  SWITCH  RANK  BREAKER           OPEN AT  CALLS/S  ERRORS/S  APPLIED  MODELS  SET BY
vllm      ✓ on       0  ✓ closed                1      118       0.6  3/3      chat
azure     - off     10  ✗ open, 42s more        0        0         0  2/3              switch: ana for 2h more: incident 12: 模型 answers nonsense since the morning

Models
MODEL  MAY BE ASKED  PROVIDERS
chat   ! 1 of 2      vllm, azure
embed  ✗ 0 of 1      azure

1 alert firing
SEVERITY    KIND            ABOUT  RAISED  STATE   MESSAGE                                           DELIVERED                                   ID
✗ critical  breaker-opened  azure  5m ago  firing  the breaker of azure opened: 5 failures in a row  oncall ✓, slack ! pending after 3 attempts  a-1

3 sidecars: 1 healthy, 1 critical, 1 late
SIDECAR  HEALTH      LEVEL   CALLS/S  IN FLIGHT  CPU  MEMORY  SETTINGS    SEEN  NODE    ZONE   VERSION
pod-2    ✗ critical  ✓ full     40.0          3  42%     50%        12  1s ago  node-7  eu-1a  0.1.0
pod-3    ! late      ✓ full     40.0          3  42%     50%        12  1m ago  node-7  eu-1a  0.1.0"
        );
    }

    #[test]
    fn on_a_terminal_of_eighty_columns_what_matters_stays() {
        let lines = fleet(&fixture::fleet(), fixture::view(80));
        assert!(lines.iter().all(|line| line.width() <= 80));
        let text = fixture::text(&lines);
        for right in
            ["! degraded", "✗ open, 42s more", "- off", "✗ 0 of 1", "the breaker of azure", "✗ critical", "! late"]
        {
            assert!(text.contains(right), "{right} in\n{text}");
        }
    }

    #[test]
    fn no_line_is_wider_than_any_terminal() {
        for width in 1..200 {
            for line in fleet(&fixture::fleet(), fixture::view(width)) {
                assert!(line.width() <= width, "{width}: {}", line.show(false));
            }
        }
    }

    #[test]
    fn stale_and_made_up_pictures_are_called_that_first() {
        let mut picture = fixture::fleet();
        (picture.stale, picture.demonstration, picture.at) = (true, true, fixture::at(-180));
        let text = fixture::text(&fleet(&picture, fixture::view(None)));
        assert!(
            text.starts_with(
                "! STALE The shared store cannot be reached: this is as of 2023-11-14 22:10:20Z, 3m ago.\n\
                 ! DEMONSTRATION There is no shared store: "
            ),
            "{text}"
        );
    }

    #[test]
    fn an_empty_fleet_says_that_it_is_empty() {
        let text = fixture::text(&fleet(&Fleet { name: "new".into(), ..Fleet::default() }, fixture::view(80)));
        assert_eq!(
            text,
            "new: ? unknown; level ? unknown\n  0 calls/s; in the last minute 0 attempts, - failed\n  \
             settings version 0, as of never\n\nNo providers: no sidecar has told of any yet\n\nNo sidecars"
        );
    }

    #[test]
    fn a_channel_that_fails_is_told_of() {
        let mut picture = fixture::fleet();
        picture.channels = vec![Channel {
            name: "oncall".into(),
            kind: "pagerduty".into(),
            last_error: "status 403".into(),
            failing_since: fixture::at(-600),
            ..Channel::default()
        }];
        let text = fixture::text(&fleet(&picture, fixture::view(None)));
        assert!(text.contains("\n  ! alerts are not delivered to oncall (pagerduty) for 10m: status 403\n"), "{text}");
    }
}
