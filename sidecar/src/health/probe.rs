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
            probers.spawn(probe(Arc::clone(upstream), question(&current.plan, upstream)));
        }
    }
    probers
}

async fn probe(upstream: Arc<Upstream>, question: Result<Request, Failure>) {
    let Ok(question) = question else { return };
    loop {
        upstream.gate.wants_probe().await;
        match upstream.gate.admit(Asker::Prober, || TOKENS) {
            Ok(pass) => once(&upstream, &question, pass).await,
            Err(refusal) => tokio::time::sleep(refusal.retry_after.unwrap_or_default()).await,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(upstream: &Upstream, question: &Request, mut pass: Pass) {
    // A probe that outlives its lease is not heard, so there is no use in waiting longer.
    let limit = upstream.settings.timeouts.total.min(PROBE_LEASE);
    let started = clock::now();
    let result = ask(upstream, question, limit).await;
    let found = result.as_ref().err().map(|failure| failure.kind);
    tracing::debug!(target: "fusebox::breaker", provider = &*upstream.settings.name, error = found.map(ErrorKind::name), "probed");
    let took = clock::now().since(started);
    let _ = match result {
        // It answers; what it may say against the probe is not that it is ill.
        Err(failure) if failure.kind.row().blame != Blame::None => pass.failed(failure.kind, failure.wait),
        Ok(_) | Err(_) => pass.first_token(took).or_else(|| pass.succeeded()),
    };
}
