//! An answer that one sidecar keeps for others: bytes that the store does not read, and no more of them than it may
//! hold.

use std::fmt;

use crate::{StoreError, operation::Reply};

/// Bytes of one answer, at most: while a larger one is on its way, nothing else is.
pub const MOST_BYTES: usize = 512 * 1_024;

/// What is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(Vec<u8>);

/// An answer is larger than [`MOST_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an answer of {0} bytes is too large to be kept for others")]
pub struct TooLarge(pub usize);

impl Body {
    /// One of these bytes.
    ///
    /// # Errors
    /// There are too many.
    pub fn try_new(bytes: Vec<u8>) -> Result<Self, TooLarge> {
        if bytes.len() > MOST_BYTES { Err(TooLarge(bytes.len())) } else { Ok(Self(bytes)) }
    }

    /// The bytes. Whoever can write to the store wrote them: they are read as what comes from outside.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, as in [`Body::as_bytes`].
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// From a reply.
    pub(crate) fn read(reply: &mut Reply) -> Result<Self, StoreError> {
        Self::try_new(reply.bytes()?).map_err(|error| StoreError::Protocol(error.to_string()))
    }
}

impl fmt::Debug for Body {
    /// Without what it says.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}
