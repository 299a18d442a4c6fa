//! What the tests of providers share.

use std::time::Duration;

use fusebox_rules::{breaker, fleet::allowance::RateLimits, retry};

use crate::{
    config::{Provider, ProviderKind, Scope, Secret, Simulated, Timeouts},
    error::ErrorKind,
};

/// A provider at `base_url` that nobody asks twice.
pub(super) fn provider(kind: ProviderKind, base_url: &str) -> Provider {
    const SECOND: Duration = Duration::from_secs(1);
    Provider {
        name: "fixture".into(),
        kind,
        base_url: base_url.into(),
        api_key: Some(Secret::new("key")),
        api_key_file: None,
        scope: Scope::Pod,
        enabled: true,
        priority: 0,
        timeouts: Timeouts { connect: SECOND, first_token: SECOND, idle: SECOND, total: SECOND, stream_total: SECOND },
        retry: retry::Policy {
            max_retries: 0,
            base_delay: SECOND,
            backoff_factor: 1.0,
            max_delay: SECOND,
            jitter: false,
            max_elapsed: SECOND,
        },
        breaker: breaker::Settings {
            failure_threshold: 5,
            failure_rate: 0.5,
            minimum_calls: 20,
            window: SECOND,
            slow_first_token: None,
            min_tokens_per_second: None,
            open_for: SECOND,
            max_open_for: SECOND,
            half_open_max_calls: 1,
            success_threshold: 1,
            ramp: SECOND,
            probe: breaker::Probe::Passive,
        },
        continuation: fusebox_rules::survive::Continuation::None,
        rate_limit: RateLimits::default(),
        max_batch: 2_048,
        metrics_url: None,
        simulated: Simulated {
            first_token: Duration::ZERO,
            tokens_per_second: 0.0,
            failure_rate: 0.0,
            failure: ErrorKind::ProviderError,
            answer: None,
        },
    }
}
