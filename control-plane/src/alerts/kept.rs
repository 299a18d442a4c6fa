//! What is known of deliveries, as the store keeps it.

use std::sync::Arc;

use fusebox_proto::store::{
    AlertDeliveries, ChannelDeliveries, ChannelDelivery,
    alert::Kind,
    channel_deliveries::Group,
    channel_delivery::{Heard as WireHeard, Word as WireWord},
};
use fusebox_rules::fleet::{AlertKind, Stamp};
use fusebox_store::{
    StoreError,
    alerts::{decode_alert, encode_alert},
    silences,
};
use prost::{DecodeError, Message as _};

use super::policy::{Case, ChannelState, Heard, Silence, Told, Trying, Word};

/// An alert's record.
pub(super) fn encode_case(case: &Case) -> Vec<u8> {
    let channels = case.told.iter().map(|(name, told)| told_to_wire(name, told)).collect();
    let missing_ms = case.missing.map_or(0, Stamp::as_millis);
    AlertDeliveries { alert: encode_alert(&case.alert), channels, missing_ms }.encode_to_vec()
}

/// The record of the alert `id`; `None`: it is of a kind that only a newer version knows.
///
/// # Errors
/// These are no record's bytes.
pub(super) fn decode_case(id: u64, body: &[u8]) -> Result<Option<Case>, StoreError> {
    let AlertDeliveries { alert, channels, missing_ms } = AlertDeliveries::decode(body).map_err(odd)?;
    let Some(alert) = decode_alert(id, &alert)? else { return Ok(None) };
    let told = channels.into_iter().map(|one| (one.channel.as_str().into(), told_from_wire(&one))).collect();
    Ok(Some(Case { alert, told, missing: stamp(missing_ms), is_new: false }))
}

/// A channel's record.
pub(super) fn encode_channel(channel: &ChannelState) -> Vec<u8> {
    let groups = channel.groups.iter().map(|((kind, route), sent)| Group {
        kind: kind_to_wire(*kind).into(),
        route: *route,
        sent_ms: sent.as_millis(),
    });
    ChannelDeliveries {
        delivered_ms: channel.delivered.map_or(0, Stamp::as_millis),
        last_error: channel.last_error.clone(),
        failing_since_ms: channel.failing_since.map_or(0, Stamp::as_millis),
        groups: groups.collect(),
    }
    .encode_to_vec()
}

/// A channel's record.
///
/// # Errors
/// These are no record's bytes.
pub(super) fn decode_channel(body: &[u8]) -> Result<ChannelState, StoreError> {
    let ChannelDeliveries { delivered_ms, last_error, failing_since_ms, groups } =
        ChannelDeliveries::decode(body).map_err(odd)?;
    let group = |group: Group| {
        let kind = kind_from_wire(group.kind())?;
        Some(((kind, group.route), Stamp::from_millis(group.sent_ms)))
    };
    Ok(ChannelState {
        delivered: stamp(delivered_ms),
        last_error,
        failing_since: stamp(failing_since_ms),
        groups: groups.into_iter().filter_map(group).collect(),
        rests_until: None,
    })
}

fn told_to_wire(name: &Arc<str>, told: &Told) -> ChannelDelivery {
    let heard = match told.heard {
        Heard::Nothing => WireHeard::Unspecified,
        Heard::Raised => WireHeard::Raised,
        Heard::Acknowledged => WireHeard::Acknowledged,
        Heard::Resolved => WireHeard::Resolved,
    };
    let trying = told.trying;
    ChannelDelivery {
        channel: name.to_string(),
        heard: heard.into(),
        at_ms: told.at.as_millis(),
        raised_ms: told.raised.map_or(0, Stamp::as_millis),
        thread: told.thread.unwrap_or(0),
        attempts: told.attempts,
        trying: word_to_wire(trying.map(|trying| trying.word)).into(),
        trying_since_ms: trying.map_or(0, |trying| trying.since.as_millis()),
        next_ms: trying.map_or(0, |trying| trying.next.as_millis()),
        failed: word_to_wire(told.failed).into(),
        last_error: told.last_error.clone(),
    }
}

fn told_from_wire(wire: &ChannelDelivery) -> Told {
    let trying = word_from_wire(wire.trying()).map(|word| Trying {
        word,
        since: Stamp::from_millis(wire.trying_since_ms),
        next: Stamp::from_millis(wire.next_ms),
    });
    Told {
        heard: match wire.heard() {
            WireHeard::Unspecified => Heard::Nothing,
            WireHeard::Raised => Heard::Raised,
            WireHeard::Acknowledged => Heard::Acknowledged,
            WireHeard::Resolved => Heard::Resolved,
        },
        at: Stamp::from_millis(wire.at_ms),
        raised: stamp(wire.raised_ms),
        thread: Some(wire.thread).filter(|thread| *thread > 0),
        attempts: wire.attempts,
        trying,
        failed: word_from_wire(wire.failed()),
        last_error: wire.last_error.clone(),
    }
}

const fn word_to_wire(word: Option<Word>) -> WireWord {
    match word {
        None => WireWord::Unspecified,
        Some(Word::Raise) => WireWord::Raise,
        Some(Word::Repeat) => WireWord::Repeat,
        Some(Word::Acknowledge) => WireWord::Acknowledge,
        Some(Word::Resolve) => WireWord::Resolve,
        Some(Word::Passed) => WireWord::Passed,
    }
}

const fn word_from_wire(word: WireWord) -> Option<Word> {
    match word {
        WireWord::Unspecified => None,
        WireWord::Raise => Some(Word::Raise),
        WireWord::Repeat => Some(Word::Repeat),
        WireWord::Acknowledge => Some(Word::Acknowledge),
        WireWord::Resolve => Some(Word::Resolve),
        WireWord::Passed => Some(Word::Passed),
    }
}

const fn kind_to_wire(kind: AlertKind) -> Kind {
    match kind {
        AlertKind::ErrorSpike => Kind::ErrorSpike,
        AlertKind::BreakerOpened => Kind::BreakerOpened,
        AlertKind::HealthCritical => Kind::HealthCritical,
        AlertKind::Degraded => Kind::Degraded,
    }
}

impl Silence {
    /// One that is kept; `None`: it is about a kind that only a newer version knows, and so about nothing here.
    #[must_use]
    pub fn of(kept: &silences::Silence) -> Option<Self> {
        let silences::Silence { id, body } = kept;
        let kind = Kind::try_from(body.kind).ok()?;
        Some(Self {
            id: *id,
            kind: kind_from_wire(kind),
            provider: body.provider.clone(),
            sidecar: body.sidecar.clone(),
            until: stamp(body.word.as_ref().map_or(0, |word| word.expires_ms)),
        })
    }
}

/// `None`: unspecified, or one that only a newer version knows.
const fn kind_from_wire(kind: Kind) -> Option<AlertKind> {
    match kind {
        Kind::Unspecified => None,
        Kind::ErrorSpike => Some(AlertKind::ErrorSpike),
        Kind::BreakerOpened => Some(AlertKind::BreakerOpened),
        Kind::HealthCritical => Some(AlertKind::HealthCritical),
        Kind::Degraded => Some(AlertKind::Degraded),
    }
}

fn stamp(millis: u64) -> Option<Stamp> {
    (millis > 0).then(|| Stamp::from_millis(millis))
}

#[allow(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn odd(error: DecodeError) -> StoreError {
    StoreError::Protocol(format!("a record of deliveries: {error}"))
}

#[cfg(test)]
mod tests {
    use fusebox_rules::fleet::{Alert, Condition};

    use super::*;

    #[test]
    fn a_silence_about_a_kind_that_is_not_known_here_is_about_nothing() {
        let word = Some(fusebox_proto::store::Word { expires_ms: 9, ..Default::default() });
        let body = fusebox_proto::store::Silence { kind: 2, provider: "a".into(), sidecar: String::new(), word };
        let silence = Silence::of(&silences::Silence { id: 7, body: body.clone() }).unwrap();
        assert_eq!((silence.id, silence.kind), (7, Some(AlertKind::BreakerOpened)));
        assert_eq!((&*silence.provider, silence.until), ("a", Some(Stamp::from_millis(9))));
        let newer = fusebox_proto::store::Silence { kind: 77, ..body };
        assert_eq!(Silence::of(&silences::Silence { id: 7, body: newer }), None);
    }

    #[test]
    fn what_is_known_of_deliveries_comes_back_as_it_was() {
        let at = Stamp::from_millis;
        let alert = Alert {
            id: 7,
            condition: Condition::critical("s1", "why"),
            raised: at(5),
            resolved: Some(at(6)),
            acknowledged: Some((at(7), "ada".into())),
        };
        let tried = Told {
            heard: Heard::Raised,
            at: at(8),
            raised: Some(at(9)),
            thread: Some(3),
            attempts: 4,
            trying: Some(Trying { word: Word::Resolve, since: at(10), next: at(11) }),
            failed: None,
            last_error: "no".into(),
        };
        let failed = Told { failed: Some(Word::Passed), ..Told::default() };
        let told = [("chat".into(), tried), ("oncall".into(), failed), ("mail".into(), Told::default())].into();
        let case = Case { alert, told, missing: Some(at(12)), is_new: false };
        assert_eq!(decode_case(7, &encode_case(&case)), Ok(Some(case)));

        let channel = ChannelState {
            delivered: Some(at(1)),
            last_error: "no".into(),
            failing_since: Some(at(2)),
            groups: [((AlertKind::Degraded, 3), at(4)), ((AlertKind::ErrorSpike, u32::MAX), at(5))].into(),
            rests_until: None,
        };
        assert_eq!(decode_channel(&encode_channel(&channel)), Ok(channel));
        assert!(decode_channel(&[255]).is_err() && decode_case(7, &[255]).is_err());
    }
}
