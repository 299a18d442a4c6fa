//! The control plane's program: what was typed, done.

fn main() {}
