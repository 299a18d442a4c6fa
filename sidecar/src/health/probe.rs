//! Active probes: once a breaker is half-open, small calls of the sidecar's own find out whether its provider has
//! recovered, so that no caller's call is spent on it.

use std::{sync::Arc, time::Duration};

use fusebox_rules::{
    breaker::{Asker, PROBE_LEASE, Probe},
    error::Blame,
};
use tokio::task::JoinSet;

use super::ask::{TOKENS, ask, question};
use crate::{
    call::{Shared, plan::Upstream},
    chat::request::Request,
    clock,
    error::{ErrorKind, Failure},
    gate::Pass,
    telemetry::{Labels, Telemetry},
};

/// Between two probes, and before asking a gate again that let none through.
const PAUSE: Duration = Duration::from_millis(50);

/// Probes the providers of the configuration in force, for as long as what is returned lives.
#[must_use]
pub fn start(shared: &Arc<Shared>) -> JoinSet<()> {
    let mut probers = JoinSet::new();
    let current = shared.current.load();
    for upstream in &current.plan.upstreams {
        if upstream.settings.enabled && upstream.settings.breaker.probe == Probe::Active {
            let prober = Prober {
                upstream: Arc::clone(upstream),
                telemetry: Arc::clone(&shared.telemetry),
                labels: Arc::clone(&current.labels),
            };
            probers.spawn(prober.go_on(question(&current.plan, upstream)));
        }
    }
    probers
}

/// Probes one provider.
struct Prober {
    upstream: Arc<Upstream>,
    telemetry: Arc<Telemetry>,
    labels: Arc<Labels>,
}

impl Prober {
    async fn go_on(self, question: Result<Request, Failure>) {
        let Ok(question) = question else { return };
        let gate = &self.upstream.gate;
        loop {
            gate.wants_probe().await;
            match gate.admit(Asker::Prober, || TOKENS) {
                Ok(pass) => self.once(&question, pass).await,
                Err(refusal) => tokio::time::sleep(refusal.retry_after.unwrap_or_default()).await,
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn once(&self, question: &Request, mut pass: Pass) {
        let upstream = &*self.upstream;
        // A probe that outlives its lease is not heard, so there is no use in waiting longer.
        let limit = upstream.settings.timeouts.total.min(PROBE_LEASE);
        let trace = self.telemetry.probe(&self.labels, upstream.index);
        let started = clock::now();
        let result = ask(upstream, question, limit, &trace.headers()).await;
        let found = result.as_ref().err().map(|failure| failure.kind);
        tracing::debug!(target: "fusebox::breaker", provider = &*upstream.settings.name, error = found.map(ErrorKind::name), "probed");
        let took = clock::now().since(started);
        trace.ended(result.as_ref().err());
        let _ = match result {
            // It answers; what it may say against the probe is not that it is ill.
            Err(failure) if failure.kind.row().blame != Blame::None => pass.failed(failure.kind, failure.wait),
            Ok(()) | Err(_) => pass.first_token(took).or_else(|| pass.succeeded()),
        };
    }
}
