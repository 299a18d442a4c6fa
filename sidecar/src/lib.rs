//! The rooms of the sidecar; `main` wires them.

pub mod call;
pub mod chat;
pub mod clock;
pub mod config;
pub mod error;
pub mod provider;
