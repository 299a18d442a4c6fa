//! A record as bytes. What a newer version has written and this one does not know is read as what is safest.

use fusebox_proto::store::{
    BreakerRecord,
    breaker_record::{Mode as WireMode, Reason as WireReason, State as WireState},
};
use fusebox_rules::{
    breaker::{Mode, State},
    fleet::{Reason, Record, Stamp},
};
use prost::Message as _;

use crate::StoreError;

/// The record's bytes, without its epoch.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    let state = match record.state {
        State::Closed => WireState::Closed,
        State::Open => WireState::Open,
        State::HalfOpen => WireState::HalfOpen,
    };
    let reason = match record.reason {
        Reason::New => WireReason::Unspecified,
        Reason::ConsecutiveFailures => WireReason::ConsecutiveFailures,
        Reason::FailureRate => WireReason::FailureRate,
        Reason::ProbeFailed => WireReason::ProbeFailed,
        Reason::Recovered => WireReason::Recovered,
        Reason::OpenExpired => WireReason::OpenExpired,
        Reason::Forced => WireReason::Forced,
    };
    let mode = match record.mode {
        Mode::Auto => WireMode::Auto,
        Mode::ForcedOpen => WireMode::ForcedOpen,
        Mode::ForcedClosed => WireMode::ForcedClosed,
    };
    let message = BreakerRecord {
        state: state.into(),
        reason: reason.into(),
        mode: mode.into(),
        since_ms: record.since.as_millis(),
        until_ms: record.until.map_or(0, Stamp::as_millis),
        failed_recoveries: record.failed_recoveries,
    };
    message.encode_to_vec()
}

/// The record of `epoch` from its bytes; none at all is one that has never moved.
///
/// # Errors
/// These are no record's bytes.
pub fn decode_record(epoch: u64, body: &[u8]) -> Result<Record, StoreError> {
    if epoch == 0 {
        return Ok(Record::default());
    }
    let message = BreakerRecord::decode(body).map_err(|error| StoreError::Protocol(format!("a record: {error}")))?;
    let state = match message.state() {
        WireState::Closed | WireState::Unspecified => State::Closed,
        WireState::Open => State::Open,
        WireState::HalfOpen => State::HalfOpen,
    };
    let reason = match message.reason() {
        WireReason::Unspecified => Reason::New,
        WireReason::ConsecutiveFailures => Reason::ConsecutiveFailures,
        WireReason::FailureRate => Reason::FailureRate,
        WireReason::ProbeFailed => Reason::ProbeFailed,
        WireReason::Recovered => Reason::Recovered,
        WireReason::OpenExpired => Reason::OpenExpired,
        WireReason::Forced => Reason::Forced,
    };
    let mode = match message.mode() {
        WireMode::Auto => Mode::Auto,
        WireMode::ForcedOpen => Mode::ForcedOpen,
        WireMode::ForcedClosed => Mode::ForcedClosed,
    };
    Ok(Record {
        epoch,
        state,
        since: Stamp::from_millis(message.since_ms),
        until: (message.until_ms > 0).then(|| Stamp::from_millis(message.until_ms)),
        reason,
        failed_recoveries: message.failed_recoveries,
        mode,
    })
}

/// The record in a hint: its epoch in digits, a space, its bytes.
///
/// # Errors
/// It is no such thing.
pub fn decode_news(payload: &[u8]) -> Result<Record, StoreError> {
    let odd = || StoreError::Protocol("a hint is no record".into());
    let space = payload.iter().position(|byte| *byte == b' ').ok_or_else(odd)?;
    let (epoch, body) = payload.split_at(space);
    let epoch = std::str::from_utf8(epoch).ok().and_then(|digits| digits.parse().ok()).ok_or_else(odd)?;
    decode_record(epoch, body.get(1..).unwrap_or_default())
}
