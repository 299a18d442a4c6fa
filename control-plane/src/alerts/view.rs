//! How deliveries go, as each replica shows it: whoever leads from what it does, the others from what the store keeps.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use fusebox_proto::v1;
use fusebox_rules::fleet::Stamp;
use fusebox_store::delivery::{Name, Record};
use parking_lot::RwLock;

use super::{
    kept::{decode_case, decode_channel},
    policy::{Became, Case, ChannelState, Heard, Told, Word},
    settings::Settings,
};

/// What is shown.
#[derive(Debug, Default)]
pub struct Deliveries(RwLock<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// Name and kind, in the configuration's order.
    configured: Vec<(Arc<str>, &'static str)>,
    channels: BTreeMap<Arc<str>, ChannelState>,
    /// By the alert's id.
    alerts: BTreeMap<u64, Vec<v1::Delivery>>,
    /// What this replica did since it began, by the channel's name.
    done: BTreeMap<Arc<str>, Done>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Done {
    delivered: u64,
    tried_again: u64,
    failed: u64,
}

/// How many deliveries there were to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// The channel's name.
    pub channel: Arc<str>,
    /// What it is: slack, pagerduty, email or webhook.
    pub kind: &'static str,
    /// Messages that the receiver said yes to, of those that this replica sent since it began.
    pub delivered: u64,
    /// Attempts of this replica that are followed by another.
    pub tried_again: u64,
    /// Messages that this replica gave up.
    pub failed: u64,
    /// Alerts of which the fleet's replicas have something to tell the receiver.
    pub pending: u64,
}

impl Deliveries {
    /// Where alerts are sent and how that goes, in the configuration's order.
    #[must_use]
    pub fn channels(&self) -> Vec<v1::Channel> {
        let shown = self.0.read();
        let channel = |(name, kind): &(Arc<str>, &str)| {
            let state = shown.channels.get(name);
            v1::Channel {
                name: name.to_string(),
                kind: (*kind).to_owned(),
                pending: u32::try_from(shown.pending(name)).unwrap_or(u32::MAX),
                delivered_at: state.and_then(|state| state.delivered).map(timestamp),
                last_error: state.map(|state| state.last_error.clone()).unwrap_or_default(),
                failing_since: state.and_then(|state| state.failing_since).map(timestamp),
            }
        };
        shown.configured.iter().map(channel).collect()
    }

    /// What became of the alert `id` at each channel that is told of it; empty: nobody is, or it is long over.
    #[must_use]
    pub fn of_alert(&self, id: u64) -> Vec<v1::Delivery> {
        self.0.read().alerts.get(&id).cloned().unwrap_or_default()
    }

    /// For metrics, in the configuration's order.
    #[must_use]
    pub fn counts(&self) -> Vec<Counts> {
        let shown = self.0.read();
        let counts = |(channel, kind): &(Arc<str>, &'static str)| {
            let Done { delivered, tried_again, failed } = shown.done.get(channel).copied().unwrap_or_default();
            let pending = shown.pending(channel);
            Counts { channel: Arc::clone(channel), kind, delivered, tried_again, failed, pending }
        };
        shown.configured.iter().map(counts).collect()
    }

    pub(super) fn configure(&self, settings: &Settings) {
        let mut shown = self.0.write();
        let configured = settings.channels.iter().map(|channel| (Arc::clone(&channel.name), channel.kind.name()));
        shown.configured = configured.collect();
        shown.done.retain(|name, _| settings.channel(name).is_some());
    }

    pub(super) fn count(&self, channel: &Arc<str>, became: Became) {
        let mut shown = self.0.write();
        let done = shown.done.entry(Arc::clone(channel)).or_default();
        match became {
            Became::Delivered => done.delivered += 1,
            Became::TriedAgain => done.tried_again += 1,
            Became::Failed => done.failed += 1,
        }
    }

    /// A record as it is kept now. What cannot be read is not shown.
    pub(super) fn put(&self, record: &Record) {
        let mut shown = self.0.write();
        match &record.name {
            Name::Alert(id) => match decode_case(*id, &record.body) {
                Ok(Some(case)) => drop(shown.alerts.insert(*id, deliveries(&case))),
                Ok(None) | Err(_) => drop(shown.alerts.remove(id)),
            },
            Name::Channel(name) => {
                if let Ok(state) = decode_channel(&record.body) {
                    shown.channels.insert(name.as_str().into(), state);
                }
            }
        }
    }

    /// A record is kept no longer.
    pub(super) fn forget(&self, name: &Name) {
        let mut shown = self.0.write();
        match name {
            Name::Alert(id) => drop(shown.alerts.remove(id)),
            Name::Channel(name) => drop(shown.channels.remove(&**name)),
        }
    }

    /// Nothing is known any more.
    pub(super) fn clear(&self) {
        let mut shown = self.0.write();
        shown.alerts.clear();
        shown.channels.clear();
    }
}

impl Shown {
    fn pending(&self, channel: &str) -> u64 {
        let pending = |one: &&v1::Delivery| one.channel == channel && one.state == State::Pending.name();
        self.alerts.values().flatten().filter(pending).count() as u64
    }
}

/// What a delivery is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Delivered,
    Failed,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    fn of(case: &Case, told: &Told) -> Self {
        let over = case.alert.resolved.is_some();
        match (told.heard, told.failed) {
            (Heard::Resolved, _) => Self::Delivered,
            // A repetition that was given up does not keep the end from being told.
            (Heard::Raised | Heard::Acknowledged, failed) if over && failed != Some(Word::Resolve) => Self::Pending,
            (_, Some(_)) => Self::Failed,
            (Heard::Nothing, None) => Self::Pending,
            // A repetition that is tried is not, once somebody knows.
            (_, None) => match told.trying {
                Some(trying) if trying.word != Word::Repeat || case.alert.acknowledged.is_none() => Self::Pending,
                _ => Self::Delivered,
            },
        }
    }
}

fn deliveries(case: &Case) -> Vec<v1::Delivery> {
    let delivery = |(name, told): (&Arc<str>, &Told)| v1::Delivery {
        channel: name.to_string(),
        state: State::of(case, told).name().to_owned(),
        attempts: told.attempts,
        last_error: told.last_error.clone(),
        at: Some(timestamp(told.at)),
    };
    case.told.iter().map(delivery).collect()
}

/// As the wire has it.
pub(super) fn timestamp(at: Stamp) -> prost_types::Timestamp {
    (SystemTime::UNIX_EPOCH + Duration::from_millis(at.as_millis())).into()
}

#[cfg(test)]
mod tests {
    use fusebox_rules::fleet::{Alert, Condition};

    use super::*;
    use crate::alerts::{
        kept::encode_case,
        policy::Trying,
        settings::{Channel, ChannelKind, Slack},
    };

    #[test]
    fn a_delivery_is_shown_as_what_it_is() {
        let alert = |over: bool, known: bool| Alert {
            id: 7,
            condition: Condition::critical("s1", "why"),
            raised: Stamp::default(),
            resolved: over.then_some(Stamp::from_millis(9)),
            acknowledged: known.then(|| (Stamp::from_millis(9), "ada".into())),
        };
        let trying = |word| Some(Trying { word, since: Stamp::default(), next: Stamp::default() });
        for (over, known, heard, failed, trying, shown) in [
            (false, false, Heard::Nothing, None, None, "pending"),
            (false, false, Heard::Nothing, Some(Word::Raise), None, "failed"),
            (false, false, Heard::Raised, None, None, "delivered"),
            (false, false, Heard::Raised, None, trying(Word::Repeat), "pending"),
            (false, true, Heard::Raised, None, trying(Word::Repeat), "delivered"),
            (false, true, Heard::Raised, None, trying(Word::Acknowledge), "pending"),
            (false, false, Heard::Raised, Some(Word::Repeat), None, "failed"),
            (true, false, Heard::Raised, Some(Word::Repeat), None, "pending"),
            (true, false, Heard::Raised, Some(Word::Resolve), None, "failed"),
            (true, false, Heard::Nothing, None, None, "pending"),
            (true, false, Heard::Nothing, Some(Word::Passed), None, "failed"),
            (true, false, Heard::Resolved, None, None, "delivered"),
        ] {
            let told = [("chat".into(), Told { heard, failed, trying, attempts: 2, ..Told::default() })].into();
            let case = Case { alert: alert(over, known), told, missing: None, is_new: false };
            let deliveries = Deliveries::default();
            let slack = ChannelKind::Slack(Slack { url: crate::alerts::Secret::new("") });
            let channels = vec![Channel { name: "chat".into(), kind: slack }];
            deliveries.configure(&Settings { channels, ..Settings::default() });
            deliveries.put(&Record { name: Name::Alert(7), body: encode_case(&case) });
            let of_alert = deliveries.of_alert(7);
            assert_eq!((of_alert.len(), of_alert[0].state.as_str(), of_alert[0].attempts), (1, shown, 2), "{case:?}");
            assert_eq!(deliveries.channels()[0].pending, u32::from(shown == "pending"));
            assert_eq!(deliveries.counts()[0].pending, u64::from(shown == "pending"));
            deliveries.forget(&Name::Alert(7));
            assert_eq!(deliveries.of_alert(7), []);
        }
    }
}
