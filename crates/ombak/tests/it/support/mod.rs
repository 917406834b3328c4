//! What the tests with real processes share.

use std::io::Write;

pub mod alone;
pub mod cluster;
pub mod demo;
pub mod hosts;
pub mod load;
pub mod many;
pub mod pb;
pub mod ports;
pub mod process;
pub mod proxy;

/// Says that a test shows nothing here, past its captured output: a skip must be seen. `.ci/run` counts these lines.
pub fn skipped(why: &str) {
    let told = format!("\nSKIPPED: {why}; this test shows nothing here\n");
    let _ = std::io::stderr().lock().write_all(told.as_bytes());
}
