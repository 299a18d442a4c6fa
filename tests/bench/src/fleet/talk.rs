//! What one sidecar asks of Redis in a second, while it is idle and while it is called two thousand times a second. The
//! more it is called the more it has to tell, but no more often.

use std::{io, net::SocketAddr, thread, time::Duration};

use super::{
    Stage, median, per_second,
    servers::{self, Asked, Redis, Sidecar},
};
use crate::{clock, paced};

/// Callers of one connection each, and what each calls in a second.
const CALLERS: usize = 8;
const CALLS_PER_SECOND: u32 = 250;
/// Providers of the sidecar, all shared. The first is called.
const PROVIDERS: [&str; 5] = [crate::payload::MODEL, "b", "c", "d", "e"];
/// Before anything counts.
const WARM_UP: Duration = Duration::from_secs(3);

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) calls_per_second: f64,
    pub(super) requests_per_second: f64,
    pub(super) commands_per_second: f64,
    pub(super) bytes_per_second: f64,
    /// The sidecar's milliseconds of CPU a second.
    pub(super) cpu_ms: f64,
}

/// All of them, in pairs.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) idle: Vec<Told>,
    pub(super) busy: Vec<Told>,
    pub(super) failed: u64,
}

impl Talk {
    /// By how much more is asked under load, as a share: of requests, and of bytes.
    pub(super) fn growth(&self) -> [f64; 2] {
        let of = |of: fn(&Told) -> f64| median(self.busy.iter().map(of)) / median(self.idle.iter().map(of)) - 1.0;
        [of(|told| told.requests_per_second), of(|told| told.bytes_per_second)]
    }
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Talk> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let (_mock, provider) = servers::mock(stage.directory, false)?;
    let config = servers::config(Some(&redis), &PROVIDERS.map(|name| (name, provider)), "warn");
    let sidecar = Sidecar::start(stage.sidecar, stage.directory, "talk", &config)?;
    sidecar.await_fleet(1)?;
    let mut talk = Talk { idle: Vec::new(), busy: Vec::new(), failed: 0 };
    call(sidecar.http, WARM_UP)?;
    for _ in 0..stage.scale.talk_rounds {
        let (idle, _) = measure(stage.scale.talk, &redis, &sidecar, |lasting| {
            clock::sleep_until(clock::now() + lasting);
            Ok((0, 0))
        })?;
        let (busy, failed) = measure(stage.scale.talk, &redis, &sidecar, |lasting| call(sidecar.http, lasting))?;
        talk.idle.push(idle);
        talk.busy.push(busy);
        talk.failed += failed;
    }
    Ok(talk)
}

/// Measures while `work` is done, which tells of its calls, good and failed.
fn measure(
    lasting: Duration,
    redis: &Redis,
    sidecar: &Sidecar,
    work: impl FnOnce(Duration) -> io::Result<(u64, u64)>,
) -> io::Result<(Told, u64)> {
    redis.count_anew()?;
    let (begin, cpu) = (clock::now(), sidecar.cpu()?);
    let (calls, failed) = work(lasting)?;
    let Asked { requests, commands, bytes } = redis.asked()?;
    let took = clock::now().duration_since(begin);
    let cpu = sidecar.cpu()?.saturating_sub(cpu);
    let told = Told {
        calls_per_second: per_second(calls, took),
        requests_per_second: per_second(requests, took),
        commands_per_second: per_second(commands, took),
        bytes_per_second: per_second(bytes, took),
        cpu_ms: cpu.as_secs_f64() * 1e3 / took.as_secs_f64(),
    };
    Ok((told, failed))
}

/// Calls that went well, and those that did not.
fn call(target: SocketAddr, lasting: Duration) -> io::Result<(u64, u64)> {
    thread::scope(|scope| {
        let callers: Vec<_> =
            (0..CALLERS).map(|_| scope.spawn(|| paced::run(target, CALLS_PER_SECOND, lasting))).collect();
        let mut sum = (0, 0);
        for caller in callers {
            let paced = caller.join().map_err(|_| io::Error::other("a caller has panicked"))??;
            sum = (sum.0 + paced.took.len() as u64, sum.1 + paced.failed);
        }
        Ok(sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_middle_rounds() {
        let told = |requests, bytes| Told {
            calls_per_second: 0.0,
            requests_per_second: requests,
            commands_per_second: 0.0,
            bytes_per_second: bytes,
            cpu_ms: 0.0,
        };
        let idle = vec![told(10.0, 100.0), told(1.0, 1.0), told(11.0, 200.0)];
        let busy = vec![told(11.0, 90.0), told(900.0, 90.0), told(10.0, 90.0)];
        let [requests, bytes] = Talk { idle, busy, failed: 0 }.growth();
        assert!((requests - 0.1).abs() < 1e-9 && (bytes + 0.1).abs() < 1e-9);
    }
}
