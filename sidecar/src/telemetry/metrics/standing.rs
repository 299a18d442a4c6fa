//! How the sidecar stands, as it was when the page was asked for: its health, whom calls may go to, its fleet, and whether
//! its configuration is the one that was last written.

use std::sync::Arc;

use fusebox_base::prometheus::Text;
use fusebox_rules::health::Status;
use parking_lot::Mutex;

use super::{MAX_MODELS, MAX_PROVIDERS};

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How well it is.
    pub health: Status,
    /// What each check last found, by its name; true: all is well.
    pub checks: Vec<(String, bool)>,
    /// Each configured provider, and whether a call may go to it now.
    pub providers: Vec<(Arc<str>, bool)>,
    /// Each model, and how many of its providers a call may go to now.
    pub models: Vec<(Arc<str>, usize)>,
    /// The fleet's name.
    pub fleet: String,
    /// Whether it shares a store with others.
    pub shares: bool,
    /// Whether the configuration that was read last was good.
    pub reloaded: bool,
    /// When the certificate that it serves with ends, in seconds since the Unix epoch; `None`: it serves with none.
    pub certificate_ends: Option<u64>,
}

/// As last told; `None`: nobody has asked.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Told(Mutex<Option<Standing>>);

impl Told {
    pub(in crate::telemetry) fn set(&self, standing: Standing) {
        *self.0.lock() = Some(standing);
    }

    pub(super) fn write(&self, text: &mut Text) {
        let told = self.0.lock();
        let Some(now) = &*told else { return };
        let help = "How well the sidecar is: 0 healthy, 1 degraded, 2 critical.";
        text.single("fusebox_health", "gauge", help, now.health as u8);
        let name = "fusebox_check_healthy";
        text.family(name, "gauge", "Whether a check found all well when it last looked.");
        // A model, and so a question, for each provider, and the few that are about the machine.
        for (check, healthy) in now.checks.iter().take(2 * MAX_PROVIDERS) {
            text.sample(name, &[("check", check)], u8::from(*healthy));
        }
        let name = "fusebox_provider_available";
        let help = "Whether a call may go to a provider now: it is switched on, takes its key, is not to be left alone for a while, and its breaker is not open.";
        text.family(name, "gauge", help);
        for (provider, available) in now.providers.iter().take(MAX_PROVIDERS) {
            text.sample(name, &[("provider", provider)], u8::from(*available));
        }
        let name = "fusebox_model_providers_available";
        text.family(name, "gauge", "Providers of a model that a call may go to now.");
        for (model, available) in now.models.iter().take(MAX_MODELS) {
            text.sample(name, &[("model", model)], available);
        }
        let name = "fusebox_fleet_info";
        text.family(name, "gauge", "Always 1: the fleet's name, and where it shares what it knows.");
        let store = if now.shares { "redis" } else { "none" };
        text.sample(name, &[("fleet", &now.fleet), ("store", store)], 1);
        let name = "fusebox_config_last_reload_successful";
        let help = "Whether the configuration in force is the one that was read last; 0: that one was refused.";
        text.single(name, "gauge", help, u8::from(now.reloaded));
        let name = "fusebox_certificate_expiry_timestamp_seconds";
        text.family(name, "gauge", "When a certificate that is served with ends, in seconds since the Unix epoch.");
        if let Some(ends) = now.certificate_ends {
            text.sample(name, &[("key", "auth.tls.cert_file")], ends);
        }
    }
}

#[cfg(test)]
mod tests {
    use fusebox_base::testing::page::Page;

    use super::*;

    #[test]
    fn the_page_says_how_the_sidecar_stands_once_it_was_told() {
        let told = Told::default();
        let written = |told: &Told| {
            let mut text = Text::default();
            told.write(&mut text);
            text.finish()
        };
        assert_eq!(written(&told), "", "what nobody has said is not made up");
        told.set(Standing {
            health: Status::Critical,
            checks: vec![("model:vllm".into(), false), ("disk".into(), true)],
            providers: vec![("vllm".into(), false), ("cloud".into(), true)],
            models: vec![("chat".into(), 1), ("code".into(), 0)],
            fleet: "prod".into(),
            shares: true,
            reloaded: false,
            certificate_ends: Some(1_900_000_000),
        });
        for (series, value) in [
            ("fusebox_health", 2.0),
            ("fusebox_check_healthy{check=\"model:vllm\"}", 0.0),
            ("fusebox_check_healthy{check=\"disk\"}", 1.0),
            ("fusebox_provider_available{provider=\"vllm\"}", 0.0),
            ("fusebox_provider_available{provider=\"cloud\"}", 1.0),
            ("fusebox_model_providers_available{model=\"chat\"}", 1.0),
            ("fusebox_model_providers_available{model=\"code\"}", 0.0),
            ("fusebox_fleet_info{fleet=\"prod\",store=\"redis\"}", 1.0),
            ("fusebox_config_last_reload_successful", 0.0),
            ("fusebox_certificate_expiry_timestamp_seconds{key=\"auth.tls.cert_file\"}", 1_900_000_000.0),
        ] {
            assert_eq!(Page::read(&written(&told)).value(series), Some(value), "{series}");
        }
    }
}
