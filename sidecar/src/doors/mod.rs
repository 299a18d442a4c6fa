//! The ways in: each translates to a call and back, and does nothing else.

pub mod admin;
mod caller;
pub mod grpc;
pub mod openai;

use std::sync::Arc;

/// Bytes that a request's body, decompressed, may have now.
pub type MaxBody = Arc<dyn Fn() -> usize + Send + Sync>;
