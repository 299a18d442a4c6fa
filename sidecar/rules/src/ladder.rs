//! What is tried once every provider has failed: the order of the steps, who may take them, and the time kept for them.

use std::time::Duration;

use crate::error::ErrorKind;

/// A step down from what was asked for. The first, other providers, is the chain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// The same question to a smaller model.
    SmallerModel,
    /// The answer to an equal call of before.
    Cache,
    /// A shorter question.
    Simplified,
    /// A text that somebody set.
    Static,
}

impl Rung {
    /// All, from the highest to the lowest.
    pub const ALL: [Self; 4] = [Self::SmallerModel, Self::Cache, Self::Simplified, Self::Static];

    /// Its name in logs and traces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmallerModel => "smaller_model",
            Self::Cache => "cache",
            Self::Simplified => "simplified",
            Self::Static => "static",
        }
    }

    /// Whether a provider is asked, which takes time and attempts.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(self, Self::SmallerModel | Self::Simplified)
    }
}

/// Which steps this call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ladder {
    /// A smaller model is configured, and is not the one asked for.
    pub smaller_model: bool,
    /// The cache may be read.
    pub cache: bool,
    /// A shorter prompt is set.
    pub simplified: bool,
    /// A text is set.
    pub fixed: bool,
}

/// How far the kind of a failure lets a call descend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Not at all.
    Nowhere,
    /// To what takes no provider.
    WithoutAsking,
    /// To every step.
    All,
}

impl Ladder {
    /// What a caller that allows nothing less has.
    pub const NONE: Self = Self { smaller_model: false, cache: false, simplified: false, fixed: false };

    /// Whether there is no step at all.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The steps to take after a failure of `kind`, in order. `asked`: a provider was asked or could have been, so that
    /// it was not the call itself that nobody could take.
    pub fn steps(self, kind: ErrorKind, asked: bool) -> impl Iterator<Item = Rung> {
        let depth = depth(kind, asked);
        Rung::ALL.into_iter().filter(move |rung| {
            let deep_enough = match depth {
                Depth::Nowhere => false,
                Depth::WithoutAsking => !rung.asks(),
                Depth::All => true,
            };
            deep_enough && self.has(*rung)
        })
    }

    const fn has(self, rung: Rung) -> bool {
        match rung {
            Rung::SmallerModel => self.smaller_model,
            Rung::Cache => self.cache,
            Rung::Simplified => self.simplified,
            Rung::Static => self.fixed,
        }
    }

    /// How much of `remaining` the providers of the chain leave over: a quarter for each step that asks one, and a
    /// little for a set text, which must be on its way before a caller that keeps to its own deadline has left.
    #[must_use]
    pub fn kept(self, remaining: Duration) -> Duration {
        const LAST_WORD: Duration = Duration::from_millis(100);
        let asking = u32::from(self.smaller_model) + u32::from(self.simplified);
        let word = if self.fixed { (remaining / 16).min(LAST_WORD) } else { Duration::ZERO };
        (remaining / 4 * asking).max(word)
    }
}

/// Whether less would help against `kind`, and may take the place of the answer.
const fn depth(kind: ErrorKind, asked: bool) -> Depth {
    match kind {
        ErrorKind::RateLimited
        | ErrorKind::InferenceTimeout
        | ErrorKind::NetworkError
        | ErrorKind::ProviderError
        | ErrorKind::ModelOverloaded
        | ErrorKind::ModelLoadingFailed
        | ErrorKind::OutOfMemory
        | ErrorKind::GenerationFailed
        | ErrorKind::StreamBroken
        | ErrorKind::InvalidResponse
        | ErrorKind::Authentication
        | ErrorKind::PermissionDenied
        | ErrorKind::CircuitOpen => Depth::All,
        // A provider that has lost its model, or a caller that made a name up.
        ErrorKind::ModelNotFound if asked => Depth::All,
        // Refused to spare the providers, which these steps do.
        ErrorKind::Shed => Depth::WithoutAsking,
        // What is wrong is the call, and its caller must know; a refusal is never got round; what is spent is spent; and
        // a fault of our own is not hidden.
        ErrorKind::ModelNotFound
        | ErrorKind::ContentFiltered
        | ErrorKind::ContextLengthExceeded
        | ErrorKind::InvalidInput
        | ErrorKind::BudgetExceeded
        | ErrorKind::ShuttingDown
        | ErrorKind::Cancelled
        | ErrorKind::InternalError => Depth::Nowhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Ladder = Ladder { smaller_model: true, cache: true, simplified: true, fixed: true };

    fn steps(ladder: Ladder, kind: ErrorKind) -> Vec<Rung> {
        ladder.steps(kind, true).collect()
    }

    #[test]
    fn steps_are_taken_from_the_highest_down() {
        assert_eq!(steps(ALL, ErrorKind::ProviderError), Rung::ALL);
        assert!(Rung::ALL.is_sorted());
        let some = Ladder { simplified: true, fixed: true, ..Ladder::NONE };
        assert_eq!(steps(some, ErrorKind::CircuitOpen), [Rung::Simplified, Rung::Static]);
    }

    #[test]
    fn what_is_the_callers_own_ends_the_call() {
        for kind in [
            ErrorKind::InvalidInput,
            ErrorKind::ContentFiltered,
            ErrorKind::ContextLengthExceeded,
            ErrorKind::BudgetExceeded,
            ErrorKind::Cancelled,
            ErrorKind::ShuttingDown,
            ErrorKind::InternalError,
        ] {
            assert_eq!(steps(ALL, kind), [], "{kind}");
        }
    }

    #[test]
    fn a_call_that_was_shed_is_answered_only_by_what_asks_nobody() {
        assert_eq!(steps(ALL, ErrorKind::Shed), [Rung::Cache, Rung::Static]);
    }

    #[test]
    fn a_model_that_nobody_serves_is_told_and_one_that_a_provider_lost_is_stood_in_for() {
        assert_eq!(ALL.steps(ErrorKind::ModelNotFound, false).count(), 0);
        assert_eq!(ALL.steps(ErrorKind::ModelNotFound, true).count(), 4);
    }

    #[test]
    fn a_caller_that_allows_nothing_less_gets_nothing_less() {
        for kind in ErrorKind::ALL {
            assert_eq!(Ladder::NONE.steps(kind, true).count(), 0, "{kind}");
        }
    }

    #[test]
    fn time_is_kept_only_for_steps_that_take_it() {
        let remaining = Duration::from_secs(8);
        let kept = |ladder: Ladder| ladder.kept(remaining);
        assert_eq!(kept(Ladder::NONE), Duration::ZERO);
        assert_eq!(kept(Ladder { cache: true, ..Ladder::NONE }), Duration::ZERO);
        assert_eq!(kept(Ladder { fixed: true, ..Ladder::NONE }), Duration::from_millis(100));
        assert_eq!(kept(Ladder { smaller_model: true, ..Ladder::NONE }), Duration::from_secs(2));
        assert_eq!(kept(ALL), Duration::from_secs(4));
        assert_eq!(Ladder { fixed: true, ..Ladder::NONE }.kept(Duration::from_millis(32)), Duration::from_millis(2));
    }
}
