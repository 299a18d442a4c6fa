//! Settings take the place of those that they were made from, and who made them is written down: both, or neither.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Stamp, settings::Settings};

use super::{Condition, Placed, PutSettings, encode_settings};
use crate::{
    Memory, Operation, StoreError,
    audit::{self, Append},
    operation::{Place, Reply, digits},
};

/// Puts settings in place and appends to the audit log, and hints at the settings' version.
#[derive(Debug, Clone)]
pub struct ChangeSettings<'a> {
    /// What is to hold.
    pub settings: &'a Settings,
    /// The version of those that they replace.
    pub replaces: u64,
    /// What is written down.
    pub noted: Append<'a>,
}

impl ChangeSettings<'_> {
    fn put(&self) -> PutSettings<'_> {
        PutSettings { settings: self.settings, condition: Condition::Replaces(self.replaces) }
    }
}

impl Operation for ChangeSettings<'_> {
    type Reply = Placed;

    const SCRIPT: &'static str = scripts::CHANGE_SETTINGS;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet("settings"), keys.fleet(audit::KEY)]
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let channel = place.keys.fleet_channel().into_bytes();
        let (version, settings) = (digits(self.settings.version), encode_settings(self.settings));
        let put = [digits(self.replaces), version, settings, place.publish.into(), channel];
        put.into_iter().chain(self.noted.arguments(place)).collect()
    }

    fn read(&self, reply: &mut Reply) -> Result<Placed, StoreError> {
        self.put().read(reply)
    }

    fn apply(&self, memory: &mut Memory, now: Stamp) -> Placed {
        let placed = self.put().apply(memory, now);
        if placed.won {
            self.noted.apply(memory, now);
        }
        placed
    }
}
