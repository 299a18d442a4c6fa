//! What is answered: OpenAI-shaped JSON, whole or in events, beside the facts that decisions need.

use bytes::Bytes;
pub use fusebox_rules::usage::Usage;

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finish {
    /// It was done, or met a stop sequence.
    Stop,
    /// It reached the number of tokens allowed.
    Length,
    /// It asks for tools to be called.
    ToolCalls,
    /// The provider refused to go on.
    ContentFilter,
    /// It said why in a word not known here.
    Other,
}

/// An answer that came whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole {
    /// The document: `chat.completion`, `text_completion` or a list of embeddings.
    pub body: Bytes,
    /// Why the first choice stopped; `None` for embeddings.
    pub finish: Option<Finish>,
    /// What it cost, if the provider said.
    pub usage: Option<Usage>,
    /// `model` as the provider said it.
    pub model: Option<String>,
}

/// Some events of a stream, those that came together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunk {
    /// Whole server-sent events, each `data:` line holding an OpenAI chunk; never `[DONE]`.
    pub events: Bytes,
    /// Events in it that carry tokens: text, reasoning, a refusal, or part of a tool call.
    pub tokens: u32,
    /// Why the first choice stopped, if it did so here.
    pub finish: Option<Finish>,
    /// What it all cost, if the provider said so here.
    pub usage: Option<Usage>,
    /// `model` as the provider said it, in the first chunk that did.
    pub model: Option<String>,
}
