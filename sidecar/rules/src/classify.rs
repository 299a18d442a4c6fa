//! What kind of failure a provider's refusal is, from its status and its words.
//!
//! Specific words beat the status, and the status beats nothing at all. The words are rows of `words::ROWS`, in the
//! order in which they are believed. Two decisions that are not obvious:
//! - A spent quota (`insufficient_quota`, 402, "credit balance is too low") is `permission_denied`, not `rate_limited`,
//!   whatever its status: waiting does not heal it, and another provider's quota is not spent.
//! - A 499 from a provider is a `network_error`: the caller has not hung up, someone on the way has.

#[cfg(test)]
mod tests;
mod words;

use self::words::{Row, When};
use crate::{
    error::ErrorKind,
    text::{beginning, find},
};

/// What a provider's refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Evidence<'a> {
    /// The HTTP status; `None`: it came inside a stream.
    pub status: Option<u16>,
    /// The body's `code`; empty if there is none.
    pub code: &'a str,
    /// The body's `type`, or `status` or `__type` where a vendor calls it so; empty if there is none.
    pub error_type: &'a str,
    /// The body's message, or the whole body if it is not JSON.
    pub message: &'a str,
    /// The body is a page of a gateway's: only its status is believed.
    pub html: bool,
    /// There is no body.
    pub empty: bool,
}

/// What kind of failure `evidence` tells of.
#[must_use]
pub fn classify(evidence: &Evidence<'_>) -> ErrorKind {
    let status = match evidence.status {
        Some(status @ 300..) => Some(status),
        // In a stream, or in a body that came with a 200, the status is the code, where there is one at all.
        told => evidence.code.parse().ok().filter(|code| (400..600).contains(code)).or(told),
    };
    let words = if evidence.html || evidence.empty { None } else { by_words(evidence, status) };
    match (words, status) {
        (Some(kind), _) => kind,
        (None, Some(status)) => by_status(status, evidence.html),
        (None, None) => ErrorKind::GenerationFailed,
    }
}

fn by_words(evidence: &Evidence<'_>, status: Option<u16>) -> Option<ErrorKind> {
    let message = beginning(evidence.message);
    let holds = |row: &&Row| {
        (row.code.is_empty() || names(evidence.code, row.code) || names(evidence.error_type, row.code))
            && applies(row.when, status)
            && (row.words.is_empty() || find(message, row.words).is_some())
    };
    words::ROWS.iter().find(holds).map(|row| row.kind)
}

/// Whether `given` is this code. AWS writes `com.amazonaws.bedrock#ThrottlingException:http://…`.
fn names(given: &str, code: &str) -> bool {
    let given = given.split_once(':').map_or(given, |(code, _)| code);
    let given = given.rsplit_once('#').map_or(given, |(_, code)| code);
    given.eq_ignore_ascii_case(code)
}

/// Whether words that mean something `when` are to be believed with this status.
const fn applies(when: When, status: Option<u16>) -> bool {
    match (when, status) {
        (When::Always, _) | (_, None) => true,
        (When::Access, Some(status)) => matches!(status, 400..=403),
        (When::TheRequest, Some(status)) => matches!(status, 400..=499) && !matches!(status, 401 | 403 | 429),
        (When::TheProvider, Some(status)) => matches!(status, 408 | 409 | 424 | 425 | 429 | 498 | 499 | 500..),
    }
}

fn by_status(status: u16, html: bool) -> ErrorKind {
    match status {
        // An answer, but not one of the API: a captive portal, a login page.
        ..300 => ErrorKind::InvalidResponse,
        401 => ErrorKind::Authentication,
        402 | 403 | 407 | 451 => ErrorKind::PermissionDenied,
        // A path or a method that is not there is a provider set up for something else.
        404 | 405 | 410 | 501 => ErrorKind::ModelNotFound,
        408 | 504 | 524 => ErrorKind::InferenceTimeout,
        413 => ErrorKind::ContextLengthExceeded,
        // TGI: the model began and failed.
        424 => ErrorKind::GenerationFailed,
        429 => ErrorKind::RateLimited,
        // Groq has no room in its flexible tier.
        498 | 529 => ErrorKind::ModelOverloaded,
        499 => ErrorKind::NetworkError,
        507 => ErrorKind::OutOfMemory,
        // A gateway's 503 says that nobody is behind it, and a server's own that it has no room.
        503 if !html => ErrorKind::ModelOverloaded,
        // Cloudflare could not reach the server, agree with it on TLS, or find it.
        521..=523 | 525..=527 | 530 => ErrorKind::NetworkError,
        // Conflict, locked, too early: the same call may well succeed at another moment.
        409 | 421 | 423 | 425 => ErrorKind::ProviderError,
        400..=499 => ErrorKind::InvalidInput,
        // Redirects are not followed: they are a fault of the provider's address.
        300..=399 | 500.. => ErrorKind::ProviderError,
    }
}
