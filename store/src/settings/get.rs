//! Reads a fleet's settings.

use fusebox_proto::{keys::Keys, scripts};
use fusebox_rules::fleet::{Stamp, settings::Settings};

use super::decode_settings;
use crate::{
    Memory, Operation, StoreError,
    operation::{Place, Reply},
};

/// Asks for the settings; those of version 0 are empty.
#[derive(Debug, Clone)]
pub struct GetSettings;

impl Operation for GetSettings {
    type Reply = Settings;

    const SCRIPT: &'static str = scripts::SETTINGS;

    fn keys(&self, keys: &Keys) -> Vec<String> {
        vec![keys.fleet("settings")]
    }

    fn arguments(&self, _place: &Place<'_>) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn read(&self, reply: &mut Reply) -> Result<Settings, StoreError> {
        decode_settings(reply.number()?, &reply.bytes()?)
    }

    fn apply(&self, memory: &mut Memory, _now: Stamp) -> Settings {
        memory.settings.0.clone()
    }
}
