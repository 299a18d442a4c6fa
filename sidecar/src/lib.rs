//! The rooms of the sidecar; `main` wires them.

pub mod cache;
pub mod call;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod config;
pub mod digest;
pub mod doors;
pub mod error;
pub mod fleet;
pub mod gate;
pub mod health;
pub mod life;
pub mod provider;
pub mod serve;
pub mod telemetry;
pub mod validate;
