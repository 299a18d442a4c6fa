//! What is done once every provider has failed: the ladder's steps, each of which says in the outcome that it was taken.

use std::sync::Arc;

use fusebox_rules::{
    deadline::MAX_DEADLINE,
    ladder::{Ladder, Rung},
};

use super::{
    Reached, batch,
    chain::Found,
    outcome::{Quality, Source},
    recall::{self, Ready},
    way::Way,
};
use crate::{
    chat::{
        answer::{Chunk, Whole},
        fixed::{self, Dress},
        replay,
        request::Operation,
    },
    clock,
    config::CacheMode,
    error::{ErrorKind, Failure},
};

/// Attempts with a shorter prompt: what failed for all is not to be asked of all once more.
const SHORTER_ATTEMPTS: u32 = 2;

impl Way {
    /// Asks the chain, which leaves over the time that the steps after it need.
    ///
    /// # Errors
    /// As the chain.
    pub(super) async fn chain_above_the_ladder(&mut self) -> Result<Found, Failure> {
        let (now, deadline) = (clock::now(), self.deadline);
        let remaining = deadline.since(now);
        // Where the caller did not say how long it waits, the steps take their own time after the chain's.
        if self.call.timeout.is_some() {
            self.deadline = now + (remaining - self.ladder().kept(remaining).min(remaining));
        }
        let found = batch::chain(self).await;
        self.deadline = deadline;
        found
    }

    /// Takes the steps down from `failure`, until one answers.
    ///
    /// # Errors
    /// `failure`, if none does; or what a step met that must be told instead.
    pub(super) async fn descend(&mut self, failure: Failure) -> Result<Reached, Failure> {
        let ladder = self.ladder();
        let attempts = &self.outcome.attempts;
        // A refusal among other failures is a refusal all the same, and is not got round.
        let refused = attempts.iter().any(|attempt| attempt.error == Some(ErrorKind::ContentFiltered));
        if ladder.is_none() || refused {
            return Err(failure);
        }
        let asked = failure.provider.is_some() || !attempts.is_empty();
        for rung in ladder.steps(failure.kind, asked) {
            let reached = match rung {
                Rung::SmallerModel => self.ask_smaller(failure.kind).await,
                Rung::Cache => Ok(self.recall_instead(failure.kind).await),
                Rung::Simplified => self.ask_simplified(failure.kind).await,
                Rung::Static => Ok(self.say_what_is_set(failure.kind)),
            };
            match reached {
                Ok(Some(reached)) => return Ok(reached),
                Ok(None) => {}
                // The step's own failure says that no step may follow: a refusal, or the end of the process.
                Err(other) if ladder.steps(other.kind, true).next().is_none() => return Err(other),
                Err(_) => {}
            }
        }
        Err(failure)
    }

    /// The steps that this call has, by the configuration and by what its caller allows.
    fn ladder(&self) -> Ladder {
        let (config, options) = (&self.plan().config, &self.call.options);
        if options.allow_degraded == Some(false) {
            return Ladder::NONE;
        }
        let set = &config.degradation;
        let speaks = matches!(self.call.request.operation, Operation::Chat | Operation::Completion);
        let smaller =
            set.fallback_model.as_deref().is_some_and(|name| name != recall::model(&self.call.request, config));
        Ladder {
            smaller_model: speaks && smaller,
            // Where it was to be read first, it has been.
            cache: self.question.is_some() && recall::mode(&self.call, config) == CacheMode::Fallback,
            simplified: speaks && (options.simplified_prompt.is_some() || set.simplified_prompt.is_some()),
            fixed: speaks && (options.fallback_response.is_some() || set.fallback_response.is_some()),
        }
    }

    async fn ask_smaller(&mut self, kind: ErrorKind) -> Result<Option<Reached>, Failure> {
        let current = Arc::clone(&self.current);
        let Some(name) = current.plan.config.degradation.fallback_model.as_deref() else { return Ok(None) };
        let Some(route) = current.plan.route(name).map(Arc::clone) else { return Ok(None) };
        if !current.plan.config.models.is_empty() && Arc::ptr_eq(&route, &self.route) {
            // Under load it was asked in the first place.
            return Ok(None);
        }
        let question = if current.plan.config.models.is_empty() {
            // No seat has a name for it, so the question itself must.
            let Some(question) = self.call.request.of_model(name) else { return Ok(None) };
            question
        } else {
            self.call.request.clone()
        };
        let (own, asked) =
            (std::mem::replace(&mut self.route, route), std::mem::replace(&mut self.call.request, question));
        let found = self.ask_below(Rung::SmallerModel, kind, format!("{name}, a smaller model, answered")).await;
        if !matches!(found, Ok(Some(_))) {
            (self.route, self.call.request) = (own, asked);
        }
        found
    }

    async fn ask_simplified(&mut self, kind: ErrorKind) -> Result<Option<Reached>, Failure> {
        let own = self.call.options.simplified_prompt.clone();
        let set = self.plan().config.degradation.simplified_prompt.as_deref();
        let Some(prompt) = own.as_deref().or(set) else { return Ok(None) };
        let Some(shorter) = self.call.request.simplified(prompt) else { return Ok(None) };
        let asked = std::mem::replace(&mut self.call.request, shorter);
        let left = self.attempts_left;
        self.attempts_left = left.min(SHORTER_ATTEMPTS);
        let found = self.ask_below(Rung::Simplified, kind, "a shorter prompt was answered".to_owned()).await;
        if !matches!(found, Ok(Some(_))) {
            self.call.request = asked;
        }
        found
    }

    /// Asks the chain as it now stands, if time and attempts are left, and notes `what` if it answers.
    async fn ask_below(&mut self, rung: Rung, kind: ErrorKind, what: String) -> Result<Option<Reached>, Failure> {
        if self.call.timeout.is_none() {
            let patience = self.route.patience(self.call.request.stream);
            self.deadline = (clock::now() + patience).min(self.call.arrived + MAX_DEADLINE);
        }
        if self.attempts_left == 0 || clock::now() >= self.deadline {
            return Ok(None);
        }
        self.trace.descended(rung, kind);
        let found = self.chain_within_windows().await?;
        self.rung = Some(rung);
        self.limit(format!("no provider could answer ({kind}): {what}"));
        Ok(Some(Reached::Found(found)))
    }

    async fn recall_instead(&mut self, kind: ErrorKind) -> Option<Reached> {
        let ready = self.recall().await?;
        self.trace.descended(Rung::Cache, kind);
        let age = recall::seconds(self.outcome.age.unwrap_or_default());
        self.warn(format!("no provider could answer ({kind}): the answer to an equal call, {age} old"));
        Some(Reached::Ready(ready))
    }

    fn say_what_is_set(&mut self, kind: ErrorKind) -> Option<Reached> {
        let own = self.call.options.fallback_response.clone();
        let set = self.plan().config.degradation.fallback_response.as_deref();
        let request = &self.call.request;
        let dress = Dress {
            id: &self.call.correlation_id,
            model: recall::model(request, &self.plan().config),
            created: clock::unix_now().as_secs(),
            choices: request.choices,
        };
        let whole = fixed::whole(request.operation, own.as_deref().or(set)?, dress)?;
        let ready = if request.stream {
            let Whole { body, finish, usage, model } = whole;
            let told = replay::events(request.operation, &body, replay::asks_for_usage(&request.body))?;
            Ready::Events(Chunk { finish, usage, model, ..told })
        } else {
            Ready::Whole(whole)
        };
        self.trace.descended(Rung::Static, kind);
        self.outcome.source = Some(Source::Static);
        self.outcome.quality = Quality::Unavailable;
        self.warn(format!("no provider could answer ({kind}): a text that was set for that case"));
        Some(Reached::Ready(ready))
    }
}
