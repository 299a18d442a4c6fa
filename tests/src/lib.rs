//! Fusebox seen from outside: a provider that follows a script, the real sidecar as a child
//! process, and clients for its doors. The tests themselves are in `tests/`.
//!
//! Nothing here knows the sidecar's insides: what is expected of it is the contract.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "this is a test's own code: a panic is a failed test, and time is measured with the real clock"
)]

pub mod client;
pub mod collector;
pub mod control_plane;
pub mod operator;
mod program;
pub mod provider;
pub mod proxy;
pub mod receiver;
pub mod redis;
mod running;
pub mod sidecar;
pub mod smtp;
pub mod tls;
pub mod wire;
