//! How long after one sidecar has opened a shared breaker the last of many knows. The sidecars are processes, and it is
//! their log lines that are compared, so that looking costs nothing while it happens.

use std::{io, time::Duration};

use super::{
    Stage,
    servers::{self, Redis, Sidecar, await_that},
    wire,
};
use crate::{clock, process};

/// Calls that fail, of the first two sidecars in turn: as many as open the breaker.
const FAILURES: usize = 4;
/// Where log lines of one day end and those of the next begin.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// One opening.
#[derive(Debug, Clone)]
pub(super) struct Opening {
    /// From the first sidecar's knowing to each one's, shortest first.
    pub(super) after_first: Vec<Duration>,
    /// From the answer to the last call that failed to the last sidecar's knowing.
    pub(super) after_failure: Duration,
}

/// All openings.
#[derive(Debug)]
pub(super) struct Spreads {
    pub(super) processes: usize,
    /// Resident memory of one, in the middle of all.
    pub(super) resident_kib: u64,
    pub(super) openings: Vec<Opening>,
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Spreads> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let (_failing, provider) = servers::mock(stage.directory, true)?;
    let names: Vec<String> = (0..stage.scale.openings).map(|number| format!("p{number}")).collect();
    let providers: Vec<_> = names.iter().map(|name| (name.as_str(), provider)).collect();
    let config = servers::config(Some(&redis), &providers, "error,fusebox::breaker=info");
    let start = |number| Sidecar::begin(stage.sidecar, stage.directory, &format!("sidecar-{number}"), &config);
    let mut sidecars = (0..stage.scale.processes).map(start).collect::<io::Result<Vec<_>>>()?;
    sidecars.iter_mut().try_for_each(Sidecar::await_ready)?;
    sidecars.iter().try_for_each(|sidecar| sidecar.await_fleet(stage.scale.processes))?;
    let openings = names.iter().map(|name| open(&sidecars, name)).collect::<io::Result<_>>()?;
    let resident = sidecars.iter().map(|sidecar| process::resident_kib(sidecar.pid()));
    let mut resident = resident.collect::<io::Result<Vec<_>>>()?;
    resident.sort_unstable();
    Ok(Spreads { processes: sidecars.len(), resident_kib: resident[resident.len() / 2], openings })
}

fn open(sidecars: &[Sidecar], provider: &str) -> io::Result<Opening> {
    for sidecar in sidecars[..2].iter().cycle().take(FAILURES) {
        let status = wire::call(sidecar.http, provider)?;
        if status < 500 {
            return Err(io::Error::other(format!("a provider that fails was answered for with {status}")));
        }
    }
    let failed = clock::time_of_day();
    let mut known = Vec::new();
    await_that("all sidecars to know", || {
        known = sidecars.iter().filter_map(|sidecar| opened(&sidecar.log().ok()?, provider)).collect();
        Ok(known.len() == sidecars.len())
    })?;
    let mut after_failure: Vec<Duration> = known.iter().map(|at| later(*at, failed)).collect();
    after_failure.sort_unstable();
    let (first, last) = (after_failure[0], after_failure[after_failure.len() - 1]);
    Ok(Opening { after_first: after_failure.iter().map(|at| *at - first).collect(), after_failure: last })
}

/// How long after `earlier` it is `at`, which may be past midnight; none where the clocks of two processes differ in
/// which came first.
fn later(at: Duration, earlier: Duration) -> Duration {
    match at.checked_sub(earlier) {
        Some(after) => after,
        None if earlier - at > DAY / 2 => at + DAY - earlier,
        None => Duration::ZERO,
    }
}

/// The time of day of the line that tells of this provider's opening.
fn opened(log: &str, provider: &str) -> Option<Duration> {
    let named = format!("provider=\"{provider}\"");
    let line = log.lines().find(|line| line.contains("breaker opened") && line.contains(&named))?;
    let (_, time) = line.split_once('T')?;
    let (time, _) = time.split_once('Z')?;
    let mut fields = time.split(':');
    let (hours, minutes) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    let seconds = Duration::try_from_secs_f64(fields.next()?.parse().ok()?).ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_found_among_other_lines_with_its_time() {
        let log = "2026-01-02T03:04:05.5Z  INFO fusebox::breaker: breaker moved provider=\"p1\"\n\
                   2026-01-02T03:04:06.25Z  WARN fusebox::breaker: breaker opened provider=\"p2\" scope=\"fleet\"\n\
                   2026-01-02T03:04:07.25Z  WARN fusebox::breaker: breaker opened provider=\"p1\" scope=\"fleet\"\n";
        assert_eq!(opened(log, "p1"), Some(Duration::from_millis(11_047_250)));
        assert_eq!(opened(log, "p"), None);
    }

    #[test]
    fn midnight_comes_between_two_times_of_day_and_clocks_that_differ_do_not() {
        let seconds = Duration::from_secs;
        assert_eq!(later(seconds(7), seconds(5)), seconds(2));
        assert_eq!(later(seconds(1), DAY - seconds(1)), seconds(2));
        assert_eq!(later(seconds(4), seconds(5)), Duration::ZERO);
    }
}
