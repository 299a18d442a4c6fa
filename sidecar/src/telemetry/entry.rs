//! How a call came in and what its caller was told, in the words of OpenTelemetry's conventions for HTTP and for RPC.

use opentelemetry::KeyValue;

use super::{Door, names};
use crate::{chat::request::Operation, error::Failure};

/// What is known of the way in from the start.
pub(super) fn way_in(door: Door, operation: Operation, stream: bool) -> [KeyValue; 2] {
    match door {
        Door::Http => [KeyValue::new(names::HTTP_METHOD, "POST"), KeyValue::new(names::HTTP_ROUTE, route(operation))],
        Door::Grpc => [
            KeyValue::new(names::RPC_SYSTEM, "grpc"),
            KeyValue::new(names::RPC_METHOD, format!("fusebox.v1.InferenceService/{}", method(operation, stream))),
        ],
    }
}

/// What the caller was told: `failure`, or that it went well. One whose stream had `begun` had been told that by then,
/// over HTTP; gRPC tells at the end.
pub(super) fn told(door: Door, failure: Option<&Failure>, begun: bool) -> KeyValue {
    match door {
        Door::Http => {
            let status = failure.filter(|_| !begun).map_or(200, Failure::http_status);
            KeyValue::new(names::HTTP_STATUS, i64::from(status))
        }
        Door::Grpc => KeyValue::new(names::RPC_STATUS, failure.map_or("OK", |failure| failure.kind.row().grpc.name())),
    }
}

const fn route(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat => "/v1/chat/completions",
        Operation::Completion => "/v1/completions",
        Operation::Embed => "/v1/embeddings",
        Operation::Image => "/v1/images/generations",
    }
}

const fn method(operation: Operation, stream: bool) -> &'static str {
    match operation {
        Operation::Chat | Operation::Completion if stream => "StreamGenerate",
        Operation::Chat | Operation::Completion => "Generate",
        Operation::Embed => "Embed",
        Operation::Image => "GenerateImage",
    }
}
