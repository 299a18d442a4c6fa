//! Alerts and silences in tables, and an alert in a line.

use fusebox_proto::v1::{Alert, Silence};

use super::View;
use crate::cli::{
    page::{Line, Tone},
    table::{Column, Table},
    time::{self, Now},
    words,
};

/// All of them.
pub(crate) fn alerts(alerts: &[Alert], view: View) -> Vec<Line> {
    if alerts.is_empty() {
        return vec!["no alerts".into()];
    }
    view.table(&alert_table(alerts, view.now))
}

pub(super) fn alert_table(alerts: &[Alert], now: Now) -> Table {
    let mut table = Table::new([
        Column::new("SEVERITY"),
        Column::new("KIND").gives_way(3),
        Column::new("ABOUT").shrinks_to(6).gives_way(2),
        Column::new("RAISED").right().gives_way(1),
        Column::new("STATE").shrinks_to(8),
        Column::new("MESSAGE").shrinks_to(20),
        Column::new("DELIVERED").shrinks_to(10).gives_way(4),
        Column::new("ID"),
    ]);
    for alert in alerts {
        table.row([
            words::severity(alert.severity()).line(),
            words::alert_kind(alert.kind()).into(),
            about(alert).into(),
            now.ago(alert.raised_at.as_ref()).into(),
            state(alert, now),
            alert.message.as_str().into(),
            delivered(alert),
            alert.id.as_str().into(),
        ]);
    }
    table
}

/// One, in a line that says when it was told.
pub(crate) fn alert_line(alert: &Alert, now: Now) -> Line {
    let when = [&alert.resolved_at, &alert.acknowledged_at, &alert.raised_at].into_iter().flatten();
    let when = when.max_by_key(|at| (at.seconds, at.nanos)).map_or(String::new(), |at| format!("{} ", time::stamp(at)));
    let line = Line::toned(when, Tone::Dim).join(words::severity(alert.severity()).line()).text(" ");
    let line = line.join(state(alert, now)).text(format!(" {}", words::alert_kind(alert.kind())));
    let about = about(alert);
    let about = if about.is_empty() { about } else { format!(" {about}") };
    line.text(format!("{about}: {} [{}]", alert.message, alert.id))
}

/// All of them.
pub(crate) fn silences(silences: &[Silence], view: View) -> Vec<Line> {
    if silences.is_empty() {
        return vec!["no silences".into()];
    }
    let mut table = Table::new([
        Column::new("KIND"),
        Column::new("PROVIDER").shrinks_to(8),
        Column::new("SIDECAR").shrinks_to(8),
        Column::new("ENDS").right(),
        Column::new("BY").shrinks_to(6).gives_way(1),
        Column::new("REASON").shrinks_to(12).gives_way(2),
        Column::new("ID"),
    ]);
    for silence in silences {
        let word = silence.word.clone().unwrap_or_default();
        let ends = word.expires_at.as_ref().map(|at| format!("in {}", time::short(view.now.until(at))));
        table.row([
            words::alert_kind(silence.kind()).into(),
            any(&silence.provider).into(),
            any(&silence.sidecar).into(),
            ends.unwrap_or_else(|| "never".to_owned()).into(),
            word.by.into(),
            word.reason.into(),
            silence.id.as_str().into(),
        ]);
    }
    view.table(&table)
}

fn about(alert: &Alert) -> String {
    let parts = [&alert.provider, &alert.sidecar, &alert.error_kind];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(" ")
}

fn state(alert: &Alert, now: Now) -> Line {
    if let Some(at) = &alert.resolved_at {
        return Line::toned(format!("resolved {} ago", time::short(now.since(at))), Tone::Good);
    }
    let state = match alert.acknowledged_at {
        Some(_) if alert.acknowledged_by.is_empty() => "acknowledged".to_owned(),
        Some(_) => format!("acknowledged by {}", alert.acknowledged_by),
        None => "firing".to_owned(),
    };
    let tone = if alert.acknowledged_at.is_some() { Tone::Plain } else { Tone::Bad };
    let silenced = if alert.silence.is_empty() { "" } else { ", silenced" };
    Line::toned(format!("{state}{silenced}"), tone)
}

fn delivered(alert: &Alert) -> Line {
    let mut line = Line::new();
    for (at, delivery) in alert.deliveries.iter().enumerate() {
        line = line.text(if at == 0 { "" } else { ", " }).text(format!("{} ", delivery.channel));
        line = match delivery.state.as_str() {
            "delivered" => line.and("✓", Tone::Good),
            "failed" => line.and(format!("✗ failed: {}", delivery.last_error), Tone::Bad),
            state if delivery.attempts > 0 => line
                .and(format!("! {state} after {}", words::number(delivery.attempts as usize, "attempt")), Tone::Warn),
            state => line.text(state),
        };
    }
    line
}

fn any(name: &str) -> &str {
    if name.is_empty() { "any" } else { name }
}

#[cfg(test)]
mod tests {
    use fusebox_proto::v1::AlertKind;

    use super::{super::fixture, *};

    #[test]
    fn an_alert_keeps_its_message_and_its_id_on_a_narrow_terminal() {
        let one = [fixture::alert()];
        assert_eq!(
            fixture::text(&alerts(&one, fixture::view(80))),
            "\
SEVERITY    KIND            ABOUT  RAISED  STATE   MESSAGE                   ID
✗ critical  breaker-opened  azure  5m ago  firing  the breaker of azure op…  a-1"
        );
        assert_eq!(
            fixture::text(&alerts(&one, fixture::view(48))),
            "\
SEVERITY    STATE   MESSAGE                  ID
✗ critical  firing  the breaker of azure o…  a-1"
        );
        assert_eq!(fixture::text(&alerts(&[], fixture::view(80))), "no alerts");
    }

    #[test]
    fn a_line_tells_what_has_become_of_an_alert() {
        let mut alert = fixture::alert();
        let line = |alert: &Alert| alert_line(alert, fixture::view(None).now).show(false);
        assert_eq!(
            line(&alert),
            "2023-11-14 22:08:20Z ✗ critical firing breaker-opened azure: the breaker of azure opened: \
             5 failures in a row [a-1]"
        );
        (alert.acknowledged_at, alert.acknowledged_by) = (fixture::at(-100), "ana".into());
        alert.silence = "s-1".into();
        assert!(
            line(&alert).starts_with("2023-11-14 22:11:40Z ✗ critical acknowledged by ana, silenced breaker-opened")
        );
        alert.resolved_at = fixture::at(-60);
        assert!(line(&alert).starts_with("2023-11-14 22:12:20Z ✗ critical resolved 1m ago breaker-opened"));
    }

    #[test]
    fn a_silence_says_what_it_matches_and_when_it_ends() {
        let one = Silence {
            id: "s-1".into(),
            kind: AlertKind::ErrorSpike.into(),
            provider: "azure".into(),
            word: fixture::word("migration", Some(5400)),
            ..Silence::default()
        };
        assert_eq!(
            fixture::text(&silences(&[one], fixture::view(80))),
            "\
KIND         PROVIDER  SIDECAR   ENDS  BY   REASON     ID
error-spike  azure     any      in 1h  ana  migration  s-1"
        );
    }
}
