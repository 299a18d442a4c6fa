//! What answers calls: one file a vendor's wire format, one HTTP client for all.
//!
//! A provider is asked once and answers once. Whether it is asked at all, again, or in vain, is
//! decided elsewhere.

pub mod anthropic;
mod dial;
pub mod fault;
#[cfg(test)]
mod fixture;
pub mod http;
pub mod openai;
pub mod page;
pub mod simulated;
pub mod stream;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use fusebox_rules::come_back::left::AllLeft;

use crate::{
    call::TraceContext,
    chat::{
        answer::{Finish, Whole},
        request::{Operation, Request},
    },
    config::{self, ProviderKind},
    error::{ErrorKind, Failure},
};

/// One attempt's question.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the caller asked.
    pub request: &'a Request,
    /// What the provider calls the model; `None`: what the caller called it.
    pub model: Option<&'a str>,
    /// Instead of the caller's number of tokens.
    pub max_tokens: Option<u64>,
    /// The call's id, sent on.
    pub correlation_id: &'a str,
    /// The trace to continue.
    pub trace: &'a TraceContext,
    /// What is left for this attempt, sent on.
    pub timeout: Duration,
    /// Where to say what the answer's head says is left of the provider's rate limits; `None`: nobody wants to know.
    pub left: Option<&'a OnceLock<AllLeft>>,
}

/// A provider's answer, and what of the question it could not take.
#[derive(Debug)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// For people: what was left out of the question.
    pub warnings: Vec<String>,
}

/// A provider's answer.
#[derive(Debug)]
pub enum Answer {
    /// All of it.
    Whole(Whole),
    /// Its head came; its events follow.
    Stream(stream::Chunks),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, warnings: Vec::new() }
    }
}

/// A provider that can be asked.
#[derive(Debug)]
pub enum Provider {
    /// OpenAI's wire format.
    OpenAi(openai::OpenAi),
    /// Anthropic's.
    Anthropic(anthropic::Anthropic),
    /// None: it answers by itself.
    Simulated(simulated::Simulated),
}

impl Provider {
    /// The provider that `settings` describe.
    ///
    /// # Errors
    /// A sentence that says which part of the address, key or proxy cannot be used.
    pub fn try_new(settings: &Arc<config::Provider>, max_answer: usize) -> Result<Self, String> {
        Ok(match settings.kind {
            ProviderKind::OpenAi => Self::OpenAi(openai::OpenAi::try_new(settings, max_answer)?),
            ProviderKind::Anthropic => Self::Anthropic(anthropic::Anthropic::try_new(settings, max_answer)?),
            ProviderKind::Simulated => Self::Simulated(simulated::Simulated::new(settings)),
        })
    }

    /// Asks once. Dropping the future, or the stream that it gives, takes the question back: the
    /// provider sees its connection close.
    ///
    /// # Errors
    /// Whatever went wrong, classified.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Reply, Failure> {
        match self {
            Self::OpenAi(provider) => provider.ask(ask).await,
            Self::Anthropic(provider) => provider.ask(ask).await,
            Self::Simulated(provider) => provider.ask(ask).await,
        }
    }
}

/// Whether providers of `kind` have an endpoint for `operation`.
#[must_use]
pub const fn serves(kind: ProviderKind, operation: Operation) -> bool {
    match kind {
        ProviderKind::OpenAi | ProviderKind::Simulated => true,
        ProviderKind::Anthropic => matches!(operation, Operation::Chat),
    }
}

/// The failure that a complete answer without a word is, or one that its filter cut off.
fn said_nothing(finish: Option<Finish>) -> Failure {
    match finish {
        Some(Finish::ContentFilter) => {
            Failure::new(ErrorKind::ContentFiltered, fault::sentence(ErrorKind::ContentFiltered))
        }
        _ => Failure::new(ErrorKind::InvalidResponse, "the provider's answer was empty"),
    }
}
