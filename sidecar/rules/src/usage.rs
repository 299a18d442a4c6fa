//! Tokens as a provider counts them.

/// What an attempt used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Of the prompt.
    pub input_tokens: u32,
    /// Of the answer.
    pub output_tokens: u32,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn total(self) -> u64 {
        u64::from(self.input_tokens) + u64::from(self.output_tokens)
    }
}
