//! The rooms of the sidecar; `main` wires them. What it stands on besides is `fusebox_base`.

pub mod cache;
pub mod call;
pub mod chat;
pub mod cli;
pub mod config;
pub mod digest;
pub mod doors;
pub mod error;
pub mod fleet;
pub mod gate;
pub mod health;
pub mod life;
pub mod provider;
pub mod telemetry;
pub mod validate;

pub use fusebox_base::clock;
