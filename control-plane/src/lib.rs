//! The control plane: what a fleet's operators see, and how they turn a provider off everywhere at once.
//!
//! All that is shared stands in the fleet's store; a replica remembers only what it may have to put back.

pub mod access;
pub mod alerts;
pub mod cli;
pub mod config;
pub mod control;
pub mod demonstration;
pub mod doors;
pub mod inject;
pub mod json;
pub mod life;
pub mod picture;
pub mod telemetry;
