//! What a call gets less of while load is high: a smaller model, fewer tokens, and one try more with half of them.
//!
//! Whatever is taken away is said in the outcome. A caller that will have no degraded answer is given a full one, or
//! an error.

use std::sync::Arc;

use fusebox_rules::{
    degradation::Level,
    error::{Blame, FailOver},
};

use super::{chain::Found, way::Way};
use crate::{clock, error::Failure};

impl Way {
    /// Whether the caller may be given less than it asked for because of load.
    fn may_be_less(&self) -> bool {
        self.outcome.level != Level::Full && self.call.options.allow_degraded != Some(false)
    }

    /// At the minimal level, takes the model's smaller sibling where it has one.
    pub(super) fn prefer_smaller(&mut self) {
        if self.outcome.level != Level::Minimal || !self.may_be_less() {
            return;
        }
        let Some((smaller, route)) = self.plan().smaller(&self.call.request.model) else { return };
        let (smaller, route) = (Arc::clone(smaller), Arc::clone(route));
        self.route = route;
        self.detour = true;
        self.limit(format!("load is high (level minimal): the smaller model {smaller} was asked"));
    }

    /// Asks for fewer tokens at a lower level. A call that sets no number of them is left alone, unless the
    /// configuration says what such a call is taken to ask for: a limit that nobody set would cut answers in
    /// mid-sentence.
    pub(super) fn adjust(&mut self) {
        if !self.may_be_less() {
            return;
        }
        if !self.call.request.operation.has_tokens() {
            return self.fewer_steps();
        }
        let level = self.outcome.level;
        let Some(asked) = self.call.request.max_tokens.or(self.plan().config.degradation.assumed_max_tokens) else {
            return;
        };
        let fewer = level.fewer(asked);
        if fewer < asked && self.ask_for(fewer) {
            self.limit(format!(
                "load is high (level {}): {fewer} tokens were asked for instead of {asked}",
                level.name()
            ));
        }
    }

    /// The inputs that are asked for at once of whoever is first to embed: fewer at a lower level, so that others'
    /// requests come in between. What is answered is the same.
    pub(super) fn batch_limit(&mut self) -> Option<u32> {
        let limit = self.route.batch_limit()?;
        let inputs = limit.min(self.call.request.choices);
        let fewer = u32::try_from(self.outcome.level.batch(usize::try_from(inputs).unwrap_or(usize::MAX)));
        let fewer = fewer.unwrap_or(inputs);
        if !self.may_be_less() || fewer >= inputs {
            return Some(limit);
        }
        let level = self.outcome.level.name();
        self.warn(format!("load is high (level {level}): the inputs were asked for {fewer} at a time"));
        Some(fewer)
    }

    /// One last try of a call that failed at a lower level, for half the tokens or a smaller image. It is paid for as a
    /// retry is.
    ///
    /// # Errors
    /// What the chain had come to, if that is not what fewer tokens could help with, or if this try fails too.
    pub(super) async fn in_emergency(&mut self, failure: Failure) -> Result<Found, Failure> {
        let row = failure.kind.row();
        // A failure of the provider's own, which was asked: not a refusal of this call, nor a gate that is closed.
        let may_help = row.blame == Blame::Breaker && matches!(row.fail_over, FailOver::Yes | FailOver::First);
        if !self.may_be_less() || !may_help || failure.unasked {
            return Err(failure);
        }
        let request = &self.call.request;
        let (less, what) = match request.operation.has_tokens() {
            true => {
                (request.with_max_tokens(request.half_the_tokens()), format!("{} tokens", request.half_the_tokens()))
            }
            false => (request.for_less_image(), "a smaller image".to_owned()),
        };
        let Some(less) = less else { return Err(failure) };
        let in_time = self.attempts_left > 0 && self.deadline > clock::now();
        let order = self.route.order(self.call.request.operation);
        let next = order.iter().find(|(_, seat)| seat.upstream.gate.would_admit());
        if !in_time || !next.is_some_and(|(_, seat)| seat.upstream.gate.withdraw()) {
            return Err(failure);
        }
        let asked = std::mem::replace(&mut self.call.request, less);
        let before = std::mem::replace(&mut self.attempts_left, 1);
        let found = self.chain_within_windows().await;
        self.attempts_left = before.saturating_sub(1);
        match found {
            Ok(found) => {
                self.limit(format!("it failed while load was high, and was asked once more for {what}"));
                Ok(found)
            }
            // What happened first says more than what an emergency came to, and what may follow is no emergency.
            Err(_) => {
                self.call.request = asked;
                Err(failure)
            }
        }
    }

    fn ask_for(&mut self, tokens: u64) -> bool {
        let Some(fewer) = self.call.request.with_max_tokens(tokens) else { return false };
        self.call.request = fewer;
        true
    }
}
