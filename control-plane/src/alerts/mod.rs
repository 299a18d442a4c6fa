//! Brings alerts to people: who is told what, when, by which channel, and how that goes.
//!
//! The events that sidecars leave in the store are the truth. `policy` decides what follows of them, and is pure;
//! `channel` speaks to receivers; `deliverer` is the loop, of which one replica at a time leads by a lease. What has
//! become of each delivery stands in the store, so that any replica goes on where another stopped: each alert is
//! delivered at least once, and always under the same key. Leaves out what raises alerts.

mod channel;
mod deliverer;
mod kept;
mod lead;
mod policy;
mod settings;
mod view;
mod words;

pub use fusebox_base::config::Secret;

pub use self::{
    channel::check,
    deliverer::Deliverer,
    policy::{Severity, Silence, silenced_by},
    settings::{
        Channel, ChannelKind, Email, Encryption, MAX_CHANNELS, MAX_READERS, MAX_ROUTES, PAGERDUTY, PagerDuty, Route,
        Settings, Slack, Webhook,
    },
    view::{Counts, Deliveries},
};
