//! What a gRPC error tells beyond its code and message.

use std::{collections::HashMap, time::Duration};

use fusebox_proto::v1::{GenerateRequest, Message, Outcome, Part, Role, part};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorInfo, StatusExt as _, pb};

/// An error's details, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The status code.
    pub code: Code,
    /// `ErrorInfo.reason`, in lower case.
    pub kind: String,
    /// `ErrorInfo.domain`
    pub domain: String,
    /// `ErrorInfo.metadata["provider"]`
    pub provider: Option<String>,
    /// `ErrorInfo.metadata["correlation_id"]`
    pub correlation_id: Option<String>,
    /// `ErrorInfo.metadata["retryable"]`
    pub retryable: Option<String>,
    /// `RetryInfo.retry_delay`
    pub wait: Option<Duration>,
    /// `BadRequest.field_violations`, as field and description.
    pub fields: Vec<(String, String)>,
    /// The `Outcome`.
    pub outcome: Option<Outcome>,
}

/// Takes the details of `status` apart.
#[must_use]
pub fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let info = details.error_info().cloned().unwrap_or_else(|| ErrorInfo::new("", "", HashMap::new()));
    let fields = details.bad_request().map(|bad| bad.field_violations.clone()).unwrap_or_default();
    let all = pb::Status::decode(status.details()).unwrap_or_default().details;
    let outcome = all.iter().find(|any| any.type_url.ends_with("/fusebox.v1.Outcome"));
    Told {
        code: status.code(),
        kind: info.reason.to_lowercase(),
        domain: info.domain,
        provider: info.metadata.get("provider").cloned(),
        correlation_id: info.metadata.get("correlation_id").cloned(),
        retryable: info.metadata.get("retryable").cloned(),
        wait: details.retry_info().and_then(|retry| retry.retry_delay),
        fields: fields.into_iter().map(|field| (field.field, field.description)).collect(),
        outcome: outcome.map(|any| Outcome::decode(any.value.as_slice()).expect("an outcome")),
    }
}

/// A request with one message of a user.
#[must_use]
pub fn ask(prompt: &str) -> GenerateRequest {
    GenerateRequest { messages: vec![message(Role::User, prompt)], ..GenerateRequest::default() }
}

/// A message of plain text.
#[must_use]
pub fn message(role: Role, text: &str) -> Message {
    let part = Part { kind: Some(part::Kind::Text(text.to_owned())) };
    Message { role: role.into(), content: vec![part], ..Message::default() }
}

/// The text of a message.
#[must_use]
pub fn text_of(message: &Message) -> String {
    let text = |part: &Part| match &part.kind {
        Some(part::Kind::Text(text)) => text.clone(),
        _ => String::new(),
    };
    message.content.iter().map(text).collect()
}
