//! The sidecar's program: what was typed, done.

use std::process::ExitCode;

use clap::Parser as _;
use fusebox_sidecar::{
    cli,
    config::{Args, Command},
    life::{self, StartError},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is wrong.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let sources = args.sources();
    let done = match args.command {
        None | Some(Command::Run(_)) => run(sources),
        Some(Command::Check(check)) => return cli::check(&check, &sources),
        Some(Command::Call(call)) => return cli::call(&call, &sources),
        Some(Command::Status(status)) => return cli::status(&status, &sources),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fusebox-sidecar: {error}");
            match error {
                StartError::Config(_) | StartError::Unusable(_) => ExitCode::from(WRONG_CONFIGURATION),
                StartError::Listen { .. } | StartError::WorkerDied | StartError::System(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn run(sources: fusebox_sidecar::config::Sources) -> Result<(), StartError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(life::run(sources))
}
