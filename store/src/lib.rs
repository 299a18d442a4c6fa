//! What a fleet of sidecars shares, and where it is kept.
//!
//! Knows the fleet's rules and the wire's messages; knows nothing of calls, providers' traffic, or configuration.
//! `redis` holds connections to Redis and is the only place that names the crate of that name.

pub mod error;
pub mod redis;

use std::sync::Arc;

use fusebox_rules::moment::Moment;

pub use error::StoreError;

/// Reads the process's clock; passed in, so that tests can drive it.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;
