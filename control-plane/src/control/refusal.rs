//! Why something that was asked for is not done: in words that say what to do, and apart from how they travel.

use fusebox_rules::fleet::settings;
use fusebox_store::StoreError;

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was asked for is wrong, and where.
    #[error("the request is wrong: {}", listed(.0))]
    Invalid(Vec<Fault>),
    /// What was sent is longer than may be.
    #[error("the request is longer than {most} bytes, the most allowed")]
    TooLarge {
        /// In bytes.
        most: usize,
    },
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else has changed the settings meanwhile.
    #[error("the settings are at version {now} now, and not at {expected}: look at what was changed, and ask again")]
    Moved {
        /// Of which version they were to be.
        expected: u64,
        /// Of which they are.
        now: u64,
    },
    /// Models would be left that nobody serves.
    #[error("nobody would be left to serve {}; use force to do it all the same", .models.join(", "))]
    LastProvider {
        /// Their names.
        models: Vec<String>,
    },
    /// As much is set as may be.
    #[error("{0}")]
    Full(String),
    /// The store cannot do it now.
    #[error("{why}{}", if *.may_have_run { "; it may have been done all the same: look before you ask again" } else { "; nothing was changed: ask again" })]
    Unavailable {
        /// For people.
        why: String,
        /// Whether it may have been done.
        may_have_run: bool,
    },
    /// The caller has not said who they are, or not so that it is believed.
    #[error("{0}")]
    Unauthenticated(String),
    /// The caller may look, and not change anything.
    #[error("{0}")]
    Forbidden(String),
    /// The caller must wait.
    #[error("{why}")]
    TooMany {
        /// For people.
        why: String,
        /// For how long, in seconds.
        wait: u64,
    },
    /// A fault of our own.
    #[error("the control plane has failed: {0}")]
    Internal(String),
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field's path: `change.wait`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Fault {
    /// What is wrong with `field`.
    #[must_use]
    pub fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let may_have_run = matches!(error, StoreError::Unavailable { may_have_run: true, .. });
        Self::Unavailable { why: error.to_string(), may_have_run }
    }
}

impl From<settings::Refusal> for Refusal {
    fn from(refusal: settings::Refusal) -> Self {
        match refusal {
            settings::Refusal::Full => Self::Full("as much is set as may be: unset something first".to_owned()),
            settings::Refusal::BadName => Self::Invalid(vec![Fault::new(
                "name",
                "is empty or longer than 256 bytes: name a provider or a sidecar",
            )]),
        }
    }
}

fn listed(faults: &[Fault]) -> String {
    let each = faults.iter().map(|Fault { field, message }| format!("{field}: {message}"));
    each.collect::<Vec<_>>().join("; ")
}
