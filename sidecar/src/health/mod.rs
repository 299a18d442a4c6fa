//! What is found out on timers, never on a caller's call.

mod ask;
pub mod checks;
mod disk;
mod model;
pub mod probe;
