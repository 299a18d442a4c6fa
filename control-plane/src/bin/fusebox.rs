//! The operator's command: what was typed, asked of the control plane.

use std::process::ExitCode;

fn main() -> ExitCode {
    fusebox_control_plane::cli::main()
}
