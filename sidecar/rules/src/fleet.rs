//! What the fleet decides together: the shared breaker of a provider, as pure functions of its record, of what the
//! sidecars report, and of the shared time.
//!
//! The store keeps records, sums up reports, leases probes and compares and sets; it decides nothing. Every sidecar
//! judges by [`judge`] alone, and so do the simulation and the model. Leaves out: how records and reports travel.

mod clock;
mod evidence;
pub mod invariants;
mod judge;
mod record;
mod tracker;
mod view;

pub use self::{
    clock::{SharedClock, Stamp},
    evidence::{Evidence, Report},
    judge::{force, judge},
    record::{Reason, Record},
    tracker::Tracker,
    view::{PROBE_REST, Ruling, Ticket, View},
};
