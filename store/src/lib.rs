//! What a fleet of sidecars shares, and where it is kept.
//!
//! Knows the fleet's rules and the wire's messages; knows nothing of calls, providers' traffic, or configuration.
//! Each thing that can be asked is an [`Operation`]: one Lua script, and the same thing done in memory.
//! `redis` holds connections to Redis and is the only place that names the crate of that name.

pub mod alerts;
pub mod audit;
pub mod body;
pub mod breaker;
pub mod claims;
pub mod delivery;
pub mod digest;
pub mod error;
pub mod errors;
mod kept;
pub mod lock;
mod memory;
pub mod operation;
pub mod presence;
mod recent;
pub mod redis;
pub mod runs;
pub mod settings;
pub mod share;
pub mod shared_cache;
pub mod silences;

use std::sync::Arc;

use fusebox_rules::moment::Moment;

pub use error::StoreError;
pub use kept::{AlertNews, News, SharedTime, Store, Told};
pub use memory::Memory;
pub use operation::Operation;

/// Reads the process's clock; passed in, so that tests can drive it.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;
