//! What is found out on timers, never on a caller's call.

pub mod load;
pub mod probe;
