//! An error as gRPC tells it: the table's code, google.rpc's details, and what keeps retries from stacking.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use fusebox_proto::v1;
use http::header::WWW_AUTHENTICATE;
use prost::Message;
use prost_types::Any;
use tonic::{
    Code, Status,
    metadata::{Ascii, MetadataMap, MetadataValue},
};
use tonic_types::pb::{self, bad_request::FieldViolation};

use super::outcome;
use crate::{
    call::{Refused, correlation, outcome::Outcome},
    doors::caller,
    error::{ErrorKind, Failure, FieldFault},
    telemetry,
};

const DOMAIN: &str = "fusebox";
/// gRPC's own word to clients: the wait before a retry in milliseconds, or a negative number for "do not".
const PUSHBACK: &str = "grpc-retry-pushback-ms";

// Details travel in a trailer, and clients give up on trailers of more than 8 KiB; base64 adds a third.
const MAX_MESSAGE_BYTES: usize = 512;
const MAX_FACT_BYTES: usize = 160;
const MAX_WORDS_BYTES: usize = 512;
const MAX_FACTS: usize = 6;
const MAX_VIOLATIONS_BYTES: usize = 1280;
const MAX_OUTCOME_BYTES: usize = 1280;

/// What a call that was not answered is told.
pub(super) fn refused(refused: &Refused) -> Status {
    let failure = &refused.failure;
    let code = Code::from_i32(failure.kind.row().grpc as i32);
    status(code, failure, &refused.outcome)
}

/// What a call that no provider was asked for is told.
pub(super) fn unasked(failure: &Failure, correlation_id: &Arc<str>) -> Status {
    unasked_as(Code::from_i32(failure.kind.row().grpc as i32), failure, correlation_id)
}

/// The same, under a code of the gRPC library's choice.
pub(super) fn unasked_as(code: Code, failure: &Failure, correlation_id: &Arc<str>) -> Status {
    status(code, failure, &Outcome::untried(correlation_id))
}

/// What an error of the library's own means here. It gives up only on requests: too large, cut short, not protobuf,
/// or for no method.
pub(super) fn cause_of(bare: &Status) -> Failure {
    let kind = match bare.code() {
        Code::Cancelled | Code::Unknown | Code::Unavailable => ErrorKind::Cancelled,
        _ => ErrorKind::InvalidInput,
    };
    Failure::new(kind, bare.message())
}

fn status(code: Code, failure: &Failure, how: &Outcome) -> Status {
    let message = cut(&failure.message, MAX_MESSAGE_BYTES);
    let mut details = vec![any("google.rpc.ErrorInfo", &error_info(failure, how))];
    if let Some(wait) = failure.wait {
        details.push(any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay: Some(outcome::duration(wait)) }));
    }
    if !failure.fields.is_empty() {
        details.push(any("google.rpc.BadRequest", &bad_request(&failure.fields)));
    }
    details.push(any("fusebox.v1.Outcome", &short_outcome(how)));
    let rpc = pb::Status { code: code.into(), message: message.to_owned(), details };
    Status::with_details_and_metadata(code, message, Bytes::from(rpc.encode_to_vec()), metadata(failure, how))
}

fn error_info(failure: &Failure, how: &Outcome) -> pb::ErrorInfo {
    let row = failure.kind.row();
    let facts = failure.details.iter().take(MAX_FACTS);
    let mut metadata: HashMap<String, String> =
        facts.map(|(name, value)| ((*name).to_owned(), cut(value, MAX_FACT_BYTES).to_owned())).collect();
    metadata.insert("correlation_id".to_owned(), how.correlation_id.to_string());
    metadata.insert("retryable".to_owned(), row.retryable.to_string());
    if let Some(words) = failure.inside.as_deref().filter(|_| telemetry::tells_raw_words()) {
        metadata.insert(caller::RAW_WORDS.to_owned(), cut(words, MAX_WORDS_BYTES).to_owned());
    }
    if let Some(provider) = &failure.provider {
        metadata.insert("provider".to_owned(), cut(provider, MAX_FACT_BYTES).to_owned());
    }
    pb::ErrorInfo { reason: row.name.to_ascii_uppercase(), domain: DOMAIN.to_owned(), metadata }
}

/// As many faults as fit, and how many do not.
fn bad_request(faults: &[FieldFault]) -> pb::BadRequest {
    let violation = |fault: &FieldFault| FieldViolation {
        field: cut(&fault.path, MAX_FACT_BYTES).to_owned(),
        description: cut(&fault.message, MAX_FACT_BYTES).to_owned(),
        ..FieldViolation::default()
    };
    let mut told = pb::BadRequest::default();
    let mut bytes = 0;
    for fault in faults {
        let next = violation(fault);
        bytes += next.encoded_len();
        if bytes > MAX_VIOLATIONS_BYTES {
            let left = faults.len() - told.field_violations.len();
            let description = format!("{left} more faults are not listed");
            told.field_violations.push(FieldViolation { description, ..FieldViolation::default() });
            break;
        }
        told.field_violations.push(next);
    }
    told
}

/// The outcome without its oldest attempts, should it not fit: the last ones tell why the call failed.
fn short_outcome(how: &Outcome) -> v1::Outcome {
    let mut told = outcome::outcome(how);
    while told.encoded_len() > MAX_OUTCOME_BYTES && !told.attempts.is_empty() {
        told.attempts.remove(0);
    }
    if told.encoded_len() > MAX_OUTCOME_BYTES {
        told.warnings.clear();
    }
    told
}

fn metadata(failure: &Failure, how: &Outcome) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    if let Ok(id) = MetadataValue::try_from(&*how.correlation_id) {
        metadata.insert(correlation::HEADER, id);
    }
    if failure.kind == ErrorKind::Authentication {
        metadata.insert(WWW_AUTHENTICATE.as_str(), MetadataValue::from_static(caller::CHALLENGE));
    }
    if let Some(pushback) = pushback(failure) {
        metadata.insert(PUSHBACK, pushback);
    }
    metadata
}

/// The wait where one is known; "do not" where a retry is no use; else the client's own judgement.
fn pushback(failure: &Failure) -> Option<MetadataValue<Ascii>> {
    if !failure.kind.row().retryable {
        return Some(MetadataValue::from_static("-1"));
    }
    failure.wait.map(|wait| MetadataValue::from(whole_millis(wait)))
}

/// Rounded up, so that nobody comes back too early. Clients read 32 bits.
fn whole_millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

/// At most `bytes` of `text`, in whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests;
