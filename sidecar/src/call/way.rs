//! One call on its way: all that is known of it, from its admission until its one outcome is told.
//!
//! It owns what it needs, so that an answer that has begun can outlive the door's request for it, and be gone on
//! with elsewhere.

use std::{fmt, sync::Arc};

use fusebox_rules::{deadline, holdback::Holdback, ladder::Rung, moment::Moment};

use super::{
    Call, Current, Refused, Shared, Sidecar,
    admit::Place,
    estimate::Measured,
    length::Length,
    outcome::{Outcome, Quality, Source},
    passing::Passing,
    plan::{Plan, Route, Seat},
    recall::{self, Made, Question},
    run::Ticket,
    spent::Lost,
    unknown_model,
};
use crate::{
    chat::answer::{Chunk, Finish, Usage, Whole},
    error::Failure,
    fleet::Patience,
    telemetry::{CallEnd, CallTrace},
    validate::{Checker, StreamCheck},
};

/// Attempts in one call, whatever is configured.
const MAX_ATTEMPTS: u32 = 64;

/// One call on its way.
pub(super) struct Way {
    /// The configuration that it began under, which it keeps to its end.
    pub(super) current: Arc<Current>,
    /// Who may be asked.
    pub(super) route: Arc<Route>,
    pub(super) call: Call,
    pub(super) shared: Arc<Shared>,
    /// By which its answer is remembered; `None`: it is not.
    pub(super) question: Option<Question>,
    /// The step down at which a provider answered, if not above them all.
    pub(super) rung: Option<Rung>,
    /// Whether others may listen to its stream when its caller's own deadline has passed.
    pub(super) outlives_its_caller: bool,
    /// The thread that it is served by.
    pub(super) worker: usize,
    pub(super) deadline: Moment,
    pub(super) trace: CallTrace,
    /// What is known so far of how it went.
    pub(super) outcome: Outcome,
    pub(super) attempts_left: u32,
    /// Times that a model may still be told what was wrong with its answer.
    pub(super) reprompts_left: u32,
    /// What the answer is held to; `None`: to nothing.
    pub(super) checker: Option<Checker>,
    /// Its part in an agent run, if it belongs to one.
    pub(super) run: Option<Box<Ticket>>,
    /// Whether the first to be asked is not who would answer in better times.
    pub(super) detour: bool,
    pub(super) place: Place,
    /// Attempts that cost something and came to nothing.
    pub(super) lost: Vec<Lost>,
    /// Tokens of the last prompt that were of an answer to be continued.
    pub(super) repeated: u32,
    /// Whether the caller has been told some of an answer that broke off.
    pub(super) is_resuming: bool,
    /// The check of a streamed answer, where there is one.
    pub(super) check: Option<StreamCheck>,
    /// What passes of a streamed answer.
    pub(super) passing: Option<Passing>,
    /// What is known of the prompt's length; `None`: that it is short.
    pub(super) length: Option<Box<Length>>,
    /// How large the prompt is, where a limit on tokens makes that matter.
    pub(super) measured: Option<Measured>,
    /// How long it may still wait for what only the fleet's store knows.
    pub(super) patience: Patience,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct End<'a> {
    /// How it failed; `None`: it was answered to its end.
    pub(super) error: Option<&'a Failure>,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
    /// The model that answered, in the provider's words.
    pub(super) model: Option<&'a str>,
    /// The whole answer, where it came so.
    pub(super) whole: Option<&'a Whole>,
    /// What was said, where that may be worth remembering.
    pub(super) answer: Option<Made<'a>>,
}

impl Way {
    /// Sets out.
    ///
    /// # Errors
    /// The configuration knows no such model.
    pub(super) fn begin(sidecar: &Sidecar, call: Call) -> Result<Box<Self>, Box<Refused>> {
        let current = sidecar.shared.current.load_full();
        let trace = sidecar.shared.telemetry.begin(&current.labels, &call, call.door);
        let place = Place::take(&sidecar.shared.places);
        let outcome = Outcome { level: sidecar.shared.pressure.level(), ..Outcome::new(&call) };
        let Some(route) = current.plan.route(&call.request.model).map(Arc::clone) else {
            let failure = unknown_model(&call.request.model);
            tell(trace, &outcome, &End { error: Some(&failure), ..End::default() });
            return Err(Box::new(Refused { failure, outcome }));
        };
        let deadline = call.arrived + deadline::for_call(call.timeout, route.patience(call.request.stream));
        let allowed = call.options.max_attempts.unwrap_or(MAX_ATTEMPTS).clamp(1, MAX_ATTEMPTS);
        // The caller's SDK has made some of the attempts already.
        let attempts_left = allowed.saturating_sub(call.options.retries_before).max(1);
        let reprompts_left = current.plan.config.validation.max_reprompts;
        Ok(Box::new(Self {
            question: recall::question(&call, &current.plan.config),
            shared: Arc::clone(&sidecar.shared),
            worker: sidecar.worker,
            rung: None,
            outlives_its_caller: false,
            current,
            route,
            call,
            deadline,
            trace,
            outcome,
            attempts_left,
            reprompts_left,
            checker: None,
            run: None,
            detour: false,
            place,
            lost: Vec::new(),
            repeated: 0,
            is_resuming: false,
            check: None,
            passing: None,
            length: None,
            measured: None,
            patience: Patience::of_a_call(),
        }))
    }

    /// The configuration, ready for calls.
    pub(super) fn plan(&self) -> &Plan {
        &self.current.plan
    }

    /// How much of its stream is held back.
    pub(super) fn holdback(&self) -> Holdback {
        match self.call.request.stream {
            // What goes on after a break is awaited by a caller who has been told its beginning.
            true if !self.is_resuming => self.call.options.holdback.unwrap_or(self.plan().config.streams.holdback),
            _ => Holdback::NONE,
        }
    }

    /// For people: why the answer is less than was asked for.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.outcome.warnings.push(warning.into());
    }

    /// Notes that less is asked for than the caller did.
    pub(super) fn limit(&mut self, warning: impl Into<String>) {
        self.outcome.limited = true;
        self.warn(warning);
    }

    /// Notes who answered; `first`: it was the first by rank.
    pub(super) fn answered_by(&mut self, seat: &Seat, first: bool) {
        let first = first && !self.detour;
        let outcome = &mut self.outcome;
        outcome.quality = if outcome.limited { Quality::Limited } else { Quality::Full };
        outcome.source = Some(match self.rung {
            Some(Rung::Simplified) => Source::Simplified,
            None if first => Source::Primary,
            _ => Source::Fallback,
        });
        outcome.provider = Some(Arc::clone(&seat.upstream.settings.name));
        outcome.provider_model = Some(match &seat.model {
            Some(model) => Arc::clone(model),
            None => Arc::from(self.call.request.model.as_str()),
        });
    }

    /// Hears what its caller is told of a streamed answer.
    pub(super) fn hear(&mut self, chunk: &Chunk) {
        if let Some(run) = &mut self.run {
            run.hear(chunk);
        }
        if let Some(passing) = &mut self.passing {
            passing.note(chunk);
        }
    }

    /// The call's end, told once.
    pub(super) fn ended(mut self, end: &End<'_>) -> Outcome {
        let streamed = self.passing.as_ref().and_then(Passing::for_cache).map(Made::Events);
        self.remember(&End { answer: end.answer.or(streamed), ..*end });
        self.learn(end.usage);
        let end = &End { usage: self.settle(end.usage), ..*end };
        if let Some(run) = self.run {
            run.ended(end);
        }
        tell(self.trace, &self.outcome, end);
        self.outcome
    }

    /// The end of a call that was not answered.
    pub(super) fn refused(self, failure: Failure) -> Box<Refused> {
        let outcome = self.ended(&End { error: Some(&failure), ..End::default() });
        Box::new(Refused { failure, outcome })
    }
}

impl<'a> End<'a> {
    /// The end of a call that was answered at once.
    pub(super) fn whole(whole: &'a Whole) -> Self {
        Self {
            error: None,
            finish: whole.finish,
            usage: whole.usage,
            model: whole.model.as_deref(),
            whole: Some(whole),
            answer: Some(Made::Whole(&whole.body)),
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}

fn tell(trace: CallTrace, outcome: &Outcome, end: &End<'_>) {
    trace.ended(CallEnd {
        source: outcome.source,
        error: end.error,
        outcome,
        finish: end.finish,
        usage: end.usage,
        response_model: end.model,
    });
}
