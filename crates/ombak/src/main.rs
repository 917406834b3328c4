//! The `ombak` program.
fn main() {}
