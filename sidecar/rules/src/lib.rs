//! Fusebox's pure decisions: state, an event and a moment in; a verdict out.
//!
//! Nothing here waits, reads a clock, throws dice or logs. Each rule is one file of one shape: what
//! configures it, what it remembers, what it can answer, and its tests.

pub mod batch;
pub mod breaker;
pub mod budget;
pub mod classify;
pub mod come_back;
pub mod critical;
pub mod deadline;
pub mod degradation;
pub mod error;
pub mod fleet;
pub mod health;
pub mod holdback;
pub mod image;
pub mod ladder;
pub mod limit;
pub mod line;
pub mod moment;
pub mod pace;
pub mod quantile;
pub mod retry;
pub mod run;
pub mod splice;
pub mod survive;
mod text;
pub mod tokens;
pub mod truncation;
pub mod usage;
pub mod window;
