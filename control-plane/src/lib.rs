//! The control plane: what a fleet's operators see, and how they turn a provider off everywhere at once.
//!
//! All that is shared stands in the fleet's store; a replica remembers only what it may have to put back.

pub mod alerts;
pub mod json;
