//! Links and hints against real Redis servers, which must be installed as `redis-server`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod cluster;
mod hints;
mod link;
mod same;
mod secure;
mod sentinel;
mod server;
