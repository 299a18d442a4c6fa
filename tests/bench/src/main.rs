//! Fusebox measured beside Envoy, haproxy and a direct call, and in a fleet. `run`, beside this crate's manifest, starts
//! the contenders and calls this program; it needs Linux and `wrk`, and for the fleet `redis-server`.

mod clock;
mod compare;
mod fleet;
mod load;
mod mock;
mod paced;
mod payload;
mod process;
mod report;
mod rules;
mod streams;
mod wire;

use std::{
    error::Error,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    compare::{Contender, Plan},
    mock::Pace,
};

#[derive(Parser)]
#[command(about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Be the mock provider.
    Mock {
        /// Where to listen.
        #[arg(long)]
        listen: SocketAddr,
        /// Worker threads.
        #[arg(long, default_value_t = 2)]
        threads: usize,
        /// Answer every call with an error.
        #[arg(long)]
        failing: bool,
        #[command(flatten)]
        pace: PaceArgs,
    },
    /// Print so many free ports of 127.0.0.1 on one line.
    Ports {
        /// How many.
        count: usize,
    },
    /// Measure those that are running, and print the report.
    Compare(CompareArgs),
    /// Measure what a fleet costs, and how fast it learns; print the report. Fails where a cost is above its limit.
    Fleet(fleet::Args),
    /// Print what the breaker's decisions cost.
    Rules {
        /// Count instructions too; needs valgrind.
        #[arg(long)]
        instructions: bool,
        /// Only do this operation, and print nothing.
        #[arg(long)]
        only: Option<String>,
        /// How often to do it.
        #[arg(long, default_value_t = 1_000_000, requires = "only")]
        operations: u64,
    },
}

#[derive(Args)]
struct PaceArgs {
    /// Tokens in a stream.
    #[arg(long, default_value_t = 50)]
    tokens: u32,
    /// Milliseconds between two tokens.
    #[arg(long, default_value_t = 10)]
    gap_ms: u64,
}

impl From<PaceArgs> for Pace {
    fn from(args: PaceArgs) -> Self {
        Self { tokens: args.tokens.max(1), gap: Duration::from_millis(args.gap_ms.max(1)) }
    }
}

#[derive(Args)]
struct CompareArgs {
    /// NAME=ADDRESS[@PID], once for each; the direct call first.
    #[arg(long = "contender", required = true)]
    contenders: Vec<Contender>,
    /// The mock provider's process id.
    #[arg(long)]
    mock: u32,
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long each measurement of a round lasts, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// A line for the report's head; may be given often.
    #[arg(long = "note")]
    notes: Vec<String>,
    /// Where the report goes, beside standard output.
    #[arg(long)]
    directory: PathBuf,
    #[command(flatten)]
    pace: PaceArgs,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Mock { listen, threads, failing, pace } => {
            let completion = if failing { payload::failure() } else { payload::completion() };
            mock::serve(&TcpListener::bind(listen)?, threads, completion, pace.into())?;
        }
        Command::Ports { count } => println!("{}", free_ports(count)?.join(" ")),
        Command::Compare(args) => return compare(args),
        Command::Fleet(args) => return Ok(fleet::run(&args)?),
        Command::Rules { only: Some(name), operations, .. } => rules::only(&name, operations)?,
        Command::Rules { instructions, .. } => println!("{}", rules::table(instructions)?),
    }
    Ok(ExitCode::SUCCESS)
}

/// Held all at once while they are looked for, so that none comes twice.
fn free_ports(count: usize) -> std::io::Result<Vec<String>> {
    let held = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<Vec<_>, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port().to_string())).collect()
}

fn compare(args: CompareArgs) -> Result<ExitCode, Box<dyn Error>> {
    let CompareArgs { contenders, mock, rounds, seconds, notes, directory, pace } = args;
    let plan = Plan { contenders, mock, rounds: rounds.max(1), seconds: seconds.max(1), pace: pace.into(), directory };
    let findings = compare::run(&plan)?;
    let report = report::markdown(&plan, &findings, &notes);
    let path = plan.directory.join("report.md");
    std::fs::write(&path, &report)?;
    println!("{report}");
    eprintln!("bench: the report is in {}", path.display());
    let failed = report::all_failed(&findings);
    if failed > 0 {
        eprintln!("bench: {failed} calls failed, so the figures above do not count");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
