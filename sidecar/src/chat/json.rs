//! JSON read from bytes.

use serde::Deserialize;

/// Reads `json`. It is held to UTF-8 as a whole: left to itself, the reader of bytes does that text by text, which takes
/// several times as long.
///
/// # Errors
/// `json` is not JSON, or not of that kind.
pub fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        // For its words on where the fault is.
        Err(_) => serde_json::from_slice(json),
    }
}
