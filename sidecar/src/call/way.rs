//! One call on its way: all that is known of it, from its admission until its one outcome is told.
//!
//! It owns what it needs, so that an answer that has begun can outlive the door's request for it, and be gone on
//! with elsewhere.

use std::sync::Arc;

use fusebox_rules::{deadline, moment::Moment};

use super::{
    Call, Current, Refused, Sidecar,
    admit::Place,
    outcome::{Outcome, Quality, Source},
    plan::{Plan, Route, Seat},
    run::Ticket,
    unknown_model,
};
use crate::{
    chat::answer::{Finish, Usage, Whole},
    error::Failure,
    telemetry::{CallEnd, CallTrace},
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
    /// The thread that it is served by.
    pub(super) worker: usize,
    pub(super) deadline: Moment,
    pub(super) trace: CallTrace,
    /// What is known so far of how it went.
    pub(super) outcome: Outcome,
    pub(super) attempts_left: u32,
    /// Its part in an agent run, if it belongs to one.
    pub(super) run: Option<Box<Ticket>>,
    /// Whether the first to be asked is not who would answer in better times.
    pub(super) detour: bool,
    pub(super) place: Place,
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
}

impl Way {
    /// Sets out.
    ///
    /// # Errors
    /// The configuration knows no such model.
    pub(super) fn begin(sidecar: &Sidecar, call: Call) -> Result<Self, Box<Refused>> {
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
        let worker = sidecar.worker;
        Ok(Self {
            current,
            route,
            call,
            worker,
            deadline,
            trace,
            outcome,
            attempts_left,
            run: None,
            detour: false,
            place,
        })
    }

    /// The configuration, ready for calls.
    pub(super) fn plan(&self) -> &Plan {
        &self.current.plan
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
        outcome.source = Some(if first { Source::Primary } else { Source::Fallback });
        outcome.provider = Some(Arc::clone(&seat.upstream.settings.name));
        outcome.provider_model = Some(match &seat.model {
            Some(model) => Arc::clone(model),
            None => Arc::from(self.call.request.model.as_str()),
        });
    }

    /// The call's end, told once.
    pub(super) fn ended(self, end: &End<'_>) -> Outcome {
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
        }
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
