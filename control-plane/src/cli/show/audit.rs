//! The audit log in a table.

use fusebox_proto::v1::AuditEvent;

use super::View;
use crate::cli::{
    page::{Line, Tone},
    table::{Column, Table},
    time,
};

/// Its events, as they come.
pub(crate) fn audit(events: &[AuditEvent], view: View) -> Vec<Line> {
    if events.is_empty() {
        return vec!["nothing has been changed or refused yet".into()];
    }
    let mut table = Table::new([
        Column::new("WHEN"),
        Column::new("WHO").shrinks_to(6),
        Column::new("WHAT").shrinks_to(10),
        Column::new("OUTCOME"),
        Column::new("REASON").shrinks_to(10).gives_way(1),
        Column::new("EFFECT").shrinks_to(12).gives_way(2),
        Column::new("SETTINGS").right().gives_way(4),
        Column::new("FROM").shrinks_to(8).gives_way(3),
        Column::new("REQUEST").shrinks_to(12).gives_way(5),
    ]);
    for event in events {
        let version = if event.settings_version > 0 { event.settings_version.to_string() } else { String::new() };
        table.row([
            event.at.as_ref().map(time::stamp).unwrap_or_default().into(),
            event.actor.as_str().into(),
            event.action.as_str().into(),
            outcome(&event.outcome),
            event.reason.as_str().into(),
            event.effect.as_str().into(),
            version.into(),
            event.source.as_str().into(),
            event.detail.as_str().into(),
        ]);
    }
    view.table(&table)
}

fn outcome(outcome: &str) -> Line {
    match outcome {
        "done" => Line::toned("✓ done", Tone::Good),
        "refused" => Line::toned("! refused", Tone::Warn),
        "failed" => Line::toned("✗ failed", Tone::Bad),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture, *};

    #[test]
    fn who_did_what_and_what_came_of_it_stays_on_any_terminal() {
        let events = [
            AuditEvent {
                at: fixture::at(-60),
                actor: "ana".into(),
                action: "SetProvider".into(),
                detail: "{\"name\":\"azure\",\"enabled\":false}".into(),
                reason: "incident 12".into(),
                outcome: "done".into(),
                effect: "azure is off".into(),
                source: "grpc 10.0.0.7".into(),
                settings_version: 12,
                ..AuditEvent::default()
            },
            AuditEvent {
                at: fixture::at(-90),
                actor: "bob".into(),
                action: "SetProvider".into(),
                outcome: "refused".into(),
                effect: "the role viewer may not change anything".into(),
                source: "rest 10.0.0.8".into(),
                ..AuditEvent::default()
            },
        ];
        assert_eq!(
            fixture::text(&audit(&events, fixture::view(80))),
            "\
WHEN                  WHO  WHAT         OUTCOME    REASON       EFFECT
2023-11-14 22:12:20Z  ana  SetProvider  ✓ done     incident 12  azure is off
2023-11-14 22:11:50Z  bob  SetProvider  ! refused               the role viewer…"
        );
        assert!(fixture::text(&audit(&[], fixture::view(80))).starts_with("nothing has been changed"));
    }
}
