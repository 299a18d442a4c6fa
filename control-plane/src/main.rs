//! The control plane's program: what was typed, done.

use std::process::ExitCode;

use clap::Parser as _;
use fusebox_control_plane::{
    config::{Args, Command, check},
    life::{self, StartError},
};

/// The configuration is wrong.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let sources = args.sources();
    if let Some(Command::Check(asked)) = &args.command {
        return check(asked, &sources);
    }
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(StartError::from)
        .and_then(|runtime| runtime.block_on(life::run(sources)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fusebox-control-plane: {error}");
            match error {
                StartError::Config(_) | StartError::Unusable(_) => ExitCode::from(WRONG_CONFIGURATION),
                StartError::Listen { .. } | StartError::System(_) => ExitCode::FAILURE,
            }
        }
    }
}
