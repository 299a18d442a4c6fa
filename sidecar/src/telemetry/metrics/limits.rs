//! What is left of providers' rate limits, as it was when the page was asked for, and how often there was no room.

use std::sync::Arc;

use parking_lot::Mutex;

use fusebox_base::prometheus::Text;

/// One limit of one provider.
#[derive(Debug, Clone)]
pub struct ProviderLimit {
    /// The provider's configured name.
    pub provider: Arc<str>,
    /// `requests` or `tokens`.
    pub limit: &'static str,
    /// What calls could take now.
    pub left: u64,
}

/// As last told.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Limits(Mutex<Vec<ProviderLimit>>);

impl Limits {
    pub(in crate::telemetry) fn set(&self, limits: Vec<ProviderLimit>) {
        *self.0.lock() = limits;
    }

    /// `refused` says how often a provider's limit had no room for a call.
    pub(super) fn write(&self, text: &mut Text, refused: impl Fn(&ProviderLimit) -> u64) {
        let limits = self.0.lock();
        let name = "fusebox_rate_limit_left";
        text.family(name, "gauge", "What calls from here may take of a provider's rate limit now.");
        for one in &*limits {
            text.sample(name, &[("provider", &one.provider), ("limit", one.limit)], one.left);
        }
        let name = "fusebox_rate_limit_refusals_total";
        text.family(name, "counter", "Calls that a provider's configured rate limit had no room for as they began.");
        for one in &*limits {
            text.sample(name, &[("provider", &one.provider), ("limit", one.limit)], refused(one));
        }
    }
}
