//! Alerts as people get them: real deliverers, a real Redis, and receivers that listen on real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests may, and they measure time with the real clock"
)]

mod email;
mod http;
mod replicas;
mod stage;
