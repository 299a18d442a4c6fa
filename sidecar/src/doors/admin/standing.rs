//! What the page of metrics says of the sidecar's state: the same as the status does, in numbers.

use std::sync::Arc;

use fusebox_rules::health::{self, Finding, Providers, Status};

use super::{CheckView, ModelView, ProviderView, View};
use crate::telemetry::{OTHER, Standing};

/// What the checks and the providers come to. `ready`: whether calls may be sent here at all.
pub(super) fn status(ready: bool, providers: &[ProviderView], checks: &[CheckView]) -> Status {
    let all = providers.iter().filter(|provider| provider.enabled).count();
    let askable = providers.iter().filter(|provider| is_available(provider)).count();
    let findings = checks.iter().map(|check| Finding { critical: check.critical, healthy: check.healthy });
    health::status(ready, Providers { all, askable }, findings)
}

/// How the sidecar stands now, with these providers.
pub(super) fn standing(view: &dyn View, providers: &[ProviderView]) -> Standing {
    let checks = view.checks();
    Standing {
        health: status(view.not_ready().is_empty(), providers, &checks),
        checks: checks.into_iter().map(|check| (check.name, check.healthy)).collect(),
        providers: providers.iter().map(|provider| (Arc::clone(&provider.name), is_available(provider))).collect(),
        models: available(&view.models(), providers),
        fleet: view.fleet_name(),
        shares: view.fleet().is_some(),
        reloaded: view.config().faults.is_empty(),
        certificate_ends: view.certificate_ends(),
    }
}

fn is_available(provider: &ProviderView) -> bool {
    provider.enabled && provider.can_be_asked()
}

/// How many of each model's providers a call may go to. Where no model is configured, all providers serve any.
fn available(models: &[ModelView], providers: &[ProviderView]) -> Vec<(Arc<str>, usize)> {
    let of = |serves: &dyn Fn(&ProviderView) -> bool| {
        providers.iter().filter(|provider| is_available(provider) && serves(provider)).count()
    };
    if models.is_empty() {
        return vec![(OTHER.into(), of(&|_| true))];
    }
    let count = |model: &ModelView| of(&|provider| model.providers.contains(&provider.name));
    models.iter().map(|model| (Arc::clone(&model.name), count(model))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::BreakerState;

    fn provider(name: &str, breaker: BreakerState, enabled: bool) -> ProviderView {
        ProviderView {
            name: name.into(),
            enabled,
            priority: 0,
            breaker,
            in_flight: 0,
            cool_down_seconds: None,
            fault: None,
            rate_limits: Vec::new(),
        }
    }

    #[test]
    fn a_model_has_as_many_providers_as_could_be_asked_for_it() {
        let providers = [
            provider("open", BreakerState::Open, true),
            provider("probed", BreakerState::HalfOpen, true),
            provider("off", BreakerState::Closed, false),
            provider("well", BreakerState::Closed, true),
        ];
        let model = |name: &str, served: &[&str]| ModelView {
            name: name.into(),
            providers: served.iter().map(|name| (*name).into()).collect(),
        };
        let models = [model("chat", &["open", "off", "probed", "well"]), model("code", &["open", "off"])];
        assert_eq!(available(&models, &providers), [("chat".into(), 2), ("code".into(), 0)]);
        assert_eq!(available(&[], &providers), [(OTHER.into(), 2)], "any name goes to any provider");
    }
}
