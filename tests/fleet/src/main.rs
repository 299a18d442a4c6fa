//! `fleet-sim`: lives every scenario at one size, and writes a page of figures and a picture of each.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use fusebox_fleet_sim::{
    plot, report,
    scenario::{self, Scale},
    sidecar::Sharing,
};

/// Simulates a fleet of sidecars in virtual time. Ends with status 1 where something does not hold that must.
#[derive(Debug, Parser)]
#[command(name = "fleet-sim")]
struct Args {
    /// Sidecars.
    #[arg(long, default_value_t = 1_000)]
    sidecars: usize,
    /// Calls a second at each sidecar.
    #[arg(long, default_value_t = 2.0)]
    calls: f64,
    /// Of chance: the same one gives the same histories.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the fleet that shares: what the others do is known, and takes long at large sizes.
    #[arg(long)]
    shared_only: bool,
    /// Only these scenarios.
    #[arg(long)]
    only: Vec<String>,
    /// Where the page of figures goes.
    #[arg(long, default_value = "target/fleet/report.md")]
    report: PathBuf,
    /// Where the pictures go; without it, none are drawn.
    #[arg(long)]
    pictures: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fleet-sim: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all holds that must.
fn run(args: &Args) -> std::io::Result<bool> {
    let scale = Scale { sidecars: args.sidecars.max(1), calls: args.calls.max(0.001), seed: args.seed };
    let mut page = report::head(scale);
    let mut holds = true;
    println!("{page}");
    for scenario in &scenario::ALL {
        if !args.only.is_empty() && !args.only.iter().any(|only| only == scenario.name) {
            continue;
        }
        let mut compared = scenario.alternatives();
        compared.retain(|sharing| *sharing == Sharing::Fleet || !args.shared_only);
        let histories: Vec<_> = compared.into_iter().map(|sharing| scenario.live(scale, sharing)).collect();
        let section = report::section(&histories);
        println!("{section}");
        page.push_str(&section);
        holds &= histories.iter().all(|lived| lived.broken().is_empty());
        if let Some(folder) = &args.pictures {
            fs::create_dir_all(folder)?;
            fs::write(folder.join(format!("{}.svg", scenario.name)), plot::picture(&histories))?;
        }
    }
    if let Some(folder) = args.report.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&args.report, page)?;
    Ok(holds)
}
