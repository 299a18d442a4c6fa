//! Generations of the configuration: from what was read to what calls use, as a whole or not at all.

use std::sync::Arc;

use arc_swap::ArcSwap;
use fusebox_base::serve::tls::{self, Certificate, ClientCertificates};
use fusebox_rules::breaker;
use tokio::sync::Notify;

use crate::{
    call::{Current, plan::Plan},
    config::{self, Config, Scope, needs_restart},
    doors::tokens::Tokens,
    gate::{Bells, Gate},
    telemetry::{Telemetry, Transition},
};

/// Makes generations.
pub(super) struct Generations {
    telemetry: Arc<Telemetry>,
    workers: usize,
    /// Notified as a breaker moves.
    moved: Arc<Notify>,
    /// What gates ring to speak with the fleet; `None`: this process is alone.
    bells: Option<Bells>,
}

/// All of one: what calls use, and what the doors do.
pub(super) struct Generation {
    pub(super) current: Current,
    tokens: Tokens,
    tls: Option<tls::Identity>,
}

/// Who may call and whom they find, exchanged with the configuration.
#[derive(Debug, Clone)]
pub(super) struct Access {
    tokens: Arc<ArcSwap<Tokens>>,
    /// What the doors show of themselves; `None`: they speak without TLS.
    pub(super) certificate: Option<Certificate>,
}

impl Access {
    /// Whether the holder of `token`, or of none, may call now.
    pub(super) fn allow(&self, token: Option<&str>) -> bool {
        self.tokens.load().allow(token)
    }
}

impl Generation {
    /// What calls use, and access as the doors share it from now on.
    pub(super) fn begin(self) -> (Current, Access) {
        let access = Access {
            tokens: Arc::new(ArcSwap::from_pointee(self.tokens)),
            certificate: self.tls.map(Certificate::new),
        };
        (self.current, access)
    }

    /// What calls use, once `access` is this generation's.
    pub(super) fn replace(self, access: &Access) -> Current {
        access.tokens.store(Arc::new(self.tokens));
        // Whether there is TLS at all is fixed at the start.
        if let (Some(certificate), Some(tls)) = (&access.certificate, self.tls) {
            certificate.store(tls);
        }
        self.current
    }
}

impl Generations {
    pub(super) const fn new(
        telemetry: Arc<Telemetry>,
        workers: usize,
        moved: Arc<Notify>,
        bells: Option<Bells>,
    ) -> Self {
        Self { telemetry, workers, moved, bells }
    }

    /// The first.
    ///
    /// # Errors
    /// Everything that the configuration names and that cannot be used.
    pub(super) fn first(&self, config: Config) -> Result<Generation, String> {
        self.make(config, None).map_err(|faults| faults.join("\n"))
    }

    /// The one that follows `before`.
    ///
    /// # Errors
    /// As for the first; or keys have changed that only a restart can change.
    pub(super) fn next(&self, config: Config, before: &Current) -> Result<Generation, Vec<String>> {
        let fixed = needs_restart(&before.plan.config, &config);
        if !fixed.is_empty() {
            let fault =
                |key| format!("{key}: cannot change while the sidecar runs; restart it, or put the old value back");
            return Err(fixed.into_iter().map(fault).collect());
        }
        self.make(config, Some(&before.plan))
    }

    fn make(&self, config: Config, before: Option<&Plan>) -> Result<Generation, Vec<String>> {
        let tokens = match &config.auth.tokens_file {
            None => Tokens::anyone(),
            Some(file) => Tokens::read(file).map_err(|fault| vec![fault])?,
        };
        let read = |named| tls::read("auth.tls", named, ClientCertificates::Required);
        let tls = config.auth.tls.as_ref().map(read).transpose().map_err(|fault| vec![fault])?;
        let retries = config.retry_budget.clone();
        let gate = |settings: &Arc<config::Provider>| {
            let (telemetry, name, scope) = (Arc::clone(&self.telemetry), Arc::clone(&settings.name), settings.scope);
            let moved = Arc::clone(&self.moved);
            let on_move = Box::new(move |transition: &breaker::Transition| {
                telemetry.transition(&name, scope, Transition::from(transition));
                moved.notify_one();
            });
            let shared = self.bells.clone().filter(|_| scope == Scope::Fleet);
            Arc::new(Gate::new(settings, &retries, on_move, shared))
        };
        let plan = Plan::try_new(config, self.workers, before, gate)?;
        // Nothing is told of a generation that does not come about.
        let labels = Arc::new(self.telemetry.labels_for(&plan.config));
        for upstream in &plan.upstreams {
            self.telemetry.set_breaker(&upstream.settings.name, upstream.gate.standing().state.into());
        }
        Ok(Generation { current: Current { plan, labels }, tokens, tls })
    }
}

#[cfg(test)]
mod tests;
