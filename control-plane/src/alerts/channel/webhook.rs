//! Any webhook: what happened as JSON, under a key by which it is known again, and signed.

use bytes::Bytes;
use fusebox_rules::fleet::{Alert, Stamp};
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use serde_json::{Value, json};

use super::http::Poster;
use crate::{
    alerts::{
        Secret,
        policy::{Outcome, Severity},
        settings,
        view::timestamp,
        words::{self, Note},
    },
    telemetry,
};

const SIGNATURE: HeaderName = HeaderName::from_static("x-fusebox-signature");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const DEDUP_KEY: HeaderName = HeaderName::from_static("x-fusebox-dedup-key");

#[derive(Debug)]
pub(in crate::alerts) struct WebhookSender {
    poster: Poster,
    secret: Option<Secret>,
}

impl WebhookSender {
    pub(super) fn try_new(settings: &settings::Webhook) -> Result<Self, String> {
        let settings::Webhook { url, secret, ca_file } = settings;
        let secrets = [url].into_iter().chain(secret).cloned().collect();
        Ok(Self { poster: Poster::try_new(url, ca_file.as_deref(), secrets)?, secret: secret.clone() })
    }

    pub(super) async fn send(&self, note: &Note, now: Stamp) -> Outcome {
        let body = body(note).to_string();
        let mut headers = HeaderMap::new();
        if let Ok(key) = HeaderValue::from_str(&note.whole_key()) {
            headers.insert(DEDUP_KEY, key);
        }
        if let Some(secret) = &self.secret
            && let Ok(signature) = HeaderValue::from_str(&signature(secret, now, &body))
        {
            headers.insert(SIGNATURE, signature);
        }
        if let Some(parent) = telemetry::current().parent {
            headers.insert(TRACE_PARENT, parent);
        }
        self.poster.post(Bytes::from(body), headers, now).await
    }
}

/// `t=<unix seconds>,v1=<hex of HMAC-SHA-256 under the secret, over "<unix seconds>.<body>">`: who knows the secret sees
/// that it was sent by somebody who does too, and when.
fn signature(secret: &Secret, now: Stamp, body: &str) -> String {
    let seconds = now.as_millis() / 1_000;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mac = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", words::hex(mac.as_ref()))
}

fn body(note: &Note) -> Value {
    json!({
        "fleet": note.fleet,
        "channel": &*note.message.channel,
        "event": words::name(note.message.word),
        "kind": words::kind(note.message.kind),
        "severity": note.severity().name(),
        "headline": note.headline(),
        "dashboard": note.dashboard,
        "alerts": note.alerts().map(|one| alert(note, one)).collect::<Vec<_>>(),
    })
}

fn alert(note: &Note, alert: &Alert) -> Value {
    let (key, figures) = (&alert.condition.key, alert.condition.figures);
    let time = |at| timestamp(at).to_string();
    let acknowledged = alert.acknowledged.as_ref();
    json!({
        "id": alert.id.to_string(),
        "dedupKey": note.key(alert.id),
        "kind": words::kind(key.kind),
        "severity": Severity::of(key.kind).name(),
        "provider": key.provider,
        "errorKind": key.error_kind,
        "sidecar": key.sidecar,
        "message": alert.condition.message,
        "recentRate": figures.recent,
        "historicalRate": figures.historical,
        "multiplier": figures.multiplier,
        "raisedAt": time(alert.raised),
        "resolvedAt": alert.resolved.map(time),
        "acknowledgedAt": acknowledged.map(|(at, _)| time(*at)),
        "acknowledgedBy": acknowledged.map(|(_, by)| by),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::{
        policy::Word,
        words::fixture::{alert, note},
    };

    #[test]
    fn the_signature_is_what_others_tools_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(signature(&Secret::new("secret"), Stamp::from_millis(1_700_000_000_999), r#"{"a":1}"#), expected);
    }

    #[test]
    fn a_message_tells_all_of_each_alert() {
        let mut known = alert(8);
        known.acknowledged = Some((Stamp::from_millis(1_700_000_001_000), "ada".into()));
        let body = body(&note(Word::Raise, vec![alert(7), known]));
        assert_eq!(
            (&body["event"], &body["kind"], &body["fleet"]),
            (&json!("raised"), &json!("error_spike"), &json!("eu 1"))
        );
        assert_eq!(body["alerts"][0]["dedupKey"], "fusebox/eu%201/7");
        assert_eq!(body["alerts"][0]["acknowledgedBy"], Value::Null);
        assert_eq!(body["alerts"][1]["acknowledgedAt"], "2023-11-14T22:13:21Z");
        assert_eq!(body["alerts"][1]["message"], "a: <b> & \"errors\"");
    }
}
