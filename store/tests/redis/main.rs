//! Links and hints against real Redis servers, which must be installed as `redis-server`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may")]

mod alerts;
mod alike;
mod audit;
mod cache;
mod claims;
mod cluster;
mod delivery;
mod errors;
mod hints;
mod link;
mod lock;
mod presence;
mod runs;
mod same;
mod secure;
mod sentinel;
mod server;
mod settings;
mod shares;
mod silences;
