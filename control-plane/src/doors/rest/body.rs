//! Requests' bodies: read to a bound, and as the messages that they are to be.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost::{Message, Name};

use crate::{
    control::{Fault, Refusal},
    json,
};

/// The message that a body of `most` bytes holds; an empty one is a message of which nothing is set.
pub(super) async fn read<M: Message + Name + Default>(
    headers: &HeaderMap,
    body: Body,
    most: usize,
) -> Result<M, Refusal> {
    let bytes = bytes(headers, body, most).await?;
    if bytes.is_empty() {
        return Ok(M::default());
    }
    json::from_json(&bytes).map_err(|fault| {
        let faults = fault.faults.into_iter();
        Refusal::Invalid(faults.map(|fault| Fault::new(of_body(&fault.field), fault.message)).collect())
    })
}

/// The bytes of a body that says that it is JSON.
pub(super) async fn bytes(headers: &HeaderMap, body: Body, most: usize) -> Result<bytes::Bytes, Refusal> {
    let of = |message: String| Refusal::Invalid(vec![Fault::new("body", message)]);
    let read = Limited::new(body, most).collect().await;
    let bytes = read.map_err(|error| {
        let long = error.downcast_ref::<LengthLimitError>().is_some();
        if long { Refusal::TooLarge { most } } else { of("ended too early".to_owned()) }
    })?;
    let bytes = bytes.to_bytes();
    // A form on another page can send what has no such type without asking first.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_json = kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    if !bytes.is_empty() && !is_json {
        return Err(of("is not marked as JSON: send content-type: application/json".to_owned()));
    }
    Ok(bytes)
}

fn of_body(field: &str) -> &str {
    if field.is_empty() { "body" } else { field }
}
