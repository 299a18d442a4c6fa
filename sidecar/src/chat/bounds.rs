//! How much a caller may send in one request: what the walk over its document measures.

use super::media;

/// The bounds of one request's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Characters of all messages, of the prompt or of the inputs together.
    pub max_input_chars: usize,
    /// What an image or a document may be; `None`: they are not looked at.
    pub media: Option<media::Bounds>,
}

impl Bounds {
    /// None at all: for a request that has been held to its bounds before.
    pub const NONE: Self = Self { max_input_chars: usize::MAX, media: None };

    /// The same, for a document whose images have been looked at already.
    #[must_use]
    pub const fn for_text(self) -> Self {
        Self { media: None, ..self }
    }
}
