//! What sharing adds to a call: one binary with two configurations, measured in turn.

use std::{io, time::Duration};

use super::{
    Stage, median, percentile,
    servers::{self, Redis, Sidecar},
};
use crate::{load::Generator, paced};

/// Connections under full load.
const CONNECTIONS: u32 = 32;
/// Calls a second of the paced caller.
const CALLS_PER_SECOND: u32 = 300;

/// What one round found of one configuration, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu_per_call: f64,
    pub(super) calls_per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// One round: with sharing, and alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    pub(super) shared: Cost,
    pub(super) alone: Cost,
}

/// All rounds.
#[derive(Debug)]
pub(super) struct Price {
    pub(super) rounds: Vec<Round>,
    pub(super) failed: u64,
}

impl Price {
    /// What sharing adds in the middle of the rounds' own differences.
    pub(super) fn added(&self, of: fn(&Cost) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| of(&round.shared) - of(&round.alone)))
    }

    /// The middle of the rounds' own ratios.
    pub(super) fn ratio(&self, of: fn(&Cost) -> f64) -> f64 {
        median(self.rounds.iter().map(|round| of(&round.shared) / of(&round.alone)))
    }
}

pub(super) fn run(stage: &Stage<'_>) -> io::Result<Price> {
    let redis = Redis::start(stage.redis, stage.directory)?;
    let (_mock, provider) = servers::mock(stage.directory, false)?;
    let generator = Generator::prepare(stage.directory)?;
    let start = |name: &str, redis: Option<&Redis>| {
        let config = servers::config(redis, &[(crate::payload::MODEL, provider)], "warn");
        Sidecar::start(stage.sidecar, stage.directory, name, &config)
    };
    let (shared, alone) = (start("shared", Some(&redis))?, start("alone", None)?);
    shared.await_fleet(1)?;
    let mut price = Price { rounds: Vec::new(), failed: 0 };
    for sidecar in [&shared, &alone] {
        generator.run(sidecar.http, CONNECTIONS, stage.scale.price_seconds)?;
    }
    for round in 0..stage.scale.price_rounds {
        let mut one = |sidecar: &Sidecar| measure(stage, &generator, sidecar, &mut price.failed);
        // Who is first takes turns.
        let (shared, alone) = if round.is_multiple_of(2) {
            let first = one(&shared)?;
            (first, one(&alone)?)
        } else {
            let first = one(&alone)?;
            (one(&shared)?, first)
        };
        price.rounds.push(Round { shared, alone });
    }
    Ok(price)
}

fn measure(stage: &Stage<'_>, generator: &Generator, sidecar: &Sidecar, failed: &mut u64) -> io::Result<Cost> {
    let seconds = stage.scale.price_seconds;
    let before = sidecar.cpu()?;
    let load = generator.run(sidecar.http, CONNECTIONS, seconds)?;
    let cpu = sidecar.cpu()?.saturating_sub(before);
    let mut paced = paced::run(sidecar.http, CALLS_PER_SECOND, Duration::from_secs(seconds))?;
    paced.took.sort_unstable();
    *failed += load.failed + paced.failed;
    let micros = |percent| percentile(&paced.took, percent).map_or(f64::NAN, |took| took.as_secs_f64() * 1e6);
    Ok(Cost {
        cpu_per_call: cpu.as_secs_f64() * 1e6 / load.calls.max(1) as f64,
        calls_per_second: load.calls as f64 / load.lasted.as_secs_f64(),
        p50: micros(50),
        p99: micros(99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_and_the_ratio_are_taken_within_rounds() {
        let cost = |cpu| Cost { cpu_per_call: cpu, calls_per_second: 1.0, p50: 1.0, p99: 1.0 };
        let round = |shared, alone| Round { shared: cost(shared), alone: cost(alone) };
        let rounds = vec![round(12.0, 10.0), round(105.0, 100.0), round(21.0, 20.0)];
        let price = Price { rounds, failed: 0 };
        assert!((price.added(|cost| cost.cpu_per_call) - 2.0).abs() < 1e-9);
        assert!((price.ratio(|cost| cost.cpu_per_call) - 1.05).abs() < 1e-9);
    }
}
