//! Whether, where and when a failed attempt is followed by another.

use std::time::Duration;

/// How a provider is asked again after a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Attempts after the first, at this provider, in one call.
    pub max_retries: u32,
    /// The backoff before the second retry of a kind that is retried at once, else before the first.
    pub base_delay: Duration,
    /// What each further backoff is multiplied by; at least 1.
    pub backoff_factor: f64,
    /// The longest backoff.
    pub max_delay: Duration,
    /// Whether a backoff is drawn uniformly from zero to its length ("full jitter"), so that callers that failed
    /// together do not come back together.
    pub jitter: bool,
    /// No retry begins once this long has passed since the provider was first asked in this call.
    pub max_elapsed: Duration,
}
