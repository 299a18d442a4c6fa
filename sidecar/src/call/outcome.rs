//! How an answer, or the lack of one, came about.

use std::{sync::Arc, time::Duration};

use fusebox_rules::image::Measure;
pub use fusebox_rules::{degradation::Level, retry::WaitReason};

use super::Call;
use crate::error::ErrorKind;

/// How a call went: told to the caller on answers and on errors alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Where the answer came from; `None`: there is none.
    pub source: Option<Source>,
    /// How much of what was asked for the answer is.
    pub quality: Quality,
    /// Whether less was asked for than the caller did, so that a full answer is none.
    pub limited: bool,
    /// The degradation level under which the call was answered.
    pub level: Level,
    /// The provider that answered.
    pub provider: Option<Arc<str>>,
    /// The model that it was asked for.
    pub provider_model: Option<Arc<str>>,
    /// For people: why the answer is less than was asked for.
    pub warnings: Vec<String>,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// How old the answer is, where it is an earlier one.
    pub age: Option<Duration>,
    /// The call's correlation id.
    pub correlation_id: Arc<str>,
    /// Of images: what the provider that answered was asked for.
    pub image: Measure,
}

impl Outcome {
    /// The outcome of a call that has not been tried yet.
    #[must_use]
    pub fn new(call: &Call) -> Self {
        let mut outcome = Self::untried(&call.correlation_id);
        if call.request.removed > 0 {
            outcome.warnings.push(removed(call.request.removed));
        }
        outcome
    }

    /// The same, of what was refused before it was a call.
    #[must_use]
    pub fn untried(correlation_id: &Arc<str>) -> Self {
        Self {
            source: None,
            quality: Quality::Unavailable,
            limited: false,
            level: Level::Full,
            age: None,
            provider: None,
            provider_model: None,
            warnings: Vec::new(),
            attempts: Vec::new(),
            correlation_id: Arc::clone(correlation_id),
            image: Measure::default(),
        }
    }
}

/// What a caller is told of characters that no provider saw.
fn removed(characters: u32) -> String {
    let were = if characters == 1 { "character was" } else { "characters were" };
    format!("{characters} control or broken {were} taken out of the request's text")
}

/// How much of what was asked for an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quality {
    /// All of it.
    Full,
    /// Less: fewer tokens, turns or steps were asked for, a smaller model or image, or by a shorter prompt.
    Limited,
    /// All of it, as it was answered before.
    Cached,
    /// There is none, or only words that stand for one.
    Unavailable,
}

impl Quality {
    /// Its name in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Limited => "limited",
            Self::Cached => "cached",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The first provider by rank.
    Primary,
    /// Another provider, or a smaller model.
    Fallback,
    /// An earlier answer to the same question.
    Cache,
    /// A provider, to a shorter prompt.
    Simplified,
    /// Nobody: it was written beforehand.
    Static,
}

impl Source {
    /// Its name in headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
            Self::Cache => "cache",
            Self::Simplified => "simplified",
            Self::Static => "static",
        }
    }
}

/// One try at one provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Who was asked.
    pub provider: Arc<str>,
    /// From the call's arrival to the attempt's start.
    pub started_after: Duration,
    /// From its start to its end, or to a stream's first token.
    pub took: Duration,
    /// How it failed; `None`: it answered.
    pub error: Option<ErrorKind>,
    /// The wait before it.
    pub waited: Duration,
    /// What set that wait.
    pub wait_reason: WaitReason,
}
