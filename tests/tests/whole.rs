//! The whole-system tests: the real sidecar, real sockets, and providers that follow a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is a failed test, and time is measured with the real clock"
)]

mod provider;
