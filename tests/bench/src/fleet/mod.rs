//! What a fleet costs, and how fast it learns: Redis asked by sidecars, and calls beside it. Each part starts what it
//! needs and ends it again. Judges three of the figures; draws no other conclusion.

mod crowd;
mod operator;
mod other;
mod pause;
mod price;
mod report;
mod servers;
mod spread;
mod switch;
mod talk;
mod traffic;
mod wire;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::ValueEnum;

use crate::process::{self, MachineCpu};

/// What to measure, with what, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the report goes, beside standard output, and the logs.
    #[arg(long)]
    directory: PathBuf,
    /// The sidecar to measure.
    #[arg(long)]
    sidecar: PathBuf,
    /// The control plane to switch a provider off by; the command `fusebox` is beside it.
    #[arg(long)]
    control_plane: PathBuf,
    /// The Redis to measure it with.
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
    /// A Python that has pybreaker and redis; without it that part is left out.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Fewer and shorter rounds, fewer sidecars.
    #[arg(long)]
    quick: bool,
    /// Only this part; may be given often.
    #[arg(long)]
    only: Vec<Part>,
    /// How long Redis is paused, in seconds.
    #[arg(long)]
    pause_seconds: Option<u64>,
    /// Sidecars that are real processes.
    #[arg(long)]
    processes: Option<usize>,
    /// A line for the report's head; may be given often.
    #[arg(long = "note")]
    notes: Vec<String>,
}

/// One of the measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// What one sidecar asks of Redis, idle and under load.
    Talk,
    /// What a thousand simulated sidecars cost Redis.
    Crowd,
    /// How fast an opening spreads over real sidecars.
    Spread,
    /// How fast calls stop at a provider that is switched off.
    Switch,
    /// What sharing adds to a call.
    Price,
    /// Calls while Redis is paused.
    Pause,
    /// pybreaker with its storage in Redis.
    Other,
}

/// How long, how often and how many.
#[derive(Debug, Clone, Copy)]
struct Scale {
    talk: Duration,
    talk_rounds: u32,
    simulated: usize,
    crowd: Duration,
    processes: usize,
    openings: usize,
    price_rounds: u32,
    price_seconds: u64,
    pause: Duration,
    other_calls: u32,
}

impl Scale {
    fn of(args: &Args) -> Self {
        let seconds = Duration::from_secs;
        let mut scale = if args.quick {
            Self {
                talk: seconds(15),
                talk_rounds: 1,
                simulated: 1_000,
                crowd: seconds(5),
                processes: 20,
                openings: 3,
                price_rounds: 6,
                price_seconds: 1,
                pause: seconds(5),
                other_calls: 500,
            }
        } else {
            Self {
                talk: seconds(30),
                talk_rounds: 3,
                simulated: 1_000,
                crowd: seconds(20),
                processes: 100,
                openings: 10,
                price_rounds: 12,
                price_seconds: 3,
                pause: seconds(60),
                other_calls: 5_000,
            }
        };
        scale.pause = args.pause_seconds.map_or(scale.pause, seconds);
        scale.processes = args.processes.unwrap_or(scale.processes).max(2);
        scale
    }
}

/// What a part works with.
struct Stage<'a> {
    directory: &'a Path,
    sidecar: &'a Path,
    control_plane: &'a Path,
    redis: &'a Path,
    scale: Scale,
}

/// What was found, of the parts that were asked for.
#[derive(Debug, Default)]
struct Findings {
    talk: Option<talk::Talk>,
    crowd: Option<crowd::Crowd>,
    spread: Option<spread::Spreads>,
    switch: Option<switch::Switches>,
    price: Option<price::Price>,
    pause: Option<pause::Pause>,
    other: Option<other::Other>,
    /// Parts that could not be measured, and why.
    faults: Vec<String>,
    /// The share of the machine's time that its host kept, or that was idle, from 0 to 1.
    stolen: f64,
    idle: f64,
}

/// Measures, writes the report, and says whether the three figures are within their limits.
pub(crate) fn run(args: &Args) -> io::Result<ExitCode> {
    fs::create_dir_all(&args.directory)?;
    let stage = Stage {
        directory: &args.directory,
        sidecar: &args.sidecar,
        control_plane: &args.control_plane,
        redis: &args.redis,
        scale: Scale::of(args),
    };
    let machine = process::machine();
    let before = MachineCpu::read()?;
    let mut findings = measure(args, &stage);
    let spent = MachineCpu::read()?.since(before);
    findings.stolen = spent.stolen.div_duration_f64(spent.total);
    findings.idle = 1.0 - (spent.busy + spent.stolen).div_duration_f64(spent.total);
    let text = report::markdown(&machine, &findings, &args.notes);
    let path = args.directory.join("fleet.md");
    fs::write(&path, &text)?;
    println!("{text}");
    eprintln!("bench: the report is in {}", path.display());
    let failures = report::failures(&findings);
    for failure in &failures {
        eprintln!("bench: {failure}");
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(args: &Args, stage: &Stage<'_>) -> Findings {
    let mut faults = Vec::new();
    let mut found = Findings {
        price: part(args, Part::Price, &mut faults, || price::run(stage)),
        talk: part(args, Part::Talk, &mut faults, || talk::run(stage)),
        pause: part(args, Part::Pause, &mut faults, || pause::run(stage)),
        crowd: part(args, Part::Crowd, &mut faults, || crowd::run(stage)),
        spread: part(args, Part::Spread, &mut faults, || spread::run(stage)),
        switch: part(args, Part::Switch, &mut faults, || switch::run(stage)),
        ..Findings::default()
    };
    if let Some(python) = &args.python {
        found.other = part(args, Part::Other, &mut faults, || other::run(stage, python));
    }
    found.faults = faults;
    found
}

/// One part, if it is asked for. One that goes wrong is noted, and does not keep the others from being told.
fn part<T>(args: &Args, part: Part, faults: &mut Vec<String>, run: impl FnOnce() -> io::Result<T>) -> Option<T> {
    if !args.only.is_empty() && !args.only.contains(&part) {
        return None;
    }
    eprintln!("bench: {part:?}");
    run().map_err(|error| faults.push(format!("{part:?} could not be measured: {error}"))).ok()
}

/// Per second, of something counted for `lasting`.
fn per_second(count: u64, lasting: Duration) -> f64 {
    count as f64 / lasting.as_secs_f64()
}

/// The value below which `percent` of `sorted` lie; none where there is nothing.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    sorted.len().checked_sub(1).map(|last| sorted[last * percent / 100])
}

/// The middle of `values`, of which none may be no number.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(upper), 0) => (values[middle - 1] + upper) / 2.0,
        (Some(middle), _) => *middle,
        (None, _) => f64::NAN,
    }
}
