//! How asking the store can fail: in words that ask for different deeds, and not in Redis's.

use std::borrow::Cow;

/// Why the store did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or cannot serve now: go on without it, and ask again later.
    #[error("the store is unavailable: {why}")]
    Unavailable {
        /// For people.
        why: Cow<'static, str>,
        /// Whether the request may have been carried out all the same. Where it is false, it was not.
        may_have_run: bool,
    },
    /// It answered that it will not: asking again changes nothing until somebody mends the store or what is asked.
    #[error("the store refused: {code} {message}")]
    Refused {
        /// The first word of Redis's error, such as `NOPERM` or `OOM`.
        code: String,
        /// The rest of it.
        message: String,
    },
    /// Its answer cannot be read: another version, or not a Redis at all.
    #[error("the store's answer cannot be read: {0}")]
    Protocol(String),
}

impl StoreError {
    /// Not asked at all, and so not carried out.
    #[must_use]
    pub fn not_asked(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { why: why.into(), may_have_run: false }
    }

    /// Asked, and what came of it is not known.
    #[must_use]
    pub fn not_known(why: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable { why: why.into(), may_have_run: true }
    }
}
