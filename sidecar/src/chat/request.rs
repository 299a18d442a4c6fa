//! What is asked: an OpenAI-shaped JSON document whose shape has been checked.

use std::ops::Range;

use bytes::Bytes;

use super::{
    aside::Aside,
    edit::{Edit, edited},
};

/// Which of OpenAI's endpoints a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `/chat/completions`
    Chat,
    /// `/completions`
    Completion,
    /// `/embeddings`
    Embed,
    /// `/images/generations`
    Image,
}

impl Operation {
    /// The endpoint's path below a provider's base URL.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Completion => "/completions",
            Self::Embed => "/embeddings",
            Self::Image => "/images/generations",
        }
    }

    /// Whether what it gives is measured in tokens.
    #[must_use]
    pub const fn has_tokens(self) -> bool {
        matches!(self, Self::Chat | Self::Completion)
    }

    /// The value of OpenTelemetry's `gen_ai.operation.name`; for images a word of our own, there being none yet.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "text_completion",
            Self::Embed => "embeddings",
            Self::Image => "image_generation",
        }
    }
}

/// A request of good shape. `body` is a JSON object; the other fields are what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Which endpoint it is for.
    pub operation: Operation,
    /// The whole document, as it came.
    pub body: Bytes,
    /// `model` as the caller named it; empty: the default.
    pub model: String,
    /// Where in `body` the value of `model` stands, quotes included; `None`: it is absent.
    pub model_span: Option<Range<usize>>,
    /// `stream`
    pub stream: bool,
    /// How many choices, embeddings or images are asked for, `n` for each prompt or input; at least 1.
    pub choices: u32,
    /// Whether an empty answer can be a good one: a `stop` sequence may come first, and a text may be at its end.
    pub may_be_empty: bool,
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens: Option<u64>,
    /// Where in `body` that number, or a null in its place, stands.
    pub max_tokens_span: Option<Range<usize>>,
    /// What the answer's form is to be.
    pub formats: Formats,
    /// Control characters, and halves of characters, that were taken out of its texts.
    pub removed: u32,
    /// What of `body` does not shape the answer; `None`: that cannot be told.
    pub aside: Option<Aside>,
}

/// Where in a request's body it says what form its answer is to have. What is absent or null has no place.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Formats {
    /// `response_format`
    pub response_format: Option<Range<usize>>,
    /// `tools`
    pub tools: Option<Range<usize>>,
    /// `functions`, which `tools` has replaced.
    pub functions: Option<Range<usize>>,
}

impl Formats {
    /// Whether the answer may have any form.
    #[must_use]
    pub const fn are_none(&self) -> bool {
        self.response_format.is_none() && self.tools.is_none() && self.functions.is_none()
    }
}

impl Request {
    /// The document with `model` (and, where given, the number of tokens) replaced, or added where it is absent; nothing
    /// else is touched. Embeddings and images have no such number.
    #[must_use]
    pub fn body_for(&self, model: Option<&str>, max_tokens: Option<u64>) -> Bytes {
        let mut edits: Vec<Edit> = Vec::new();
        if let Some(model) = model.filter(|model| *model != self.model || self.model_span.is_none()) {
            let quoted = serde_json::Value::from(model).to_string();
            match &self.model_span {
                Some(span) => edits.push((span.clone(), quoted)),
                None => edits.push((self.after_brace(), format!("\"model\":{quoted},"))),
            }
        }
        if let Some(tokens) = max_tokens.filter(|_| self.operation.has_tokens()) {
            match &self.max_tokens_span {
                Some(span) => edits.push((span.clone(), tokens.to_string())),
                None => edits.push((self.after_brace(), format!("\"max_tokens\":{tokens},"))),
            }
        }
        if edits.is_empty() {
            return self.body.clone();
        }
        edits.sort_by_key(|(span, _)| span.start);
        edited(&self.body, &edits)
    }

    /// The empty span just after the document's opening brace. A checked request has at least one
    /// field, so a comma may follow what is inserted there.
    fn after_brace(&self) -> Range<usize> {
        let at = self.body.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
        at..at
    }
}
