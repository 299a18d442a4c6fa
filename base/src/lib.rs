//! What the sidecar and the control plane both stand on: reading a configuration, logs, spans, pages of metrics,
//! listening, and the clock. It knows nothing of calls, of providers or of a fleet.

pub mod clock;
pub mod config;
pub mod log;
pub mod prometheus;
pub mod serve;
pub mod spans;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The target of log lines about telemetry itself, by which a filter can pick them.
const LOG: &str = "fusebox::telemetry";
