//! What the fleet decides together: the shared breaker of a provider, as pure functions of its record, of what the
//! sidecars report, and of the shared time; what operators have set; what a person must hear of; and how what a
//! provider allows, and what retries are paid for, is shared out.
//!
//! The store keeps records, sums up reports, leases probes and compares and sets; it decides nothing. Every sidecar
//! judges by [`judge`] alone, and so do the simulation and the model. Leaves out: how records and reports travel.

mod alert;
pub mod allowance;
pub mod bucket;
mod clock;
mod evidence;
#[cfg(test)]
mod fixture;
pub mod invariants;
mod judge;
mod judges;
pub mod pace;
mod record;
pub mod retries;
pub mod settings;
pub mod share;
mod spike;
mod tracker;
mod turns;
mod view;

pub use self::{
    alert::{Alert, AlertChange, AlertKey, AlertKind, Condition, settle},
    clock::{SharedClock, Stamp},
    evidence::{Evidence, Report},
    judge::{force, judge},
    judges::{Followed, Judges, Leave},
    record::{Reason, Record},
    spike::{Figures, Seen, Spike, SpikeSettings, Verdict},
    tracker::Tracker,
    turns::{Round, Turn, Turns},
    view::{PROBE_REST, Ruling, Ticket, View},
};
