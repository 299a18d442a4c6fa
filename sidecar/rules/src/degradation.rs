//! How much of what callers ask is given, by how loaded the pod is.

/// How much is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// All of it.
    #[default]
    Full,
    /// Shorter answers.
    Reduced,
    /// The shortest, and only to those who wait for them.
    Minimal,
}

impl Level {
    /// Its name in headers, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
            Self::Minimal => "minimal",
        }
    }
}
