//! Ombak's replicated log beside OmniPaxos, raft-rs and openraft, on the same commands.
//!
//! ```console
//! $ cargo run --release            # in memory
//! $ cargo run --release -- --synced --dir DIRECTORY
//! ```
//!
//! Each run is a process of its own ([`job::Job`]), which prints what it found; this program starts them, one contender
//! after the other, again and again, and makes a table of the medians.

mod cli;
mod contenders;
mod job;
mod journal;
mod os;
mod runs;
mod services;
mod table;
mod tally;

use anyhow::Result;
use clap::Parser;

use cli::{Arguments, Command};
use job::Job;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        None => runs::compare(&arguments.options),
        Some(Command::Services(options)) => services::compare(&options),
        Some(Command::Spin) => os::spin(),
        Some(Command::Job { job }) => run_job(&job),
    }
}

fn run_job(text: &str) -> Result<()> {
    os::end_with_parent()?;
    let job: Job = serde_json::from_str(text)?;
    println!("{}", serde_json::to_string(&job.run()?)?);
    Ok(())
}
