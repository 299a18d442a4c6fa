//! The admission webhook: which pods a sidecar is put into as they are made, and how. It knows what Kubernetes asks and
//! answers, and neither sockets nor a fleet; what asks over the network is a door's business.

mod changes;
mod counts;
mod decide;
mod patch;
mod pod;
mod quantity;
mod review;
mod sidecar;
mod template;
mod values;
mod wishes;
mod yaml;

pub use self::{
    counts::{Counts, Outcome},
    decide::{Decision, Scope, Verdict, decide},
    patch::Patch,
    review::{Asked, OnError, answer},
    template::Template,
};

/// What our annotations and labels begin with.
const PREFIX: &str = "fusebox.dev/";
/// The sidecar's container, by which an injected pod is known.
const CONTAINER: &str = "fusebox";
/// The volume of the sidecar's configuration.
const CONFIG_VOLUME: &str = "fusebox-config";

#[cfg(test)]
mod tests;
