//! What happens to a call on its way, as events of its span: in the order in which it happened, and between its attempts,
//! which are spans of their own.

use std::{ops::Range, time::Duration};

use fusebox_rules::{ladder::Rung, retry::Change};
use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanContext},
};

use super::{CacheResult, CallTrace, Transition, lines, names};
use crate::{call::outcome::WaitReason, clock, error::ErrorKind};

/// Which trace tells of a call, for one that has to do with it. Empty where no spans are made.
#[derive(Debug, Clone, Default)]
pub struct Identity(Option<SpanContext>);

/// What a call waits for, other than its own next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// A place at a provider that has as many calls as it can take.
    Queue,
    /// The end of a provider's cool-down.
    CoolDown,
    /// A call under the same idempotency key, under way at another sidecar.
    Claim,
    /// An equal call under way here.
    EqualCall,
}

impl WaitFor {
    const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::CoolDown => "cool_down",
            Self::Claim => "claim",
            Self::EqualCall => "equal_call",
        }
    }
}

/// What an attempt asks otherwise than the one before it, or why there is one beside another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// As the retry rule has it.
    Retry(Change),
    /// It is asked beside one that is late.
    Hedge,
    /// It is to go on with what another one began.
    Continue,
    /// It is asked for a whole new answer, in place of one that broke off.
    Anew,
}

impl Otherwise {
    const fn name(self) -> &'static str {
        match self {
            Self::Retry(change) => change.name(),
            Self::Hedge => "hedge",
            Self::Continue => "continue",
            Self::Anew => "anew",
        }
    }
}

impl CallTrace {
    /// The next attempt asks otherwise than the last.
    pub fn otherwise(&mut self, how: Otherwise) {
        self.change = (how != Otherwise::Retry(Change::None)).then(|| how.name());
    }

    /// An attempt failed with `kind` and another follows at the same provider after `wait`.
    pub fn retry(&mut self, provider: usize, kind: ErrorKind, wait: Duration, reason: WaitReason) {
        let series = &self.labels.provider(provider).series;
        series.retry(kind);
        lines::retry(self, &series.name, kind, wait, reason);
        let name = &series.name;
        if let Some(span) = &mut self.span {
            let mut attributes = vec![
                KeyValue::new(names::PROVIDER, name.to_string()),
                KeyValue::new(names::ERROR_TYPE, kind.name()),
                KeyValue::new(names::WAIT, wait.as_secs_f64()),
                KeyValue::new(names::WAIT_REASON, reason.name()),
            ];
            attributes.extend(self.change.map(|change| KeyValue::new(names::CHANGE, change)));
            span.span.add_event(names::RETRY_EVENT, attributes);
        }
    }

    /// A provider failed with `kind`, and another is asked instead.
    pub fn fallback(&mut self, from: usize, to: usize, kind: ErrorKind) {
        // What one provider was to be asked otherwise, another is not.
        self.change = None;
        let (from, to) = (&self.labels.provider(from).series.name, &self.labels.provider(to).series.name);
        lines::fallback(self, from, to, kind);
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::FALLBACK_EVENT,
                vec![
                    KeyValue::new(names::FALLBACK_FROM, from.to_string()),
                    KeyValue::new(names::FALLBACK_TO, to.to_string()),
                    KeyValue::new(names::ERROR_TYPE, kind.name()),
                ],
            );
        }
    }

    /// A provider has not answered within `late`, which is long for it, and another is asked beside it.
    pub fn hedged(&mut self, from: usize, to: usize, late: Duration) {
        self.otherwise(Otherwise::Hedge);
        let name = |index: usize| self.labels.provider(index).series.name.to_string();
        let (from, to) = (name(from), name(to));
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::HEDGE_EVENT,
                vec![
                    KeyValue::new(names::FALLBACK_FROM, from),
                    KeyValue::new(names::FALLBACK_TO, to),
                    KeyValue::new(names::WAIT, late.as_secs_f64()),
                ],
            );
        }
    }

    /// Every provider failed, with `kind` in sum, and this step down is taken.
    pub fn descended(&mut self, rung: Rung, kind: ErrorKind) {
        self.descended = true;
        lines::descended(self, rung, kind);
        if let Some(span) = &mut self.span {
            let event = vec![KeyValue::new(names::RUNG, rung.name()), KeyValue::new(names::ERROR_TYPE, kind.name())];
            span.span.add_event(names::LADDER_EVENT, event);
        }
    }

    /// It has waited so long for something other than its own next try; `provider`: at whom.
    pub fn waited_for(&mut self, what: WaitFor, provider: Option<usize>, time: Duration) {
        let name = provider.map(|provider| self.labels.provider(provider).series.name.to_string());
        if let Some(span) = &mut self.span {
            let mut attributes =
                vec![KeyValue::new(names::WAIT, time.as_secs_f64()), KeyValue::new(names::WAIT_REASON, what.name())];
            attributes.extend(name.map(|name| KeyValue::new(names::PROVIDER, name)));
            // It stands where the wait began.
            span.span.add_event_with_timestamp(names::WAIT_EVENT, clock::wall() - time, attributes);
        }
    }

    /// The answer was looked for where answers are kept, and that came to `result`.
    pub fn looked_up(&mut self, result: CacheResult) {
        self.cache(result, 1);
        if let Some(span) = &mut self.span {
            span.span.add_event(names::CACHE_EVENT, vec![KeyValue::new(names::CACHE_RESULT, result.name())]);
        }
    }

    /// A batch is asked for in so many parts, one after the other.
    pub fn in_parts(&mut self, parts: usize) {
        if let Some(span) = &mut self.span {
            let parts = i64::try_from(parts).unwrap_or(i64::MAX);
            span.span.add_event(names::PARTS_EVENT, vec![KeyValue::new(names::PARTS, parts)]);
        }
    }

    /// The attempts from now on ask for these of the caller's inputs; `None`: for all.
    pub fn part(&mut self, inputs: Option<Range<usize>>) {
        self.inputs = inputs;
    }

    /// This call moved a provider's breaker. Only the call's span is told; the rest is `Telemetry::transition`'s.
    pub fn tripped(&mut self, provider: usize, transition: Transition) {
        if let Some(span) = &mut self.span {
            span.span.add_event(
                names::BREAKER_EVENT,
                vec![
                    KeyValue::new(names::PROVIDER, self.labels.provider(provider).series.name.to_string()),
                    KeyValue::new(names::BREAKER_FROM, transition.from.name()),
                    KeyValue::new(names::BREAKER_TO, transition.to.name()),
                    KeyValue::new(names::BREAKER_REASON, transition.reason),
                ],
            );
        }
    }

    /// In which trace to look for it, in hexadecimal; `None`: it is in none that is kept.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        let span = self.span.as_ref()?.span.span_context();
        span.is_sampled().then(|| span.trace_id().to_string())
    }

    /// By which others can name this call's span.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity(self.span.as_ref().map(|call| call.span.span_context().clone()))
    }

    /// It is answered by another call, which has a span of its own.
    pub fn shares(&mut self, other: &Identity) {
        if let (Some(span), Identity(Some(other))) = (&mut self.span, other) {
            span.link(other);
        }
    }
}
