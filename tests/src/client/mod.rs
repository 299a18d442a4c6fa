//! Clients for the sidecar's doors that hide nothing: status, headers, details, and when each event came.

pub mod grpc;
pub mod http;
pub mod metrics;
mod sse;

pub use self::{
    grpc::{Told, told},
    http::{Answer, Http, Open, Request},
    metrics::Metrics,
    sse::SseEvent,
};
