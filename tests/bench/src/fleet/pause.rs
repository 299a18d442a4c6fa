//! Calls while Redis stands still, which answers nobody and closes no connection, beside calls before that.

use std::{io, time::Duration};

use super::{
    Stage, percentile,
    servers::{self, Redis, Sidecar},
};
use crate::paced;

/// Calls a second.
const CALLS_PER_SECOND: u32 = 200;

/// How long calls took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Took {
    pub(super) calls: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
    pub(super) failed: u64,
}

/// Before, while Redis is paused, and after.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) lasted: Duration,
    pub(super) phases: [(&'static str, Took); 3],
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Pause> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let (_mock, provider) = servers::mock(stage.directory, false)?;
    let config = servers::config(Some(&redis), &[(crate::payload::MODEL, provider)], "warn");
    let sidecar = Sidecar::start(stage.sidecar, stage.directory, "pause", &config)?;
    sidecar.await_fleet(1)?;
    let lasted = stage.scale.pause;
    // The first calls of a process pay for what it makes once.
    call(&sidecar, Duration::from_secs(1))?;
    let before = call(&sidecar, lasted)?;
    redis.pause()?;
    let during = call(&sidecar, lasted)?;
    redis.resume()?;
    let after = call(&sidecar, lasted.min(Duration::from_secs(10)))?;
    sidecar.await_fleet(1)?;
    Ok(Pause { lasted, phases: [("before", before), ("paused", during), ("after", after)] })
}

fn call(sidecar: &Sidecar, lasting: Duration) -> io::Result<Took> {
    let mut paced = paced::run(sidecar.http, CALLS_PER_SECOND, lasting)?;
    paced.took.sort_unstable();
    let at = |percent| percentile(&paced.took, percent).ok_or_else(|| io::Error::other("no call was answered"));
    Ok(Took { calls: paced.took.len(), p50: at(50)?, p99: at(99)?, longest: at(100)?, failed: paced.failed })
}
