//! The real sidecar as a child process, on free ports, with a configuration of the test's own.

mod config;
mod process;

pub(crate) use self::config::lay_over;
pub use self::{config::Config, process::Sidecar};
