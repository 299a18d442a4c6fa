//! pybreaker with its storage in Redis beside ours: what a call costs whose breaker asks Redis on the way.

use std::{io, path::Path, process::Command};

use serde_json::Value;

use super::{Stage, servers::Redis};

/// What one breaker costs a call.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) version: String,
    /// Commands to Redis, of a call that went well.
    pub(super) commands_per_call: f64,
    /// Added to a call, in microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

pub(super) fn run(stage: &Stage<'_>, python: &Path) -> io::Result<Other> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let script = stage.directory.join("pybreaker_cost.py");
    std::fs::write(&script, include_str!("../../pybreaker_cost.py"))?;
    let (host, port) = (redis.address().ip().to_string(), redis.address().port().to_string());
    let calls = stage.scale.other_calls.to_string();
    let output = Command::new(python).arg(&script).args([&host, &port, &calls]).output()?;
    let told = || format!("pybreaker's program: {}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|_| io::Error::other(told()))?;
    let number = |name: &str| said[name].as_f64().ok_or_else(|| io::Error::other(told()));
    Ok(Other {
        version: said["version"].as_str().unwrap_or("of unknown version").to_owned(),
        commands_per_call: number("commands_per_call")?,
        p50: number("added_p50_us")?,
        p99: number("added_p99_us")?,
    })
}
