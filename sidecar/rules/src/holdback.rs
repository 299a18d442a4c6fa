//! How much of a stream is held back at its start, so that a break within it can still be mended unseen.

use std::time::Duration;

/// What is held back. Once more than that has come, everything is passed on as it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holdback {
    /// This many tokens; with none, nothing.
    Tokens(u32),
    /// What comes within this time of the first token.
    Time(Duration),
    /// All of it, to its end.
    Whole,
}

impl Holdback {
    /// Nothing.
    pub const NONE: Self = Self::Tokens(0);

    /// Whether `tokens`, of which the first came `since` ago, are still held back.
    #[must_use]
    pub fn holds(self, tokens: u32, since: Duration) -> bool {
        match self {
            Self::Tokens(most) => tokens <= most,
            Self::Time(longest) => since < longest,
            Self::Whole => true,
        }
    }

    /// When it ends of itself, from the first token on; `None`: it does not.
    #[must_use]
    pub const fn ends_after(self) -> Option<Duration> {
        match self {
            Self::Time(longest) => Some(longest),
            Self::Tokens(_) | Self::Whole => None,
        }
    }
}

impl Default for Holdback {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_more_than_is_held_back_lets_all_go() {
        let second = Duration::from_secs(1);
        for (holdback, tokens, since, holds) in [
            (Holdback::NONE, 1, Duration::ZERO, false),
            (Holdback::Tokens(3), 3, second, true),
            (Holdback::Tokens(3), 4, Duration::ZERO, false),
            (Holdback::Time(second), 1000, second / 2, true),
            (Holdback::Time(second), 1, second, false),
            (Holdback::Time(Duration::ZERO), 1, Duration::ZERO, false),
            (Holdback::Whole, u32::MAX, Duration::MAX, true),
        ] {
            assert_eq!(holdback.holds(tokens, since), holds, "{holdback:?} at {tokens} after {since:?}");
        }
    }
}
