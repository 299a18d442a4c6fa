//! A fleet's settings as the store keeps them: one document with its version.

mod change;
mod document;
mod get;
mod put;

use fusebox_rules::fleet::settings::Settings;

pub use self::{
    change::ChangeSettings,
    document::{decode_settings, encode_settings},
    get::GetSettings,
    put::{Placed, PutSettings},
};

/// What settings may take the place of, by versions instead of epochs.
pub use crate::breaker::Condition;

/// In memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Settings);

impl Held {
    pub(crate) const fn version(&self) -> u64 {
        self.0.version
    }
}
