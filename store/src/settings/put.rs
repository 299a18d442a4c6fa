//! Settings take others' place, on a condition.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Stamp, settings::Settings};

use super::{Condition, decode_settings, encode_settings};
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply, digits},
};

/// Puts settings in place, and hints at their version.
#[derive(Debug, Clone)]
pub struct PutSettings<'a> {
    /// What is to hold.
    pub settings: &'a Settings,
    /// On which condition: that those it replaces have this version, or any; older they are in either case.
    pub condition: Condition,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Whether they were put in place. Otherwise somebody else was first.
    pub won: bool,
    /// What holds now.
    pub settings: Settings,
}

impl Operation for PutSettings<'_> {
    type Reply = Placed;

    const SCRIPT: &'static str = scripts::PUT_SETTINGS;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet("settings")]
    }

    fn arguments(&self, place: &Place<'_>) -> Vec<Vec<u8>> {
        let replaces = match self.condition {
            Condition::Replaces(version) => digits(version),
            Condition::IsNewer => Vec::new(),
        };
        let channel = place.keys.fleet_channel().into_bytes();
        vec![replaces, digits(self.settings.version), encode_settings(self.settings), place.publish.into(), channel]
    }

    fn read(&self, reply: &mut Reply) -> Result<Placed, StoreError> {
        let won = reply.number::<u8>()? == 1;
        Ok(Placed { won, settings: decode_settings(reply.number()?, &reply.bytes()?)? })
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Placed {
        let held = &mut memory.settings.0;
        let replaces = match self.condition {
            Condition::Replaces(version) => held.version == version,
            Condition::IsNewer => true,
        };
        let won = replaces && held.version < self.settings.version;
        if won {
            held.clone_from(self.settings);
        }
        Placed { won, settings: held.clone() }
    }
}
