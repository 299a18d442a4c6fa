//! The whole-system tests: the real sidecar, real sockets, and providers that follow a script.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a panic is a failed test, and time is measured with the real clock"
)]
#![allow(clippy::needless_pass_by_value, reason = "`retry(json!({…}))` reads better without a `&`")]

mod admin;
mod anthropic;
mod auth;
mod bounds;
mod breaker;
mod cancel;
mod chain;
mod chaos;
mod config;
mod contract;
mod drain;
mod error_table;
mod errors;
mod grpc_surface;
mod health;
mod house;
mod idempotency;
mod input;
mod life;
mod limits;
mod openai_surface;
mod provider;
mod proxy;
mod reload;
mod retries;
mod runs;
mod streams;
mod support;
mod telemetry;
mod timeouts;
mod tls;
mod traces;
