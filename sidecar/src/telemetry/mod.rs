//! What the sidecar says about itself: metrics, spans, log lines and the history of its errors.
//!
//! The way of a call tells this room what happens, in the words of [`CallTrace`] and [`AttemptTrace`];
//! nothing here decides anything. With spans and debug lines off, a call costs a few relaxed additions.

mod attempt;
mod cache;
mod call;
mod common;
mod entry;
mod errors;
mod events;
mod labels;
mod ledger;
mod lines;
mod metrics;
mod names;
mod others;

use std::{collections::HashMap, sync::Arc, time::Duration};

pub use attempt::{AttemptTrace, Facts};
pub use cache::CacheResult;
pub use call::{CallEnd, CallTrace};
pub use common::{ClaimResult, RunExchange};
pub use errors::{CriticalSummary, ErrorSummary, KindCount, KindRate, ReasonCount, Recent, Told};
use errors::{Errors, Failed};
pub use events::{Identity, Otherwise, WaitFor};
use fusebox_base::{
    prometheus::Format,
    spans::{Target, TraceContext, TraceError, Tracer},
};
use fusebox_rules::{
    breaker,
    critical::Critical,
    degradation::{Level, Load},
    moment::Moment,
};
pub use labels::Labels;
pub use ledger::Ledger;
use metrics::Metrics;
pub use metrics::{Attempts, ProviderLimit, ProviderPlaces, Shares, Standing, Totals};
pub use others::{Applied, ProbeTrace};

use crate::{
    call::Call,
    chat::request::Operation,
    clock,
    config::{self, Config, Scope},
    error::Failure,
};

/// The target of log lines about calls, by which a filter can pick them.
pub(crate) const CALL: &str = "fusebox::call";
/// The target of log lines about breakers.
pub(crate) const BREAKER: &str = "fusebox::breaker";
/// The target of log lines about checks.
pub(crate) const HEALTH: &str = "fusebox::health";
/// What a label says that may not say more.
pub(crate) const OTHER: &str = "other";

/// Whether callers are told providers' raw words: where the log is, for the same people to read.
#[must_use]
pub fn tells_raw_words() -> bool {
    tracing::enabled!(target: CALL, tracing::Level::DEBUG)
}

/// Failures that the status shows one by one.
const SHOWN_FAILURES: usize = 20;

/// One process's telemetry, shared by its threads.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    tracer: Option<Tracer>,
    errors: Errors,
}

/// Which way a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `InferenceService`
    Grpc,
    /// The OpenAI surface.
    Http,
}

/// Where a breaker stands, by the numbers of `fusebox_breaker_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BreakerState {
    /// Calls go through.
    Closed = 0,
    /// Only probes do.
    HalfOpen = 1,
    /// Nothing does.
    Open = 2,
}

/// A breaker's move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From where.
    pub from: BreakerState,
    /// Where to.
    pub to: BreakerState,
    /// Why, in a few words.
    pub reason: &'static str,
}

impl From<breaker::State> for BreakerState {
    fn from(state: breaker::State) -> Self {
        match state {
            breaker::State::Closed => Self::Closed,
            breaker::State::HalfOpen => Self::HalfOpen,
            breaker::State::Open => Self::Open,
        }
    }
}

impl From<&breaker::Transition> for Transition {
    fn from(moved: &breaker::Transition) -> Self {
        let reason = match moved.reason {
            breaker::Reason::ConsecutiveFailures => "failures in a row",
            breaker::Reason::FailureRate => "too large a share of failures",
            breaker::Reason::ProbeFailed => "a probe failed",
            breaker::Reason::Recovered => "it has recovered",
            breaker::Reason::OpenExpired => "its time is up",
            breaker::Reason::Forced => "an operator said so",
            breaker::Reason::Fleet => "the fleet said so",
        };
        Self { from: moved.from.into(), to: moved.to.into(), reason }
    }
}

/// A connection of a caller's, counted while it is held.
#[derive(Debug)]
pub struct Connection {
    telemetry: Arc<Telemetry>,
    door: Door,
}

/// A call that a door refused before there was a [`Call`].
#[derive(Debug)]
pub struct Refusal<'a> {
    /// Why.
    pub failure: &'a Failure,
    /// Its correlation id.
    pub correlation_id: &'a Arc<str>,
    /// When its first byte was read.
    pub arrived: Moment,
    /// Which door it was.
    pub door: Door,
    /// What was asked, if that was known.
    pub operation: Option<Operation>,
    /// Whose trace it belongs to.
    pub trace: &'a TraceContext,
}

impl Telemetry {
    /// Telemetry for about `threads` threads that record. Spans go where `settings`, or else the standard
    /// variables, say; nowhere if neither does.
    ///
    /// # Errors
    /// If spans are wanted and cannot be exported as configured. An endpoint that does not answer is no error.
    pub fn try_new(settings: &config::Telemetry, threads: usize) -> Result<Arc<Self>, TraceError> {
        let target = Target::from_environment(settings.otlp_endpoint.as_deref());
        let start = |target| Tracer::try_new(&target, "fusebox-sidecar", env!("CARGO_PKG_VERSION"));
        let tracer = target.map(start).transpose()?;
        Ok(Arc::new(Self { metrics: Metrics::new(threads), tracer, errors: Errors::new() }))
    }

    /// What `config`'s indices stand for. Made once for each configuration, or once for each worker thread and configuration.
    #[must_use]
    pub fn labels_for(self: &Arc<Self>, config: &Config) -> Labels {
        Labels::new(self, &config.providers, &config.models)
    }

    /// A call begins. What is returned must be told its end; dropped instead, it counts as cancelled.
    #[must_use]
    pub fn begin(self: &Arc<Self>, labels: &Arc<Labels>, call: &Call, door: Door) -> CallTrace {
        CallTrace::new(labels, call, door)
    }

    /// Counts and tells of a call that never became one.
    pub fn refused(&self, refusal: &Refusal<'_>) {
        let now = clock::now();
        let kind = refusal.failure.kind;
        self.metrics.other_model().call(None, Some(kind));
        let took = now.since(refusal.arrived);
        self.metrics.call_took(took, Some(took), None);
        self.remember(Failed {
            kind,
            critical: Critical::of_refusal(kind),
            operation: refusal.operation,
            provider: None,
            correlation_id: Arc::clone(refusal.correlation_id),
            attempt: None,
            at: now,
        });
        lines::refused(refusal, took);
        self.span_of(refusal, took);
    }

    /// A check has come to fail without which the sidecar is no use.
    pub fn unhealthy(&self, check: &str) {
        if let Some(met) = self.errors.alarm(Critical::Unhealthy, clock::now()) {
            lines::unhealthy(check, met);
        }
    }

    /// Keeps a failure, and tells of it at once if a person must hear of it.
    fn remember(&self, failed: Failed) {
        let critical = failed.critical.map(|reason| (reason, failed.clone()));
        if let (Some(met), Some((reason, failed))) = (self.errors.record(failed), critical) {
            lines::critical(reason, &failed, met);
        }
    }

    /// Counts a caller's connection for as long as what is returned lives.
    #[must_use]
    pub fn connection(self: &Arc<Self>, door: Door) -> Connection {
        self.metrics.connections(door, 1);
        Connection { telemetry: Arc::clone(self), door }
    }

    /// A provider's breaker moved.
    pub fn transition(&self, provider: &Arc<str>, scope: Scope, transition: Transition) {
        self.metrics.provider(provider).transition(transition);
        lines::transition(provider, scope, transition);
    }

    /// A provider's breaker is found in a state, without having moved: at start, or after a reload.
    pub fn set_breaker(&self, provider: &Arc<str>, state: BreakerState) {
        self.metrics.provider(provider).set_state(state);
    }

    /// The degradation level from now on.
    pub fn set_level(&self, level: Level) {
        self.metrics.load.set_level(level);
    }

    /// The load as it was just read.
    pub fn set_load(&self, load: Load) {
        self.metrics.load.set_load(load);
    }

    /// Each provider's places as they are now.
    pub fn set_places(&self, places: Vec<ProviderPlaces>) {
        self.metrics.load.set_places(places);
    }

    /// Every provider's rate limits as they are now, those without any left out.
    pub fn set_limits(&self, limits: Vec<ProviderLimit>) {
        self.metrics.limits.set(limits);
    }

    /// How the sidecar stands now, for the page that is about to be written.
    pub fn set_standing(&self, standing: Standing) {
        self.metrics.standing.set(standing);
    }

    /// Providers' failed attempts since this was last asked. Nothing is put by before it is asked for the first time.
    pub fn take_failures(&self) -> Vec<Told> {
        self.errors.take_failures()
    }

    /// Attempts so far, by provider.
    #[must_use]
    pub fn attempts(&self) -> HashMap<Arc<str>, Attempts> {
        self.metrics.attempts()
    }

    /// All calls so far, and what they used.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.metrics.totals()
    }

    /// What calls have shared with other sidecars so far.
    #[must_use]
    pub fn shares(&self) -> Shares {
        self.metrics.shares()
    }

    /// Whether the shared store answers, from now on.
    pub fn set_fleet_connected(&self, connected: bool) {
        self.metrics.set_fleet_connected(connected);
    }

    /// One synchronisation with the shared store took so long.
    pub fn fleet_synchronised(&self, took: Duration) {
        self.metrics.fleet_synchronised(took);
    }

    /// Something was exchanged with the fleet about an agent run.
    pub fn run_exchanged(&self, result: RunExchange) {
        self.metrics.common.run_exchanged(result);
    }

    /// A call under an idempotency key was claimed for this sidecar, or somebody else's.
    pub fn claimed(&self, result: ClaimResult) {
        self.metrics.common.claimed(result);
    }

    /// Calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.metrics.in_flight()
    }

    /// The page of metrics.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        self.metrics.render(format, self.tracer.as_ref().map(Tracer::counts), &self.errors.critical())
    }

    /// What went wrong in the last hour.
    #[must_use]
    pub fn error_summary(&self) -> ErrorSummary {
        self.errors.summary(clock::now(), SHOWN_FAILURES)
    }

    /// Sends the spans that wait, and no more from then on. Blocks the thread for at most `within`.
    pub fn flush(&self, within: Duration) {
        if let Some(tracer) = &self.tracer {
            tracer.shut_down(within);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.telemetry.metrics.connections(self.door, -1);
    }
}

impl Door {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// Its name in metrics, spans and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}

impl BreakerState {
    /// Its name in metrics, logs and the status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
