//! The retry budget: a token bucket that lets a share of calls be retried, and no more.

/// How many retries a provider's calls pay for.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Retries that each call pays for, from 0 to 1.
    pub ratio: f64,
    /// Retries a second that are free, so that a quiet sidecar may retry at all.
    pub minimum_per_second: f64,
}
