//! The guard before images: none is asked for that is larger than the configuration allows.
//!
//! A size that is left to the provider passes: it is not known here.

use super::Call;
use crate::{
    chat::request::Operation,
    config::Validation,
    error::{Failure, FieldFault},
    telemetry::Door,
};

/// Refuses a call for images of more than `max_output_pixels` each.
///
/// # Errors
/// The field of the caller's that says so, in the words of the door it came in by.
pub(super) fn guard(call: &Call, validation: &Validation) -> Result<(), Failure> {
    if call.request.operation != Operation::Image {
        return Ok(());
    }
    let Some(size) = call.request.measure().size.filter(|size| size.pixels() > validation.max_output_pixels) else {
        return Ok(());
    };
    let path = match call.door {
        Door::Http => "size",
        Door::Grpc => "width",
    };
    let message = format!(
        "must ask for at most {} pixels in all, not {}x{}, which is {}",
        validation.max_output_pixels,
        size.width,
        size.height,
        size.pixels()
    );
    Err(Failure::fields(vec![FieldFault { path: path.into(), message }]))
}
