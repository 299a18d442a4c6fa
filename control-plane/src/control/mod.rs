//! What operators can ask for: each operation once, whichever door it comes through.
//!
//! Doors translate; who may is decided before. Every change, done or refused, is in the audit log.

mod alerts;
mod audit;
mod change;
mod pages;
pub mod plan;
mod refusal;
mod requests;
mod watchers;

use std::sync::Arc;

use fusebox_proto::v1;
use fusebox_store::audit::Limits;

pub use self::{
    refusal::{Fault, Refusal},
    watchers::{Place, Watchers},
};
use crate::{
    alerts::Deliverer,
    picture::{Picture, Reader},
};

/// What carries out what operators ask for.
#[derive(Debug)]
pub struct Control {
    reader: Arc<Reader>,
    deliverer: Arc<Deliverer>,
    kept: Limits,
    watchers: Watchers,
}

impl Control {
    /// One that reads by `reader`; audit events are `kept` so long, and what became of alerts the `deliverer` knows.
    #[must_use]
    pub const fn new(reader: Arc<Reader>, deliverer: Arc<Deliverer>, kept: Limits, watchers: Watchers) -> Self {
        Self { reader, deliverer, kept, watchers }
    }

    /// Who watches.
    #[must_use]
    pub const fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// What reads the fleet.
    #[must_use]
    pub const fn reader(&self) -> &Arc<Reader> {
        &self.reader
    }

    /// What delivers alerts.
    #[must_use]
    pub const fn deliverer(&self) -> &Arc<Deliverer> {
        &self.deliverer
    }

    /// The fleet as it was painted last, a second ago at most while the store answers.
    #[must_use]
    pub fn fleet(&self) -> Arc<Picture> {
        self.reader.last()
    }

    /// One sidecar in full.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn sidecar(&self, id: &str) -> Result<v1::Sidecar, Refusal> {
        let picture = self.fleet();
        let found = picture.fleet.sidecars.iter().find(|sidecar| sidecar.id == id);
        found.cloned().ok_or_else(|| Refusal::NotFound(format!("no sidecar {id} is there, or was in the last minute")))
    }

    /// One provider, as the last picture has it.
    fn provider(&self, name: &str) -> Option<v1::Provider> {
        self.fleet().fleet.providers.iter().find(|provider| provider.name == name).cloned()
    }
}
