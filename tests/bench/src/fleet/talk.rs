//! What one sidecar asks of Redis in a second: while it is idle, while it is called a hundred times a second, and while
//! it is called two thousand times. One that is called has more to tell than one that is not; the more it is called the
//! more it has to tell, but no more often.

use std::{io, net::SocketAddr, thread, time::Duration};

use super::{
    Stage, median, per_second,
    servers::{self, Asked, Redis, Sidecar},
};
use crate::{clock, paced};

/// Callers of one connection each, and what each calls in a second, seldom and often.
const CALLERS: usize = 8;
const SELDOM: u32 = 13;
const OFTEN: u32 = 250;
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

/// All of them, round by round.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) idle: Vec<Told>,
    pub(super) seldom: Vec<Told>,
    pub(super) often: Vec<Told>,
    pub(super) failed: u64,
}

impl Talk {
    /// By how much more is asked of one that is called often than of one that is called seldom, as a share: of
    /// requests, and of bytes.
    pub(super) fn growth(&self) -> [f64; 2] {
        let of = |of: fn(&Told) -> f64| median(self.often.iter().map(of)) / median(self.seldom.iter().map(of)) - 1.0;
        [of(|told| told.requests_per_second), of(|told| told.bytes_per_second)]
    }
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Talk> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let (_mock, provider) = servers::mock(stage.directory, false)?;
    let config = servers::config(Some(&redis), &PROVIDERS.map(|name| (name, provider)), "warn");
    let sidecar = Sidecar::start(stage.sidecar, stage.directory, "talk", &config)?;
    sidecar.await_fleet(1)?;
    let mut talk = Talk::default();
    call(sidecar.http, OFTEN, WARM_UP)?;
    for _ in 0..stage.scale.talk_rounds {
        for pace in [None, Some(SELDOM), Some(OFTEN)] {
            let (told, failed) = measure(stage.scale.talk, &redis, &sidecar, pace)?;
            talk.failed += failed;
            match pace {
                None => talk.idle.push(told),
                Some(SELDOM) => talk.seldom.push(told),
                Some(_) => talk.often.push(told),
            }
        }
    }
    Ok(talk)
}

/// Measures while each caller calls so often in a second, or nobody calls; and how many calls failed.
fn measure(lasting: Duration, redis: &Redis, sidecar: &Sidecar, pace: Option<u32>) -> io::Result<(Told, u64)> {
    redis.count_anew()?;
    let (begin, cpu) = (clock::now(), sidecar.cpu()?);
    let (calls, failed) = match pace {
        Some(per_second) => call(sidecar.http, per_second, lasting)?,
        None => {
            clock::sleep_until(begin + lasting);
            (0, 0)
        }
    };
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
fn call(target: SocketAddr, per_second: u32, lasting: Duration) -> io::Result<(u64, u64)> {
    thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|_| scope.spawn(|| paced::run(target, per_second, lasting))).collect();
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
        let seldom = vec![told(10.0, 100.0), told(1.0, 1.0), told(11.0, 200.0)];
        let often = vec![told(11.0, 90.0), told(900.0, 90.0), told(10.0, 90.0)];
        let [requests, bytes] = Talk { seldom, often, ..Talk::default() }.growth();
        assert!((requests - 0.1).abs() < 1e-9 && (bytes + 0.1).abs() < 1e-9);
    }
}
