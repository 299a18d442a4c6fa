//! Connections to Redis: single servers, masters behind Sentinels, and Clusters. Servers from 6.0 on, as RESP3 is
//! spoken. What is stored there is not known here.

mod address;
mod backoff;
mod classify;
mod dial;
mod herald;
mod hints;
mod link;
mod script;

pub use address::{Address, AddressError};
pub use hints::{Heard, Hints};
pub use link::{Link, LinkState};
pub use redis::{Cmd, FromRedisValue, Value, cmd, from_redis_value};
pub use script::{Batch, Script};
