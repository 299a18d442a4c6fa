//! What a simulated provider says, when, and how it fails: a plan, and no more.

use std::time::Duration;

use crate::{
    chat::{
        answer::{Finish, Usage},
        request::Operation,
    },
    error::Failure,
};

/// Characters in a token; white space begins one.
const TOKEN: usize = 8;

/// A whole answer, laid out in steps: one for each token, and a last one for the finish.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) operation: Operation,
    pub(super) id: String,
    /// Seconds of Unix time.
    pub(super) created: u64,
    pub(super) model: String,
    /// One for each prompt.
    pub(super) answers: Vec<Answer>,
    /// Choices with the same text for each prompt.
    pub(super) choices: usize,
    pub(super) prompt_tokens: u32,
    pub(super) include_usage: bool,
    pub(super) breaks: Option<Breaks>,
    pub(super) pace: Pace,
}

/// What is said to one prompt.
#[derive(Debug)]
pub(super) struct Answer {
    /// Of the tool to call, if this is its arguments.
    pub(super) tool: Option<String>,
    pub(super) finish: Finish,
    text: String,
    /// Where each token ends in the text.
    ends: Vec<usize>,
}

impl Answer {
    /// `text`, or as much of it as `most` tokens hold; then it is for its length that it stops.
    pub(super) fn new(mut text: String, tool: Option<String>, finish: Finish, most: usize) -> Self {
        let mut ends: Vec<usize> = ends(&text).collect();
        let cut = ends.len() > most;
        if cut {
            ends.truncate(most);
            text.truncate(ends.last().copied().unwrap_or(0));
        }
        Self { tool, finish: if cut { Finish::Length } else { finish }, text, ends }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn token(&self, step: usize) -> Option<&str> {
        let start = step.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        self.text.get(start..*self.ends.get(step)?)
    }
}

/// How an answer fails.
#[derive(Debug, Clone)]
pub(super) enum Breaks {
    /// In place of any answer.
    AtOnce(Failure),
    /// In place of a step.
    After { tokens: usize, failure: Failure },
    /// It goes silent in place of a step.
    Silently { tokens: usize },
}

impl Breaks {
    /// The failure, once it is known to have come. Silence never ends.
    pub(super) async fn failure(self) -> Failure {
        match self {
            Self::AtOnce(failure) | Self::After { failure, .. } => failure,
            Self::Silently { .. } => std::future::pending().await,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) first_token: Duration,
    pub(super) tokens_per_second: f64,
}

impl Script {
    /// Steps before the finish.
    pub(super) fn steps(&self) -> usize {
        self.answers.iter().map(|answer| answer.ends.len()).max().unwrap_or(0)
    }

    /// When `step` is due, counted from the start.
    pub(super) fn due(&self, step: usize) -> Duration {
        let after_first = u32::try_from(step.min(self.steps().saturating_sub(1))).unwrap_or(u32::MAX);
        self.pace.first_token.saturating_add(self.pace.between().saturating_mul(after_first))
    }

    /// The step in whose place it fails.
    pub(super) fn breaks_at(&self) -> Option<usize> {
        self.breaks.as_ref().map(|breaks| match breaks {
            Breaks::AtOnce(_) => 0,
            Breaks::After { tokens, .. } | Breaks::Silently { tokens } => (*tokens).min(self.steps()),
        })
    }

    pub(super) fn usage(&self) -> Usage {
        let said: usize = self.answers.iter().map(|answer| answer.ends.len() * self.choices).sum();
        Usage { input_tokens: self.prompt_tokens, output_tokens: u32::try_from(said).unwrap_or(u32::MAX) }
    }
}

impl Pace {
    fn between(self) -> Duration {
        if self.tokens_per_second > 0.0 {
            Duration::try_from_secs_f64(1.0 / self.tokens_per_second).unwrap_or(Duration::MAX)
        } else {
            Duration::ZERO
        }
    }
}

/// Where each token of `text` ends.
pub(super) fn ends(text: &str) -> impl Iterator<Item = usize> {
    let mut letters = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (mut length, mut in_word) = (0, false);
        while let Some((at, letter)) = letters.peek().copied() {
            if length == TOKEN || in_word && letter.is_whitespace() {
                return Some(at);
            }
            in_word |= !letter.is_whitespace();
            length += 1;
            letters.next();
        }
        (length > 0).then_some(text.len())
    })
}
