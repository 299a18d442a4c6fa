//! What is found out on timers, never on a caller's call.

mod aside;
mod ask;
pub mod checks;
mod disk;
pub mod load;
mod model;
pub mod probe;
