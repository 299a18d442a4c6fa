//! Answers and errors as the OpenAI surface shows them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{AGE, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::{Map, Value, json};

use super::Body;
use crate::{
    call::{Refused, outcome::Outcome, stream::Stream},
    doors::caller,
    error::Failure,
    telemetry,
};

const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const SOURCE: HeaderName = HeaderName::from_static("x-fusebox-source");
const QUALITY: HeaderName = HeaderName::from_static("x-fusebox-quality");
const PROVIDER: HeaderName = HeaderName::from_static("x-fusebox-provider");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-fusebox-attempts");
const WARNING: HeaderName = HeaderName::from_static("x-fusebox-warning");
/// Warnings that are told in headers, and characters of each: whoever reads headers has bounds of their own.
const MAX_WARNINGS: usize = 8;
const MAX_WARNING: usize = 200;
const DEGRADATION_LEVEL: HeaderName = HeaderName::from_static("x-fusebox-degradation-level");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Where HTTP has a better word for an error than the table.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) status: StatusCode,
    /// The method that would be right, where that is what is wrong.
    pub(super) allow: Option<Method>,
}

impl From<StatusCode> for Word {
    fn from(status: StatusCode) -> Self {
        Self { status, allow: None }
    }
}

/// An answer that came whole.
pub(super) fn whole(body: Bytes, outcome: &Outcome) -> Response<Body> {
    let mut response = response(StatusCode::OK, Body::Whole(Some(body)), JSON);
    tell(outcome, response.headers_mut());
    response
}

/// An answer that has begun.
pub(super) fn stream(stream: Stream, outcome: &Outcome) -> Response<Body> {
    let mut response = response(StatusCode::OK, Body::Events(Box::new(stream)), EVENTS);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    tell(outcome, response.headers_mut());
    response
}

/// A call that was tried and not answered.
pub(super) fn refused(refused: &Refused) -> Response<Body> {
    let mut response = error(&refused.failure, &refused.outcome.correlation_id, None);
    tell(&refused.outcome, response.headers_mut());
    if let Some(provider) = &refused.failure.provider {
        insert(response.headers_mut(), PROVIDER, provider);
    }
    response
}

/// A request refused before it was a call.
pub(super) fn refusal(failure: &Failure, correlation_id: &Arc<str>, word: Option<Word>) -> Response<Body> {
    let (status, allow) = word.map_or((None, None), |word| (Some(word.status), word.allow));
    let mut response = error(failure, correlation_id, status);
    if let Some(method) = allow {
        insert(response.headers_mut(), ALLOW, method.as_str());
    }
    tell(&Outcome::untried(correlation_id), response.headers_mut());
    response
}

fn error(failure: &Failure, correlation_id: &Arc<str>, status: Option<StatusCode>) -> Response<Body> {
    let status = status
        .or_else(|| StatusCode::from_u16(failure.http_status()).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Bytes::from(error_document(failure, correlation_id).to_string());
    let mut response = response(status, Body::Whole(Some(body)), JSON);
    let headers = response.headers_mut();
    if let Some(wait) = failure.wait {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(whole_millis(wait)));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(caller::CHALLENGE));
    }
    // The official SDKs ask again by themselves; here that would be in vain.
    if !failure.kind.row().retryable {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}

/// The configured models, in OpenAI's list.
pub(super) fn models(names: &[Arc<str>], correlation_id: &Arc<str>) -> Response<Body> {
    let list: Vec<Value> = names.iter().map(|name| model_document(name)).collect();
    document(&json!({"object": "list", "data": list}), correlation_id)
}

/// One configured model.
pub(super) fn model(name: &str, correlation_id: &Arc<str>) -> Response<Body> {
    document(&model_document(name), correlation_id)
}

fn model_document(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "fusebox"})
}

fn document(document: &Value, correlation_id: &Arc<str>) -> Response<Body> {
    let mut response = response(StatusCode::OK, Body::Whole(Some(Bytes::from(document.to_string()))), JSON);
    insert(response.headers_mut(), CORRELATION_ID, correlation_id);
    response
}

/// An error after the first token: the stream's last event.
pub(super) fn error_event(failure: &Failure, correlation_id: &Arc<str>) -> Bytes {
    Bytes::from(format!("data: {}\n\n", error_document(failure, correlation_id)))
}

fn error_document(failure: &Failure, correlation_id: &Arc<str>) -> Value {
    let mut details: Map<String, Value> =
        failure.details.iter().map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect();
    if let Some(words) = failure.inside.as_deref().filter(|_| telemetry::tells_raw_words()) {
        details.insert(caller::RAW_WORDS.to_owned(), Value::from(words));
    }
    let mut fields = Map::new();
    for fault in &failure.fields {
        if let Value::Array(messages) = fields.entry(fault.path.as_str()).or_insert_with(|| json!([])) {
            messages.push(Value::from(fault.message.as_str()));
        }
    }
    json!({"error": {
        "message": failure.message,
        "type": failure.kind.name(),
        "code": failure.kind.name(),
        "param": failure.fields.first().map(|fault| fault.path.as_str()),
        "retryable": failure.kind.row().retryable,
        "retry_after": failure.wait.map(|wait| wait.as_secs_f64()),
        "correlation_id": &**correlation_id,
        "details": details,
        "field_errors": fields,
    }})
}

fn response(status: StatusCode, body: Body, content_type: HeaderValue) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().reserve(10);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn tell(outcome: &Outcome, headers: &mut HeaderMap) {
    insert(headers, CORRELATION_ID, &outcome.correlation_id);
    if let Some(source) = outcome.source {
        headers.insert(SOURCE, HeaderValue::from_static(source.name()));
    }
    headers.insert(QUALITY, HeaderValue::from_static(outcome.quality.name()));
    if let Some(provider) = &outcome.provider {
        insert(headers, PROVIDER, provider);
    }
    headers.insert(ATTEMPTS, HeaderValue::from(outcome.attempts.len()));
    headers.insert(DEGRADATION_LEVEL, HeaderValue::from_static(outcome.level.name()));
    for warning in outcome.warnings.iter().take(MAX_WARNINGS) {
        let told: String =
            warning.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(MAX_WARNING).collect();
        if let Ok(told) = HeaderValue::from_str(told.trim()) {
            headers.append(WARNING, told);
        }
    }
    if let Some(age) = outcome.age {
        headers.insert(AGE, HeaderValue::from(age.as_secs()));
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Rounded up: a caller that comes back early comes back in vain.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, FieldFault};

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!((whole_seconds(Duration::from_millis(1001)), whole_seconds(Duration::from_secs(2))), (2, 2));
        assert_eq!(whole_millis(Duration::from_nanos(1)), 1);
    }

    #[test]
    fn every_kind_is_answered_with_its_own_status_and_name() {
        for kind in ErrorKind::ALL {
            let failure = Failure::new(kind, "why").wait(Some(Duration::from_millis(1500)));
            let response = refusal(&failure, &Arc::from("id"), None);
            assert_eq!(response.status().as_u16(), kind.row().http);
            assert_eq!(
                (&response.headers()[RETRY_AFTER], &response.headers()[RETRY_AFTER_MS]),
                (&HeaderValue::from(2), &HeaderValue::from(1500))
            );
            let error = &error_document(&failure, &Arc::from("id"))["error"];
            assert_eq!((error["type"].as_str(), error["retry_after"].as_f64()), (Some(kind.name()), Some(1.5)));
        }
    }

    #[test]
    fn two_faults_of_one_field_stand_together() {
        let fault = |message: &str| FieldFault { path: "a[0]".into(), message: message.into() };
        let document = error_document(&Failure::fields(vec![fault("x"), fault("y")]), &Arc::from("id"));
        assert_eq!(document["error"]["field_errors"], json!({"a[0]": ["x", "y"]}));
        assert_eq!(document["error"]["param"], "a[0]");
    }
}
