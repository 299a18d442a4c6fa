//! The real sidecar as a child process, on free ports, with a configuration of the test's own.

mod config;
mod process;

pub use self::{config::Config, process::Sidecar};
