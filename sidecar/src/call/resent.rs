//! Answers under idempotency keys, for calls that are sent again after their end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Answered,
    outcome::{Outcome, Source},
    recall::{self, Ready},
    way::Way,
};
use crate::{cache::Weigh, chat::answer::Whole, digest::Digest};

/// An answer, and to what.
#[derive(Debug)]
pub(super) struct Replay {
    /// What was asked.
    pub(super) fingerprint: Digest,
    outcome: Outcome,
    answer: Ready,
}

impl Replay {
    pub(super) fn new(fingerprint: Digest, outcome: &Outcome, answer: Ready) -> Self {
        let answer = match answer {
            // A copy, for what came off the wire may be a small part of a large buffer.
            Ready::Whole(whole) => Ready::Whole(Whole { body: Bytes::copy_from_slice(&whole.body), ..whole }),
            events @ Ready::Events(_) => events,
        };
        Self { fingerprint, outcome: Outcome { attempts: Vec::new(), ..outcome.clone() }, answer }
    }

    /// Once more, so long after.
    pub(super) fn told(&self, mut way: Box<Way>, age: Duration) -> Answered {
        let mut outcome = Outcome { correlation_id: Arc::clone(&way.call.correlation_id), ..self.outcome.clone() };
        (outcome.source, outcome.age) = (Some(Source::Cache), Some(age));
        let age = recall::seconds(age);
        outcome.warnings.push(format!("the answer to the same call under this idempotency key, {age} old"));
        way.outcome = outcome;
        way.answered_with(self.answer.clone())
    }
}

impl Weigh for Replay {
    fn weigh(&self) -> usize {
        let (bytes, model) = match &self.answer {
            Ready::Whole(whole) => (&whole.body, &whole.model),
            Ready::Events(said) => (&said.events, &said.model),
        };
        let warnings: usize = self.outcome.warnings.iter().map(|text| text.len() + size_of::<String>()).sum();
        bytes.len() + model.as_ref().map_or(0, String::len) + warnings + self.outcome.correlation_id.len()
    }
}
