//! The rules' and the store's words as those that operators are told.

use fusebox_proto::{store, v1};
use fusebox_rules::{
    breaker::{Mode, State},
    degradation::Level,
    fleet::{Alert, AlertKind, Reason, Record, Stamp, settings::Word},
};
use fusebox_store::silences::Silence;
use prost_types::Timestamp;

use crate::alerts::Severity;

/// A shared time as a timestamp; `None` for the one that stands for never.
#[must_use]
pub fn timestamp(stamp: Stamp) -> Option<Timestamp> {
    let millis = stamp.as_millis();
    let seconds = i64::try_from(millis / 1_000).ok()?;
    let nanos = i32::try_from(millis % 1_000).ok()? * 1_000_000;
    (millis > 0).then_some(Timestamp { seconds, nanos })
}

/// Who set something.
#[must_use]
pub fn word(word: &Word) -> v1::Word {
    v1::Word {
        by: word.by.clone(),
        reason: word.reason.clone(),
        at: timestamp(word.at),
        expires_at: word.expires.and_then(timestamp),
    }
}

pub(super) const fn state(state: State) -> v1::BreakerState {
    match state {
        State::Closed => v1::BreakerState::Closed,
        State::Open => v1::BreakerState::Open,
        State::HalfOpen => v1::BreakerState::HalfOpen,
    }
}

pub(super) const fn stored_state(state: store::breaker_record::State) -> v1::BreakerState {
    use store::breaker_record::State as Stored;
    match state {
        Stored::Unspecified => v1::BreakerState::Unspecified,
        Stored::Closed => v1::BreakerState::Closed,
        Stored::Open => v1::BreakerState::Open,
        Stored::HalfOpen => v1::BreakerState::HalfOpen,
    }
}

pub(crate) const fn mode(mode: Mode) -> v1::BreakerMode {
    match mode {
        Mode::Auto => v1::BreakerMode::Auto,
        Mode::ForcedOpen => v1::BreakerMode::ForcedOpen,
        Mode::ForcedClosed => v1::BreakerMode::ForcedClosed,
    }
}

pub(crate) const fn level(level: Level) -> v1::DegradationLevel {
    match level {
        Level::Full => v1::DegradationLevel::Full,
        Level::Reduced => v1::DegradationLevel::Reduced,
        Level::Minimal => v1::DegradationLevel::Minimal,
    }
}

pub(super) const fn stored_level(level: store::Level) -> v1::DegradationLevel {
    match level {
        store::Level::Unspecified => v1::DegradationLevel::Unspecified,
        store::Level::Full => v1::DegradationLevel::Full,
        store::Level::Reduced => v1::DegradationLevel::Reduced,
        store::Level::Minimal => v1::DegradationLevel::Minimal,
    }
}

pub(super) const fn health(health: store::heartbeat::Health) -> v1::HealthStatus {
    use store::heartbeat::Health;
    match health {
        Health::Unspecified => v1::HealthStatus::Unspecified,
        Health::Healthy => v1::HealthStatus::Healthy,
        Health::Degraded => v1::HealthStatus::Degraded,
        Health::Critical => v1::HealthStatus::Critical,
    }
}

/// A shared breaker's record.
pub(super) fn breaker(record: &Record) -> v1::Breaker {
    let reason = match record.reason {
        Reason::New => "",
        Reason::ConsecutiveFailures => "too many failures in a row",
        Reason::FailureRate => "too large a share of calls failed",
        Reason::ProbeFailed => "a probe failed",
        Reason::Recovered => "probes succeeded",
        Reason::OpenExpired => "its time was up",
        Reason::Forced => "an operator said so",
    };
    v1::Breaker {
        state: state(record.state).into(),
        epoch: record.epoch,
        since: timestamp(record.since),
        reason: reason.to_owned(),
        half_open_at: record.until.and_then(timestamp),
        mode: mode(record.mode).into(),
    }
}

/// An alert; what became of it at channels is not known here.
pub(super) fn alert(alert: &Alert) -> v1::Alert {
    let key = &alert.condition.key;
    let figures = &alert.condition.figures;
    let kind = match key.kind {
        AlertKind::ErrorSpike => v1::AlertKind::ErrorSpike,
        AlertKind::BreakerOpened => v1::AlertKind::BreakerOpened,
        AlertKind::HealthCritical => v1::AlertKind::HealthCritical,
        AlertKind::Degraded => v1::AlertKind::Degraded,
    };
    let severity = match Severity::of(key.kind) {
        Severity::Warning => v1::Severity::Warning,
        Severity::Critical => v1::Severity::Critical,
    };
    v1::Alert {
        id: alert.id.to_string(),
        kind: kind.into(),
        severity: severity.into(),
        provider: key.provider.clone(),
        error_kind: key.error_kind.clone(),
        sidecar: key.sidecar.clone(),
        recent_rate: figures.recent,
        historical_rate: figures.historical,
        multiplier: figures.multiplier,
        raised_at: timestamp(alert.raised),
        resolved_at: alert.resolved.and_then(timestamp),
        acknowledged_at: alert.acknowledged.as_ref().and_then(|(at, _)| timestamp(*at)),
        acknowledged_by: alert.acknowledged.as_ref().map(|(_, by)| by.clone()).unwrap_or_default(),
        message: alert.condition.message.clone(),
        ..v1::Alert::default()
    }
}

/// A silence with its id.
#[must_use]
pub fn silence(Silence { id, body }: &Silence) -> v1::Silence {
    let stamp = |millis| timestamp(Stamp::from_millis(millis));
    v1::Silence {
        id: id.to_string(),
        kind: body.kind,
        provider: body.provider.clone(),
        sidecar: body.sidecar.clone(),
        word: body.word.as_ref().map(|word| v1::Word {
            by: word.by.clone(),
            reason: word.reason.clone(),
            at: stamp(word.at_ms),
            expires_at: stamp(word.expires_ms),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_same_numbers_in_the_store_and_on_the_wire() {
        use store::alert::Kind;
        for (stored, told) in [
            (Kind::Unspecified, v1::AlertKind::Unspecified),
            (Kind::ErrorSpike, v1::AlertKind::ErrorSpike),
            (Kind::BreakerOpened, v1::AlertKind::BreakerOpened),
            (Kind::HealthCritical, v1::AlertKind::HealthCritical),
            (Kind::Degraded, v1::AlertKind::Degraded),
        ] {
            assert_eq!(stored as i32, told as i32, "a silence passes its kind on as a number");
        }
    }

    #[test]
    fn a_time_that_stands_for_never_is_absent() {
        assert_eq!(timestamp(Stamp::default()), None);
        let at = timestamp(Stamp::from_millis(1_700_000_000_123));
        assert_eq!(at, Some(Timestamp { seconds: 1_700_000_000, nanos: 123_000_000 }));
    }
}
