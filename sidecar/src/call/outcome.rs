//! How an answer, or the lack of one, came about.

use std::{sync::Arc, time::Duration};

pub use fusebox_rules::retry::WaitReason;

use super::{Call, chain::Found};
use crate::error::ErrorKind;

/// How a call went: told to the caller on answers and on errors alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Where the answer came from; `None`: there is none.
    pub source: Option<Source>,
    /// How much of what was asked for the answer is.
    pub quality: Quality,
    /// The provider that answered.
    pub provider: Option<Arc<str>>,
    /// The model that it was asked for.
    pub provider_model: Option<Arc<str>>,
    /// For people: why the answer is less than was asked for.
    pub warnings: Vec<String>,
    /// Every attempt, in order.
    pub attempts: Vec<Attempt>,
    /// The call's correlation id.
    pub correlation_id: Arc<str>,
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
            provider: None,
            provider_model: None,
            warnings: Vec::new(),
            attempts: Vec::new(),
            correlation_id: Arc::clone(correlation_id),
        }
    }

    /// Notes who answered, and whether less was asked for than the caller did.
    pub(super) fn found(&mut self, found: &Found<'_>, limited: bool) {
        self.quality = if limited { Quality::Limited } else { Quality::Full };
        self.source = Some(if found.first { Source::Primary } else { Source::Fallback });
        self.provider = Some(Arc::clone(&found.seat.upstream.settings.name));
        self.provider_model = Some(match &found.seat.model {
            Some(model) => Arc::clone(model),
            None => Arc::from(found.named),
        });
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
    /// Less: fewer tokens were asked for.
    Limited,
    /// There is none.
    Unavailable,
}

impl Quality {
    /// Its name in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The first provider by rank.
    Primary,
    /// Another provider.
    Fallback,
}

impl Source {
    /// Its name in headers and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Fallback => "fallback",
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
