//! What is told of load: the level, each reading, and each provider's places. Set on a timer, read for the page.

use std::sync::Arc;

use fusebox_rules::degradation::{Level, Load};
use parking_lot::Mutex;

use fusebox_base::prometheus::Text;

/// Calls at one provider, as last seen.
#[derive(Debug, Clone)]
pub struct ProviderPlaces {
    /// The provider's configured name.
    pub provider: Arc<str>,
    /// Calls that may be in flight; `None`: any number.
    pub limit: Option<u32>,
    /// Calls that wait for a place.
    pub waiting: usize,
}

/// As last told.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Told(Mutex<(Level, Load, Vec<ProviderPlaces>)>);

impl Told {
    pub(in crate::telemetry) fn set_level(&self, level: Level) {
        self.0.lock().0 = level;
    }

    pub(in crate::telemetry) fn set_load(&self, load: Load) {
        self.0.lock().1 = load;
    }

    pub(in crate::telemetry) fn set_places(&self, places: Vec<ProviderPlaces>) {
        self.0.lock().2 = places;
    }

    pub(super) fn write(&self, text: &mut Text) {
        let told = self.0.lock();
        let (level, load, places) = &*told;
        text.single("fusebox_degradation_level", "gauge", "0 full, 1 reduced, 2 minimal.", *level as u8);
        text.family("fusebox_load", "gauge", "How busy each thing is, from 0 to 1; what cannot be read has no series.");
        for (part, value) in load.parts() {
            if let Some(value) = value {
                text.sample("fusebox_load", &[("part", part)], value);
            }
        }
        text.family("fusebox_concurrency_limit", "gauge", "Calls that a provider may have in flight from here.");
        for one in places {
            if let Some(limit) = one.limit {
                text.sample("fusebox_concurrency_limit", &[("provider", &one.provider)], limit);
            }
        }
        text.family("fusebox_waiting", "gauge", "Calls that wait for a place at a provider.");
        for one in places {
            text.sample("fusebox_waiting", &[("provider", &one.provider)], one.waiting);
        }
    }
}
