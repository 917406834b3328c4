//! Ombak's storage beside redb, fjall, SQLite, LMDB and RocksDB, on the same rows and the same work.
//!
//! ```console
//! $ cargo run --release -- durable --dir DIRECTORY
//! ```
//!
//! Each run is a process of its own ([`workloads::Job`]), which prints what it found; this program starts them, one
//! engine after the other, again and again, and makes a table of the medians.

mod check;
mod cli;
mod engines;
mod os;
mod row;
mod runs;
mod table;
mod workloads;

use anyhow::Result;
use clap::Parser;

use cli::{Arguments, Command};
use workloads::Job;

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Durable(options) => runs::durable(&options),
        Command::Memory(options) => runs::memory(&options),
        Command::Scan(options) => runs::scan(&options),
        Command::Larger(options) => runs::larger(&options),
        Command::Bytes(options) => runs::bytes(&options),
        Command::Check(options) => check::run(&options),
        Command::Spin => os::spin(),
        Command::Job { job } => run_job(&job),
    }
}

fn run_job(text: &str) -> Result<()> {
    os::end_with_parent()?;
    let job: Job = serde_json::from_str(text)?;
    let measures = job.run()?;
    println!("{}", serde_json::to_string(&measures)?);
    Ok(())
}
