//! Whether the store answers, told once as it begins not to and once as it does again.

use std::sync::Arc;

use fusebox_rules::moment::Moment;
use fusebox_store::StoreError;
use parking_lot::Mutex;

use crate::telemetry::Telemetry;

/// What is known of the store's health.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    /// It has not been asked.
    #[default]
    Unknown,
    Well,
    Ill {
        since: Moment,
    },
}

impl Trouble {
    /// It answered.
    pub(super) fn over(&self, telemetry: &Arc<Telemetry>, now: Moment) {
        let was = std::mem::replace(&mut *self.0.lock(), State::Well);
        match was {
            State::Well => return,
            State::Unknown => tracing::info!(target: "fusebox::fleet", "the fleet's store answers"),
            State::Ill { since } => {
                let seconds = now.since(since).as_secs_f64();
                tracing::info!(target: "fusebox::fleet", seconds, "the fleet's store answers again");
            }
        }
        telemetry.set_fleet_connected(true);
    }

    /// It did not, or not as it should.
    pub(super) fn begun(&self, error: &StoreError, telemetry: &Arc<Telemetry>, now: Moment) {
        let mut state = self.0.lock();
        if matches!(*state, State::Ill { .. }) {
            return;
        }
        *state = State::Ill { since: now };
        drop(state);
        tracing::warn!(target: "fusebox::fleet", %error, "the fleet's store does not answer; this sidecar decides alone until it does");
        telemetry.set_fleet_connected(false);
    }

    pub(super) fn is_well(&self) -> bool {
        matches!(*self.0.lock(), State::Well)
    }
}
