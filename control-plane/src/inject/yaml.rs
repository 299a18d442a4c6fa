//! YAML as a tree of JSON, which is what a sidecar's configuration is before anyone knows its keys.

use serde_json::Value;

/// The tree that `text` holds.
///
/// # Errors
/// A clause that says what is wrong, and in which line. Nothing of the text is quoted: secrets may be in it.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: 32, max_nodes: 100_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        error.location().map_or_else(
            || "is not valid YAML".to_owned(),
            |location| format!("is not valid YAML: line {} is the first that cannot be read", location.line()),
        )
    })
}
