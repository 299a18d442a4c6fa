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
mod batches;
mod bounds;
mod breaker;
mod cache;
mod cancel;
mod chain;
mod chaos;
mod config;
mod content_filter;
mod context_window;
mod contract;
mod control;
mod drain;
mod error_table;
mod errors;
mod fleet;
mod grpc_surface;
mod health;
mod hedging;
mod house;
mod idempotency;
mod images;
mod input;
mod ladder;
mod life;
mod limits;
mod load;
mod openai_surface;
mod operator;
mod options;
mod output;
mod provider;
mod proxy;
mod redis_harness;
mod reload;
mod retries;
mod runs;
mod streams;
mod support;
mod survive;
mod telemetry;
mod timeouts;
mod tls;
mod traces;
