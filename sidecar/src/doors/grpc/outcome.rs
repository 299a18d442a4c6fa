//! How a call went, in the contract's words.

use std::time::Duration;

use fusebox_proto::v1;

use crate::call::outcome::{Attempt, Level, Outcome, Quality, Source};

/// `outcome` as the contract has it.
pub(super) fn outcome(outcome: &Outcome) -> v1::Outcome {
    let source = match outcome.source {
        None => v1::Source::Unspecified,
        Some(Source::Primary) => v1::Source::Primary,
        Some(Source::Fallback) => v1::Source::Fallback,
        Some(Source::Cache) => v1::Source::Cache,
        Some(Source::Simplified) => v1::Source::Simplified,
        Some(Source::Static) => v1::Source::Static,
    };
    let quality = match outcome.quality {
        Quality::Full => v1::Quality::Full,
        Quality::Limited => v1::Quality::Limited,
        Quality::Cached => v1::Quality::Cached,
        Quality::Unavailable => v1::Quality::Unavailable,
    };
    let level = match outcome.level {
        Level::Full => v1::DegradationLevel::Full,
        Level::Reduced => v1::DegradationLevel::Reduced,
        Level::Minimal => v1::DegradationLevel::Minimal,
    };
    v1::Outcome {
        source: source.into(),
        quality: quality.into(),
        provider: outcome.provider.as_deref().unwrap_or_default().to_owned(),
        provider_model: outcome.provider_model.as_deref().unwrap_or_default().to_owned(),
        degradation_level: level.into(),
        warnings: outcome.warnings.clone(),
        attempts: outcome.attempts.iter().map(attempt).collect(),
        correlation_id: outcome.correlation_id.to_string(),
    }
}

fn attempt(attempt: &Attempt) -> v1::Attempt {
    v1::Attempt {
        provider: attempt.provider.to_string(),
        started_after: Some(duration(attempt.started_after)),
        took: Some(duration(attempt.took)),
        error_kind: attempt.error.map(|kind| kind.name().to_owned()).unwrap_or_default(),
        waited: Some(duration(attempt.waited)),
        wait_reason: attempt.wait_reason.name().to_owned(),
    }
}

/// `wait` as protobuf has it. What does not fit, some ten thousand years on, is the longest that does.
pub(super) fn duration(wait: Duration) -> prost_types::Duration {
    const LONGEST: prost_types::Duration = prost_types::Duration { seconds: 315_576_000_000, nanos: 999_999_999 };
    prost_types::Duration::try_from(wait).ok().filter(|sent| sent.seconds <= LONGEST.seconds).unwrap_or(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::outcome::WaitReason, error::ErrorKind};

    #[test]
    fn a_fallbacks_answer_tells_of_every_attempt() {
        let first = Attempt {
            provider: "vllm".into(),
            started_after: Duration::from_millis(1),
            took: Duration::from_secs(2),
            error: Some(ErrorKind::InferenceTimeout),
            waited: Duration::ZERO,
            wait_reason: WaitReason::None,
        };
        let second = Attempt {
            provider: "openai".into(),
            error: None,
            waited: Duration::from_millis(250),
            wait_reason: WaitReason::RetryAfter,
            ..first.clone()
        };
        let translated = outcome(&Outcome {
            source: Some(Source::Fallback),
            quality: Quality::Full,
            limited: false,
            level: Level::Full,
            age: None,
            provider: Some("openai".into()),
            provider_model: Some("gpt".into()),
            warnings: vec!["vllm was silent".into()],
            attempts: vec![first, second],
            correlation_id: "id-1".into(),
            image: fusebox_rules::image::Measure::default(),
        });
        assert_eq!(translated.source(), v1::Source::Fallback);
        assert_eq!(translated.quality(), v1::Quality::Full);
        assert_eq!(translated.degradation_level(), v1::DegradationLevel::Full);
        assert_eq!((translated.provider.as_str(), translated.provider_model.as_str()), ("openai", "gpt"));
        assert_eq!((translated.correlation_id.as_str(), translated.warnings.len()), ("id-1", 1));
        let [first, second] = translated.attempts.as_slice() else { panic!("two attempts") };
        assert_eq!((first.error_kind.as_str(), first.wait_reason.as_str()), ("inference_timeout", "none"));
        assert_eq!(first.took, Some(prost_types::Duration { seconds: 2, nanos: 0 }));
        assert_eq!((second.error_kind.as_str(), second.wait_reason.as_str()), ("", "retry_after"));
        assert_eq!(second.waited, Some(prost_types::Duration { seconds: 0, nanos: 250_000_000 }));
    }

    #[test]
    fn no_answer_is_of_no_quality() {
        let nothing = Outcome {
            source: None,
            quality: Quality::Unavailable,
            limited: false,
            level: Level::Full,
            age: None,
            provider: None,
            provider_model: None,
            warnings: Vec::new(),
            attempts: Vec::new(),
            correlation_id: "id".into(),
            image: fusebox_rules::image::Measure::default(),
        };
        assert_eq!(outcome(&nothing).quality(), v1::Quality::Unavailable);
        assert_eq!(outcome(&nothing).source(), v1::Source::Unspecified);
    }

    #[test]
    fn a_wait_for_ever_is_the_longest_that_can_be_told() {
        assert_eq!(duration(Duration::MAX).seconds, 315_576_000_000);
    }
}
