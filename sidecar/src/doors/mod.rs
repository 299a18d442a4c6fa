//! The ways in: each translates to a call and back, and does nothing else.

pub mod admin;
mod caller;
pub mod grpc;
pub mod openai;
pub mod tokens;

use std::sync::Arc;

use crate::{
    chat::{bounds::Bounds, media},
    config,
};

/// Bytes that a request's body, decompressed, may have now.
pub type MaxBody = Arc<dyn Fn() -> usize + Send + Sync>;

/// How much a request's content may be now.
pub type Bounded = Arc<dyn Fn() -> Bounds + Send + Sync>;

/// The bounds that a configuration sets.
#[must_use]
pub const fn bounds(validation: &config::Validation) -> Bounds {
    let config::Validation { max_input_chars, max_image_bytes, max_document_bytes, .. } = *validation;
    Bounds { max_input_chars, media: Some(media::Bounds { max_image_bytes, max_document_bytes }) }
}
