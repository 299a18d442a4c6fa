//! A message in words that all channels share: its headline, a line for each alert, and the keys by which receivers know
//! what they have heard before.

use std::fmt::Write as _;

use fusebox_rules::fleet::{Alert, AlertKind};
use ring::digest::{SHA256, digest};

use super::{
    policy::{Message, Severity, Word},
    view::timestamp,
};

/// Of a fleet's name in a key, in bytes; what is longer stands there by its digest. PagerDuty takes 255 in all.
const MOST_NAME: usize = 180;

/// A message on its way to people.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// The fleet's name.
    pub(super) fleet: String,
    /// The dashboard's address.
    pub(super) dashboard: Option<String>,
    /// What is told.
    pub(super) message: Message,
}

impl Note {
    /// How bad all of it is.
    pub(super) const fn severity(&self) -> Severity {
        Severity::of(self.message.kind)
    }

    /// What is told, in a few words: `Firing, critical: breaker opened: openai (fleet eu)`.
    pub(super) fn headline(&self) -> String {
        let subject = match &*self.message.items {
            [item] => subject(&item.alert).to_owned(),
            items => format!("{} alerts", items.len()),
        };
        let (told, severity, kind) = (told(self.message.word), self.severity().name(), title(self.message.kind));
        format!("{told}, {severity}: {kind}: {subject} (fleet {})", self.fleet)
    }

    /// The alerts.
    pub(super) fn alerts(&self) -> impl ExactSizeIterator<Item = &Alert> {
        self.message.items.iter().map(|item| &item.alert)
    }

    /// The one key of an alert: the same on every attempt and repetition, from every replica.
    pub(super) fn key(&self, id: u64) -> String {
        format!("fusebox/{}/{id}", plain(&self.fleet))
    }

    /// What a receiver may know the whole message by: the alert's key if it is about one. Otherwise it is made of all
    /// their keys, and of what is told of them.
    pub(super) fn whole_key(&self) -> String {
        if let [item] = &*self.message.items {
            return self.key(item.alert.id);
        }
        let mut all = name(self.message.word).to_owned();
        for alert in self.alerts() {
            let _ = write!(all, " {}", alert.id);
        }
        format!("fusebox/{}/{}", plain(&self.fleet), hex(&digest(&SHA256, all.as_bytes()).as_ref()[..16]))
    }
}

/// What is told, as programs read it.
pub(super) const fn name(word: Word) -> &'static str {
    match word {
        Word::Raise => "raised",
        Word::Repeat => "repeated",
        Word::Acknowledge => "acknowledged",
        Word::Resolve => "resolved",
        Word::Passed => "passed",
    }
}

/// A kind, as programs read it.
pub(super) const fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::ErrorSpike => "error_spike",
        AlertKind::BreakerOpened => "breaker_opened",
        AlertKind::HealthCritical => "health_critical",
        AlertKind::Degraded => "degraded",
    }
}

/// What an alert is about.
pub(super) fn subject(alert: &Alert) -> &str {
    let key = &alert.condition.key;
    if key.sidecar.is_empty() { &key.provider } else { &key.sidecar }
}

/// An alert in a line: what it says, since when, and what became of it.
pub(super) fn line(alert: &Alert) -> String {
    let mut line = format!("{} (since {}", alert.condition.message, timestamp(alert.raised));
    if let Some(at) = alert.resolved {
        let _ = write!(line, ", over {}", timestamp(at));
    }
    if let Some((at, by)) = &alert.acknowledged {
        let _ = write!(line, ", acknowledged {} by {by}", timestamp(*at));
    }
    line.push(')');
    line
}

const fn told(word: Word) -> &'static str {
    match word {
        Word::Raise => "Firing",
        Word::Repeat => "Still firing",
        Word::Acknowledge => "Acknowledged",
        Word::Resolve => "Resolved",
        Word::Passed => "Came and went",
    }
}

const fn title(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::ErrorSpike => "error spike",
        AlertKind::BreakerOpened => "breaker opened",
        AlertKind::HealthCritical => "health critical",
        AlertKind::Degraded => "degraded",
    }
}

/// A name of letters, digits, `.`, `_` and `-` alone, which is the same for no other.
pub(super) fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-') {
            plain.push(char::from(byte));
        } else {
            let _ = write!(plain, "%{byte:02X}");
        }
    }
    if plain.len() > MOST_NAME {
        plain = format!("~{}", hex(digest(&SHA256, name.as_bytes()).as_ref()));
    }
    plain
}

/// Bytes as digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
pub(super) mod fixture {
    use fusebox_rules::fleet::{Alert, Condition, Figures, Stamp};

    use super::Note;
    use crate::alerts::policy::{Item, Message, Word};

    /// An alert of a spike, whose message holds what each receiver must not take for its own.
    pub(in crate::alerts) fn alert(id: u64) -> Alert {
        let figures = Figures { recent: 120.0, historical: 12.0, multiplier: 10.0 };
        let mut condition = Condition::spike("a", "timeout", figures);
        condition.message = "a: <b> & \"errors\"".to_owned();
        Alert { id, condition, raised: Stamp::from_millis(1_700_000_000_000), resolved: None, acknowledged: None }
    }

    pub(in crate::alerts) fn note(word: Word, alerts: Vec<Alert>) -> Note {
        let kind = alerts[0].condition.key.kind;
        let items = alerts.into_iter().map(|alert| Item::new(alert, Some(5), Some(Stamp::from_millis(7)))).collect();
        let message = Message { channel: "there".into(), route: 0, kind, word, items };
        Note { fleet: "eu 1".into(), dashboard: Some("https://fusebox.example/".into()), message }
    }
}

#[cfg(test)]
mod tests {
    use fusebox_rules::fleet::Stamp;

    use super::{fixture::*, *};

    #[test]
    fn a_message_says_what_happened_to_what() {
        let mut over = alert(7);
        over.resolved = Some(Stamp::from_millis(1_700_000_060_000));
        over.acknowledged = Some((Stamp::from_millis(1_700_000_030_000), "ada".into()));
        let one = note(Word::Resolve, vec![over.clone()]);
        assert_eq!(one.headline(), "Resolved, warning: error spike: a (fleet eu 1)");
        assert_eq!(note(Word::Repeat, vec![over.clone(), alert(8)]).headline(), "Still firing, warning: error spike: 2 alerts (fleet eu 1)");
        let line = line(&over);
        let (since, until) = ("since 2023-11-14T22:13:20Z", "over 2023-11-14T22:14:20Z");
        assert_eq!(line, format!("a: <b> & \"errors\" ({since}, {until}, acknowledged 2023-11-14T22:13:50Z by ada)"));
    }

    #[test]
    fn an_alert_has_one_key_whatever_is_told_and_a_message_about_several_has_its_own() {
        let key = "fusebox/eu%201/7";
        for word in [Word::Raise, Word::Repeat, Word::Resolve] {
            assert_eq!(note(word, vec![alert(7)]).whole_key(), key);
        }
        let keys = [
            note(Word::Raise, vec![alert(7), alert(8)]).whole_key(),
            note(Word::Resolve, vec![alert(7), alert(8)]).whole_key(),
            note(Word::Raise, vec![alert(7), alert(9)]).whole_key(),
        ];
        assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2], "{keys:?}");
        assert_eq!(keys[0], note(Word::Raise, vec![alert(7), alert(8)]).whole_key());
        assert!(plain(&"é".repeat(100)).len() <= MOST_NAME && plain(&"é".repeat(100)) != plain(&"é".repeat(101)));
        assert_ne!(plain("a b"), plain("a%20b"));
    }
}
