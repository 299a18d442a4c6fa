//! A document with pieces of it written anew, and not a byte beside them changed.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

/// What takes the place of a piece of a document.
pub type Edit = (Range<usize>, String);

/// Where `part`, which was borrowed from `whole`, stands in it.
#[must_use]
pub fn span_in(whole: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

/// `body` with the text of each edit, which are in order and apart, in the place of its span.
#[must_use]
pub fn edited(body: &[u8], edits: &[Edit]) -> Bytes {
    let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
    let mut edited = BytesMut::with_capacity(body.len() + added);
    let mut from = 0;
    for (span, text) in edits {
        edited.extend_from_slice(&body[from..span.start]);
        edited.extend_from_slice(text.as_bytes());
        from = span.end;
    }
    edited.extend_from_slice(&body[from..]);
    edited.freeze()
}
