//! The rounds: every contender in turn, then every contender again, so that a noisy minute is noisy for all.

use std::{io, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use crate::{
    clock,
    load::Generator,
    mock::Pace,
    paced,
    process::{self, MachineCpu},
    streams,
};

/// Connections under full load, and streams at once.
pub(crate) const CONNECTIONS: u32 = 64;
/// Calls a second of the paced caller.
pub(crate) const CALLS_PER_SECOND: u32 = 300;
/// How long a contender may take to come up.
const START: Duration = Duration::from_secs(15);
/// How long each is loaded before anything counts, in seconds.
const WARM_UP_SECONDS: u64 = 1;

/// Someone who answers calls: the mock provider itself, or a proxy before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contender {
    /// How the report calls it.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process, where it is one that the calls have to pay for.
    pub(crate) pid: Option<u32>,
}

impl FromStr for Contender {
    type Err = String;

    /// Reads `NAME=ADDRESS` or `NAME=ADDRESS@PID`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, place) = text.split_once('=').ok_or("no `=` between name and address")?;
        let (address, pid) = place.split_once('@').map_or((place, None), |(address, pid)| (address, Some(pid)));
        let address = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let pid = pid.map(|pid| pid.parse().map_err(|_| format!("`{pid}` is no process id"))).transpose()?;
        Ok(Self { name: name.to_owned(), address, pid })
    }
}

/// What to measure, and for how long.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The direct call first, then the proxies.
    pub(crate) contenders: Vec<Contender>,
    /// The mock provider's process.
    pub(crate) mock: u32,
    /// How often each is measured.
    pub(crate) rounds: u32,
    /// How long each of the three measurements of a round lasts, in seconds.
    pub(crate) seconds: u64,
    /// The pace of the mock provider's streams.
    pub(crate) pace: Pace,
    /// Where the load generator's files go.
    pub(crate) directory: PathBuf,
}

/// The middle and the tail of a set of times, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// What one round found of one contender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// Answered calls under full load.
    pub(crate) calls_per_second: f64,
    /// The proxy's own microseconds a call under full load; none for the direct call.
    pub(crate) cpu_per_call: Option<f64>,
    /// How long a paced call took.
    pub(crate) paced: Spread,
    /// How long the first token of a stream took.
    pub(crate) first_token: Spread,
    /// The proxy's own microseconds a chunk of a paced stream; none for the direct call.
    pub(crate) cpu_per_chunk: Option<f64>,
    /// Calls and streams that failed.
    pub(crate) failed: u64,
}

/// What all rounds found. Samples and memory stand in the order of the plan's contenders.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) rounds: Vec<Vec<Sample>>,
    /// Resident memory after the last round.
    pub(crate) resident_kib: Vec<Option<u64>>,
    /// The share of the machine's time that processes outside the benchmark used, from 0 to 1.
    pub(crate) others: f64,
    /// The share that the machine's host kept, from 0 to 1.
    pub(crate) stolen: f64,
}

/// Checks that every contender answers rightly, warms them up, and measures them round by round.
pub(crate) fn run(plan: &Plan) -> io::Result<Findings> {
    let generator = Generator::prepare(&plan.directory)?;
    for contender in &plan.contenders {
        await_right_answers(contender, plan.pace)?;
        generator.run(contender.address, CONNECTIONS, WARM_UP_SECONDS)?;
    }
    let (machine_before, ours_before) = (MachineCpu::read()?, all_our_cpu(plan)?);
    let mut rounds = Vec::new();
    for round in 1..=plan.rounds {
        eprintln!("bench: round {round} of {}", plan.rounds);
        rounds.push(measure(plan, &generator)?);
    }
    let machine = MachineCpu::read()?.since(machine_before);
    let others = machine.busy.saturating_sub(all_our_cpu(plan)?.saturating_sub(ours_before));
    let memory = |contender: &Contender| contender.pid.map(process::resident_kib).transpose();
    Ok(Findings {
        rounds,
        resident_kib: plan.contenders.iter().map(memory).collect::<io::Result<_>>()?,
        others: others.div_duration_f64(machine.total),
        stolen: machine.stolen.div_duration_f64(machine.total),
    })
}

/// One round: each of the three measurements goes to every contender before the next measurement begins.
fn measure(plan: &Plan, generator: &Generator) -> io::Result<Vec<Sample>> {
    let lasting = Duration::from_secs(plan.seconds);
    let mut samples = vec![Sample::default(); plan.contenders.len()];
    let pairs = || plan.contenders.iter().enumerate();
    for (i, contender) in pairs() {
        let (load, cpu) = with_cpu(contender.pid, || generator.run(contender.address, CONNECTIONS, plan.seconds))?;
        samples[i].calls_per_second = load.calls as f64 / load.lasted.as_secs_f64();
        samples[i].cpu_per_call = cpu.map(|cpu| micros(cpu) / load.calls.max(1) as f64);
        samples[i].failed += load.failed;
    }
    for (i, contender) in pairs() {
        let mut paced = paced::run(contender.address, CALLS_PER_SECOND, lasting)?;
        samples[i].paced = spread(&mut paced.took);
        samples[i].failed += paced.failed;
    }
    for (i, contender) in pairs() {
        let run = || streams::run(contender.address, CONNECTIONS, plan.pace, lasting);
        let (mut streams, cpu) = with_cpu(contender.pid, run)?;
        samples[i].first_token = spread(&mut streams.first_token);
        samples[i].cpu_per_chunk = cpu.map(|cpu| micros(cpu) / streams.tokens.max(1) as f64);
        samples[i].failed += streams.failed;
    }
    Ok(samples)
}

fn await_right_answers(contender: &Contender, pace: Pace) -> io::Result<()> {
    let begin = clock::now();
    loop {
        let checked = paced::check(contender.address).and_then(|()| streams::check(contender.address, pace));
        match checked {
            Ok(()) => return Ok(()),
            Err(error) if clock::now().duration_since(begin) > START => {
                return Err(io::Error::other(format!("{} does not answer rightly: {error}", contender.name)));
            }
            Err(_) => clock::sleep_until(clock::now() + Duration::from_millis(100)),
        }
    }
}

fn with_cpu<T>(pid: Option<u32>, work: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Option<Duration>)> {
    let before = pid.map(process::cpu).transpose()?;
    let done = work()?;
    let after = pid.map(process::cpu).transpose()?;
    Ok((done, after.zip(before).map(|(after, before)| after.saturating_sub(before))))
}

fn all_our_cpu(plan: &Plan) -> io::Result<Duration> {
    let pids = plan.contenders.iter().filter_map(|contender| contender.pid).chain([plan.mock]);
    pids.map(process::cpu).chain([process::own_cpu()]).sum()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn spread(times: &mut [Duration]) -> Spread {
    times.sort_unstable();
    let at = |percent: usize| times.len().checked_sub(1).map_or(f64::NAN, |last| micros(times[last * percent / 100]));
    Spread { p50: at(50), p99: at(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contender_is_read_with_or_without_its_process() {
        let direct: Contender = "direct=127.0.0.1:80".parse().unwrap();
        assert_eq!((direct.name.as_str(), direct.pid), ("direct", None));
        let envoy: Contender = "Envoy=127.0.0.1:81@7".parse().unwrap();
        assert_eq!(envoy.pid, Some(7));
        for wrong in ["envoy", "envoy=here", "envoy=127.0.0.1:81@me"] {
            assert!(wrong.parse::<Contender>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_spread_is_the_middle_and_the_tail() {
        let mut times: Vec<Duration> = (0..=100).rev().map(Duration::from_micros).collect();
        let Spread { p50, p99 } = spread(&mut times);
        assert!((p50 - 50.0).abs() < 0.01 && (p99 - 99.0).abs() < 0.01);
        assert!(spread(&mut []).p50.is_nan(), "no call is no time, not a short one");
    }
}
