//! What follows when a stream breaks after the caller has been told some of it.
//!
//! Only that: an answer of which nothing has been passed on is retried like any other. Who could be asked is
//! counted elsewhere, and nothing here does the asking.

use std::time::Duration;

use crate::error::{ErrorKind, FailOver};

/// How a provider can be made to go on with a text that it did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Continuation {
    /// It cannot.
    None,
    /// It goes on with an assistant's message that ends the conversation.
    Prefill,
    /// The same, if `continue_final_message` says so, as vLLM and SGLang have it.
    ContinueFinalMessage,
}

/// What the caller has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Words of the answer, with or without thoughts before them.
    Words,
    /// Only what the model thinks before it answers. No provider takes thoughts to be continued.
    Thoughts,
    /// Something of which no two halves may be joined: a tool's call, several choices, log probabilities; or more
    /// than is kept.
    Parts,
}

/// What is known when a stream has broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How it broke.
    pub kind: ErrorKind,
    /// What the caller has been told.
    pub told: Told,
    /// Providers that would take the call now, can continue a text, and have not yet been asked to continue this one.
    pub can_continue: u32,
    /// Providers that would take the call now and have not yet been asked the whole question again.
    pub can_answer: u32,
    /// Attempts that the call may still make.
    pub attempts_left: u32,
    /// What is left of the call's deadline.
    pub remaining: Duration,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another provider is given the text so far, to be completed.
    Continue,
    /// The question is asked again, and the new answer held against the old one.
    AskAnew,
    /// The caller is told that the answer ends here, and how far it got.
    End,
}

/// Decides what follows.
#[must_use]
pub fn decide(facts: &Facts) -> Verdict {
    let elsewhere = matches!(facts.kind.row().fail_over, FailOver::Yes | FailOver::First);
    if !elsewhere || facts.attempts_left == 0 || facts.remaining.is_zero() {
        return Verdict::End;
    }
    match facts.told {
        Told::Parts => Verdict::End,
        Told::Words if facts.can_continue > 0 => Verdict::Continue,
        Told::Words | Told::Thoughts if facts.can_answer > 0 => Verdict::AskAnew,
        Told::Words | Told::Thoughts => Verdict::End,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CUT: Facts = Facts {
        kind: ErrorKind::StreamBroken,
        told: Told::Words,
        can_continue: 1,
        can_answer: 1,
        attempts_left: 1,
        remaining: Duration::from_secs(1),
    };

    #[test]
    fn the_first_way_that_serves_is_taken() {
        let table = [
            ("words, and someone can continue them", CUT, Verdict::Continue),
            ("words that nobody can continue", Facts { can_continue: 0, ..CUT }, Verdict::AskAnew),
            ("nobody left to ask", Facts { can_continue: 0, can_answer: 0, ..CUT }, Verdict::End),
            ("thoughts are not continued", Facts { told: Told::Thoughts, ..CUT }, Verdict::AskAnew),
            ("thoughts, nobody to ask", Facts { told: Told::Thoughts, can_answer: 0, ..CUT }, Verdict::End),
            ("parts are never joined", Facts { told: Told::Parts, ..CUT }, Verdict::End),
            ("no attempt left", Facts { attempts_left: 0, ..CUT }, Verdict::End),
            ("no time left", Facts { remaining: Duration::ZERO, ..CUT }, Verdict::End),
            ("too slow in all", Facts { kind: ErrorKind::InferenceTimeout, ..CUT }, Verdict::Continue),
            ("an error in an event", Facts { kind: ErrorKind::ModelOverloaded, ..CUT }, Verdict::Continue),
            ("a refusal stands", Facts { kind: ErrorKind::ContentFiltered, ..CUT }, Verdict::End),
            ("the sidecar is ending", Facts { kind: ErrorKind::ShuttingDown, ..CUT }, Verdict::End),
        ];
        for (what, facts, expected) in table {
            assert_eq!(decide(&facts), expected, "{what}");
        }
    }

    proptest! {
        #[test]
        fn nobody_is_asked_who_is_not_there(
            kind in prop::sample::select(&ErrorKind::ALL[..]),
            can_continue in 0_u32..3, can_answer in 0_u32..3, attempts_left in 0_u32..3, millis in 0_u64..3,
        ) {
            for told in [Told::Words, Told::Thoughts, Told::Parts] {
                let remaining = Duration::from_millis(millis);
                let verdict = decide(&Facts { kind, told, can_continue, can_answer, attempts_left, remaining });
                prop_assert!(verdict != Verdict::Continue || can_continue > 0 && told == Told::Words);
                prop_assert!(verdict != Verdict::AskAnew || can_answer > 0);
                prop_assert!(verdict == Verdict::End || attempts_left > 0 && millis > 0);
            }
        }
    }
}
