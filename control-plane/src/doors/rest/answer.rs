//! What REST answers: messages as JSON, and refusals with what programs need to know of them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use prost::{Message, Name};
use serde_json::{Value, json};

use crate::{
    control::{Fault, Refusal},
    json,
};

/// A message.
pub(super) fn message<M: Message + Name>(message: &M) -> Response {
    match json::to_bytes(message) {
        Ok(bytes) => document(Bytes::from(bytes)),
        Err(fault) => refused(&Refusal::Internal(fault.to_string())),
    }
}

/// JSON that is written already.
pub(super) fn document(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}

/// What was done, or why it was not.
pub(super) fn done<M: Message + Name>(done: Result<M, Refusal>) -> Response {
    done.map_or_else(|refusal| refused(&refusal), |told| message(&told))
}

/// A refusal.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let (status, code) = match refusal {
        Refusal::Invalid(_) => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Refusal::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "OUT_OF_RANGE"),
        Refusal::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Refusal::Moved { .. } => (StatusCode::CONFLICT, "ABORTED"),
        Refusal::LastProvider { .. } => (StatusCode::PRECONDITION_FAILED, "FAILED_PRECONDITION"),
        Refusal::Full(_) | Refusal::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Refusal::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Refusal::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        Refusal::Forbidden(_) => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Refusal::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
    };
    let mut response = fault(status, code, &refusal.to_string(), details(refusal));
    let headers = response.headers_mut();
    match refusal {
        Refusal::TooMany { wait, .. } => drop(headers.insert(header::RETRY_AFTER, HeaderValue::from(*wait))),
        Refusal::Unauthenticated(_) => {
            drop(headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"fusebox\"")));
        }
        _ => {}
    }
    response
}

/// An error of this door's own shape.
pub(super) fn fault(status: StatusCode, code: &str, message: &str, mut error: Value) -> Response {
    error["code"] = code.into();
    error["message"] = message.into();
    (status, [(header::CACHE_CONTROL, "no-store")], Json(json!({ "error": error }))).into_response()
}

fn details(refusal: &Refusal) -> Value {
    match refusal {
        Refusal::Invalid(faults) => {
            let field = |Fault { field, message }: &Fault| json!({"field": camel(field), "message": message});
            json!({"fields": faults.iter().map(field).collect::<Vec<_>>()})
        }
        Refusal::Moved { now, .. } => json!({"details": {"settingsVersion": now.to_string()}}),
        Refusal::LastProvider { models } => json!({"details": {"models": models}}),
        Refusal::Unavailable { may_have_run, .. } => json!({"details": {"mayHaveRun": may_have_run}}),
        _ => json!({}),
    }
}

/// A field's path as JSON writes it: `change.expected_version` is `change.expectedVersion`.
fn camel(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut raise = false;
    for letter in path.chars() {
        match letter {
            '_' => raise = true,
            letter if raise => {
                camel.extend(letter.to_uppercase());
                raise = false;
            }
            letter => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_json_names_them() {
        assert_eq!(camel("change.expected_version"), "change.expectedVersion");
        assert_eq!(camel("reason"), "reason");
    }
}
