//! Whether the store answers: told as it begins not to and as it does again, and seldom, however often that changes.

use std::{sync::Arc, time::Duration};

use fusebox_rules::moment::Moment;
use fusebox_store::StoreError;
use parking_lot::Mutex;

use crate::telemetry::Telemetry;

/// How long the first connection may take before that is worth a line.
const BEGINNING: Duration = Duration::from_secs(1);
/// Between two lines about trouble that comes and goes.
const QUIET: Duration = Duration::from_secs(10);

/// What is known of the store's health.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Since when it is as it is; `None`: it has not been asked.
    since: Option<Moment>,
    well: bool,
    /// Whether people think it ill, and since when they do not need to hear that again.
    told_ill: bool,
    told: Option<Moment>,
}

impl Trouble {
    /// It answered.
    pub(super) fn over(&self, telemetry: &Arc<Telemetry>, now: Moment) {
        let mut known = self.0.lock();
        if known.well {
            return;
        }
        let ill_since = known.since.replace(now);
        known.well = true;
        let told_ill = std::mem::take(&mut known.told_ill);
        drop(known);
        telemetry.set_fleet_connected(true);
        if told_ill {
            let seconds = ill_since.map_or(0.0, |since| now.since(since).as_secs_f64());
            tracing::info!(target: "fusebox::fleet", seconds, "the fleet's store answers again");
        } else {
            tracing::debug!(target: "fusebox::fleet", "the fleet's store answers");
        }
    }

    /// It did not, or not as it should.
    pub(super) fn begun(&self, error: &StoreError, telemetry: &Arc<Telemetry>, now: Moment) {
        let mut known = self.0.lock();
        if known.well || known.since.is_none() {
            let beginning = known.since.is_none();
            known.since = Some(now);
            known.well = false;
            telemetry.set_fleet_connected(false);
            if beginning {
                return;
            }
        }
        let settled = known.told.is_some() || known.since.is_some_and(|since| now.since(since) >= BEGINNING);
        let quiet = known.told.is_some_and(|told| now.since(told) < QUIET);
        if known.told_ill || quiet || !settled {
            return;
        }
        (known.told_ill, known.told) = (true, Some(now));
        drop(known);
        tracing::warn!(target: "fusebox::fleet", %error, "the fleet's store does not answer; this sidecar decides alone until it does");
    }

    pub(super) fn is_well(&self) -> bool {
        self.0.lock().well
    }
}
