//! Those who answer: one file a wire format.

pub mod anthropic;
pub mod fault;
pub mod simulated;
