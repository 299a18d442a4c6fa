//! The operator's command: what was typed, asked of the control plane.

fn main() {}
