//! An alert as bytes. What becomes of it is added behind them: a later field of a message takes an earlier one's place.

use fusebox_proto::store::{Alert as Body, alert::Kind};
use fusebox_rules::fleet::{Alert, AlertKey, AlertKind, Condition, Figures, Stamp};
use prost::Message as _;

use crate::StoreError;

/// The alert's bytes, without its id.
#[must_use]
pub fn encode_alert(alert: &Alert) -> Vec<u8> {
    let Alert { id: _, condition, raised, resolved, acknowledged } = alert;
    let Figures { recent, historical, multiplier } = condition.figures;
    let body = Body {
        recent_rate: recent,
        historical_rate: historical,
        multiplier,
        message: condition.message.clone(),
        raised_ms: raised.as_millis(),
        ..key_to_wire(&condition.key)
    };
    let mut bytes = body.encode_to_vec();
    bytes.extend(resolved.map(encode_resolved).unwrap_or_default());
    bytes.extend(acknowledged.as_ref().map(|(at, by)| encode_acknowledged(*at, by)).unwrap_or_default());
    bytes
}

/// The alert `id` from its bytes; `None`: it is of a kind that only a newer version knows.
///
/// # Errors
/// These are no alert's bytes.
pub fn decode_alert(id: u64, body: &[u8]) -> Result<Option<Alert>, StoreError> {
    let body = Body::decode(body).map_err(|error| StoreError::Protocol(format!("an alert: {error}")))?;
    let kind = match body.kind() {
        Kind::Unspecified => return Ok(None),
        Kind::ErrorSpike => AlertKind::ErrorSpike,
        Kind::BreakerOpened => AlertKind::BreakerOpened,
        Kind::HealthCritical => AlertKind::HealthCritical,
        Kind::Degraded => AlertKind::Degraded,
    };
    let stamp = |millis| (millis > 0).then(|| Stamp::from_millis(millis));
    let key = AlertKey { kind, provider: body.provider, error_kind: body.error_kind, sidecar: body.sidecar };
    let figures = Figures { recent: body.recent_rate, historical: body.historical_rate, multiplier: body.multiplier };
    Ok(Some(Alert {
        id,
        condition: Condition { key, figures, message: body.message },
        raised: Stamp::from_millis(body.raised_ms),
        resolved: stamp(body.resolved_ms),
        acknowledged: stamp(body.acknowledged_ms).map(|at| (at, body.acknowledged_by)),
    }))
}

/// What is added to an alert that is over.
pub(super) fn encode_resolved(at: Stamp) -> Vec<u8> {
    Body { resolved_ms: at.as_millis().max(1), ..Body::default() }.encode_to_vec()
}

/// What is added to an alert of which somebody knows.
pub(super) fn encode_acknowledged(at: Stamp, by: &str) -> Vec<u8> {
    let acknowledged_ms = at.as_millis().max(1);
    Body { acknowledged_ms, acknowledged_by: by.to_owned(), ..Body::default() }.encode_to_vec()
}

/// A key as bytes, in which no name can be taken for part of another.
pub(super) fn encode_key(key: &AlertKey) -> Vec<u8> {
    key_to_wire(key).encode_to_vec()
}

fn key_to_wire(key: &AlertKey) -> Body {
    let kind = match key.kind {
        AlertKind::ErrorSpike => Kind::ErrorSpike,
        AlertKind::BreakerOpened => Kind::BreakerOpened,
        AlertKind::HealthCritical => Kind::HealthCritical,
        AlertKind::Degraded => Kind::Degraded,
    };
    Body {
        kind: kind.into(),
        provider: key.provider.clone(),
        error_kind: key.error_kind.clone(),
        sidecar: key.sidecar.clone(),
        ..Body::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_comes_back_as_it_was_with_what_became_of_it() {
        let figures = Figures { recent: 120.0, historical: 11.5, multiplier: 10.4 };
        let alert = Alert {
            id: 7,
            condition: Condition::spike("a", "provider_error", figures),
            raised: Stamp::from_millis(5),
            resolved: None,
            acknowledged: None,
        };
        let bytes = encode_alert(&alert);
        assert_eq!(decode_alert(7, &bytes), Ok(Some(alert.clone())));
        let added = [bytes, encode_acknowledged(Stamp::from_millis(8), "ada"), encode_resolved(Stamp::from_millis(9))];
        let became = Alert {
            resolved: Some(Stamp::from_millis(9)),
            acknowledged: Some((Stamp::from_millis(8), "ada".into())),
            ..alert
        };
        assert_eq!(decode_alert(7, &added.concat()), Ok(Some(became.clone())));
        assert_eq!(decode_alert(7, &encode_alert(&became)), Ok(Some(became)));
    }

    #[test]
    fn a_kind_that_is_not_known_here_is_passed_over() {
        let body = Body { kind: 77, ..Body::default() };
        assert_eq!(decode_alert(7, &body.encode_to_vec()), Ok(None));
        assert!(decode_alert(7, &[255]).is_err());
    }
}
