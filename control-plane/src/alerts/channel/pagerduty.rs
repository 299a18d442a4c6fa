//! PagerDuty's Events API v2: an event for each alert, under its key. What it is told of a key that it knows, it takes for
//! the same incident.

use bytes::Bytes;
use fusebox_rules::fleet::{Alert, Stamp};
use http::HeaderMap;
use serde_json::{Value, json};

use super::http::Poster;
use crate::alerts::{
    Secret,
    policy::{Outcome, Word},
    settings,
    view::timestamp,
    words::{Note, kind, line, subject},
};

/// Letters of a summary. PagerDuty takes 1,024.
const MOST_SUMMARY: usize = 1_024;

#[derive(Debug)]
pub(in crate::alerts) struct PagerDutySender {
    poster: Poster,
    routing_key: Secret,
}

impl PagerDutySender {
    pub(super) fn try_new(settings: &settings::PagerDuty) -> Result<Self, String> {
        let routing_key = settings.routing_key.clone();
        let url = Secret::new(settings.url.as_str());
        Ok(Self { poster: Poster::try_new(&url, None, vec![routing_key.clone()])?, routing_key })
    }

    /// Tells of a message's first alert; messages to such a channel have one.
    pub(super) async fn send(&self, note: &Note, now: Stamp) -> Outcome {
        let Some(alert) = note.alerts().next() else { return Outcome::Delivered };
        let event = event(self.routing_key.reveal(), note, alert);
        self.poster.post(Bytes::from(event.to_string()), HeaderMap::new(), now).await
    }
}

fn event(routing_key: &str, note: &Note, alert: &Alert) -> Value {
    let action = match note.message.word {
        Word::Raise | Word::Repeat => "trigger",
        Word::Acknowledge => "acknowledge",
        Word::Resolve | Word::Passed => "resolve",
    };
    let mut event = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": note.key(alert.id),
    });
    if action == "trigger" {
        event["payload"] = payload(note, alert);
        event["client"] = json!(format!("Fusebox ({})", note.fleet));
        if let Some(dashboard) = &note.dashboard {
            event["client_url"] = json!(dashboard);
        }
    }
    event
}

fn payload(note: &Note, alert: &Alert) -> Value {
    let (key, figures) = (&alert.condition.key, alert.condition.figures);
    let summary: String = format!("{}: {}", note.fleet, line(alert)).chars().take(MOST_SUMMARY).collect();
    json!({
        "summary": summary,
        "source": subject(alert),
        "severity": note.severity().name(),
        "timestamp": timestamp(alert.raised).to_string(),
        "component": "fusebox",
        "group": note.fleet,
        "class": kind(key.kind),
        "custom_details": {
            "fleet": note.fleet,
            "alert": alert.id.to_string(),
            "provider": key.provider,
            "sidecar": key.sidecar,
            "error_kind": key.error_kind,
            "recent_rate_per_minute": figures.recent,
            "historical_rate_per_minute": figures.historical,
            "multiplier": figures.multiplier,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::words::fixture::{alert, note};

    #[test]
    fn an_alert_is_one_incident_whatever_is_told_of_it() {
        let told = |word| event("key", &note(word, vec![alert(7)]), &alert(7));
        for (word, action) in [
            (Word::Raise, "trigger"),
            (Word::Repeat, "trigger"),
            (Word::Acknowledge, "acknowledge"),
            (Word::Resolve, "resolve"),
        ] {
            let event = told(word);
            assert_eq!(event["event_action"], action);
            assert_eq!((&event["dedup_key"], &event["routing_key"]), (&json!("fusebox/eu%201/7"), &json!("key")));
            assert_eq!(event.get("payload").is_some(), action == "trigger");
        }
        let payload = &told(Word::Raise)["payload"];
        assert_eq!(payload["severity"], "warning");
        assert_eq!(payload["source"], "a");
        assert_eq!(payload["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(payload["custom_details"]["recent_rate_per_minute"], 120.0);
    }

    #[test]
    fn a_long_message_is_cut_where_pagerduty_would_refuse_it() {
        let mut long = alert(7);
        long.condition.message = "é".repeat(4_000);
        let event = event("key", &note(Word::Raise, vec![long.clone()]), &long);
        assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
    }
}
