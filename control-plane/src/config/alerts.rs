//! What is meant by the configuration's `alerts`: what the delivery is to hold to, and where its secrets stand.

use std::path::PathBuf;

use crate::alerts::Settings;

/// Whom alerts are sent to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerts {
    /// What the delivery holds to.
    pub settings: Settings,
    /// The files that its secrets were read from.
    pub files: Vec<PathBuf>,
}
