//! Who changed what, and what was refused: entries in the order in which they were made, the oldest of which are
//! forgotten. Who may read them is not known here.

mod append;
mod entries;

use std::collections::VecDeque;

pub use self::{
    append::{Append, Limits},
    entries::{Entries, Entry},
};

/// What the scripts touch.
pub(crate) const KEY: &str = "audit";

/// In memory, from the oldest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(VecDeque<Entry>);
