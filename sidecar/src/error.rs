//! A failure as it travels through the sidecar: what happened, and what is known about it.

use std::{sync::Arc, time::Duration};

pub use fusebox_rules::error::ErrorKind;
use fusebox_rules::usage::Usage;

/// A failed attempt, or a failed call. Making one has no side effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What happened.
    pub kind: ErrorKind,
    /// A sentence for the caller, free of the provider's raw words, hosts and keys.
    pub message: String,
    /// Who failed; `None`: nobody was asked.
    pub provider: Option<Arc<str>>,
    /// How long to stay away, where that is known.
    pub wait: Option<Duration>,
    /// What is wrong with the request, field by field.
    pub fields: Vec<FieldFault>,
    /// Facts for the caller, by name: limits, lengths, providers tried.
    pub details: Vec<(&'static str, String)>,
    /// Whether the provider was passed over without being asked.
    pub unasked: bool,
    /// Whether the provider said not to ask it again.
    pub final_here: bool,
    /// Tokens that a failed attempt used all the same, if the provider said.
    pub usage: Option<Usage>,
    /// The provider's raw words, for logs at debug, and for callers only while that is on.
    pub inside: Option<Box<str>>,
    /// Messages that tell a model what was wrong with its answer, its answer among them; for that model and nobody
    /// else. `None`: there is nothing particular to say.
    pub complaint: Option<Box<[serde_json::Value]>>,
}

/// One fault of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Where: `messages[2].content[0].text`.
    pub path: String,
    /// What is wrong and what would be right, for a person.
    pub message: String,
}

impl Failure {
    /// A failure of `kind`, told to the caller in `message`.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            provider: None,
            wait: None,
            fields: Vec::new(),
            details: Vec::new(),
            unasked: false,
            final_here: false,
            usage: None,
            inside: None,
            complaint: None,
        }
    }

    /// A request refused for what is wrong with its fields.
    #[must_use]
    pub fn fields(fields: Vec<FieldFault>) -> Self {
        let message = match fields.as_slice() {
            [one] => format!("{}: {}", one.path, one.message),
            many => format!("the request has {} faults; field_errors names each", many.len()),
        };
        Self { fields, ..Self::new(ErrorKind::InvalidInput, message) }
    }

    /// The same, blaming `provider`.
    #[must_use]
    pub fn by(mut self, provider: &Arc<str>) -> Self {
        self.provider = Some(Arc::clone(provider));
        self
    }

    /// The same, with how long to stay away.
    #[must_use]
    pub fn wait(mut self, wait: Option<Duration>) -> Self {
        self.wait = wait;
        self
    }

    /// The same, of a provider that was passed over.
    #[must_use]
    pub fn unasked(mut self) -> Self {
        self.unasked = true;
        self
    }

    /// The same, with a fact for the caller.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "facts are numbers and literals, which are passed by value")]
    pub fn detail(mut self, name: &'static str, value: impl ToString) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    /// The same, with what the attempt used.
    #[must_use]
    pub fn used(mut self, usage: Option<Usage>) -> Self {
        self.usage = usage.or(self.usage);
        self
    }

    /// The fact called `name`, if it is a number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.details.iter().find(|(named, _)| *named == name).and_then(|(_, value)| value.parse().ok())
    }

    /// The same, with the provider's raw words.
    #[must_use]
    pub fn inside(mut self, words: impl Into<String>) -> Self {
        self.inside = Some(words.into().into_boxed_str());
        self
    }

    /// The HTTP status to answer with: the table's, but 422 where fields are named.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if self.fields.is_empty() { self.kind.row().http } else { 422 }
    }
}
