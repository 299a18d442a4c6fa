//! What is unwise about the bounds of a request.

use super::{super::Config, Found};

pub(super) fn all(config: &Config, advice: &mut Found) {
    let default = Config::default();
    let (bounds, untouched) = (&config.validation, &default.validation);
    for (key, bytes, usual) in [
        ("max_image_bytes", bounds.max_image_bytes, untouched.max_image_bytes),
        ("max_document_bytes", bounds.max_document_bytes, untouched.max_document_bytes),
    ] {
        let unwise = bytes != usual && bytes > config.limits.max_body;
        advice.add_if(
            unwise,
            format!("validation.{key}"),
            format!(
                "is more than a whole request may have; raise limits.max_body ({} bytes) too",
                config.limits.max_body
            ),
        );
    }
}
