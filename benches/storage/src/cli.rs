//! The command line.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::engines::Kind;

const MIB: u64 = 1 << 20;

/// Ombak's storage beside other engines, on the same rows and the same work
#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Transactions of one new row each, each on the disk before the next, from many threads
    Durable(Durable),
    /// Gets and puts at random keys, all in memory, one thread
    Memory(Memory),
    /// Scans in order of the keys, all in memory, one thread
    Scan(Memory),
    /// Gets and puts at random keys, with ten times the data that fits memory, one thread
    Larger(Larger),
    /// Bytes written in a longer run of durable transactions with three checkpoints
    Bytes(Bytes),
    /// Kills an engine with SIGKILL while it works, and looks whether all acknowledged rows are there
    Check(Check),
    /// Is the busy loop of the lowest priority
    #[command(hide = true)]
    Spin,
    /// Is one run
    #[command(hide = true)]
    Job { job: String },
}

/// What all workloads have
#[derive(Args, Clone)]
pub struct Common {
    /// Where the engines' files go, on the disk that is to be measured; each run takes a new directory in it
    #[arg(long, default_value = "storage-bench-data")]
    pub dir: PathBuf,
    /// Which engines [default: all that can do the work]
    #[arg(long, value_delimiter = ',', value_enum)]
    pub engines: Vec<Kind>,
    /// Runs of each engine, of which the median counts
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Prints every run as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Runs no busy loop beside the work: see the README
    #[arg(long)]
    pub no_spinner: bool,
    /// Rows that are put in one transaction, where it need not be durable
    #[arg(long, default_value_t = 1_000)]
    pub put_rows: usize,
    /// Rows that are read in one transaction
    #[arg(long, default_value_t = 100)]
    pub read_rows: usize,
}

#[derive(Args)]
pub struct Durable {
    #[command(flatten)]
    pub common: Common,
    /// Threads that put at once
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub threads: Vec<usize>,
    /// Seconds of each run
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Rows that are there before
    #[arg(long, default_value_t = 100_000)]
    pub rows: u64,
    /// Bytes for the engine's caches and write buffers
    #[arg(long, default_value_t = 256 * MIB)]
    pub memory_bytes: u64,
}

#[derive(Args)]
pub struct Memory {
    #[command(flatten)]
    pub common: Common,
    /// Seconds of each phase
    #[arg(long, default_value_t = 2.0)]
    pub seconds: f64,
    /// Rows
    #[arg(long, default_value_t = 1_000_000)]
    pub rows: u64,
    /// Bytes for the engine's caches and write buffers
    #[arg(long, default_value_t = 1024 * MIB)]
    pub memory_bytes: u64,
}

#[derive(Args)]
pub struct Larger {
    #[command(flatten)]
    pub common: Common,
    /// Seconds of each phase
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Bytes for everything, of which the engine's caches and write buffers get half; there is ten times as much data
    #[arg(long, default_value_t = 128 * MIB)]
    pub memory_bytes: u64,
    /// The directory of a memory cgroup whose limit is set to --memory-bytes; without it the page cache has no limit
    #[arg(long)]
    pub cgroup: Option<PathBuf>,
}

#[derive(Args)]
pub struct Bytes {
    #[command(flatten)]
    pub common: Common,
    /// Threads that put at once
    #[arg(long, default_value_t = 16)]
    pub threads: usize,
    /// Durable transactions of each run
    #[arg(long, default_value_t = 20_000)]
    pub transactions: u64,
    /// Rows that are there before
    #[arg(long, default_value_t = 100_000)]
    pub rows: u64,
    /// Bytes for the engine's caches and write buffers
    #[arg(long, default_value_t = 256 * MIB)]
    pub memory_bytes: u64,
}

#[derive(Args)]
pub struct Check {
    /// Where the engines' files go; each engine takes a new directory in it
    #[arg(long, default_value = "storage-bench-data")]
    pub dir: PathBuf,
    /// Which engines [default: all]
    #[arg(long, value_delimiter = ',', value_enum)]
    pub engines: Vec<Kind>,
    /// How often each engine is killed, and goes on in the same directory
    #[arg(long, default_value_t = 3)]
    pub rounds: u64,
    /// Threads that put at once
    #[arg(long, default_value_t = 8)]
    pub threads: usize,
    /// Acknowledged rows after which it is killed
    #[arg(long, default_value_t = 2_000)]
    pub rows: u64,
}

impl Common {
    /// The engines that are asked for, or all that can do the work.
    pub fn engines(&self, needs_tables: bool) -> Result<Vec<Kind>> {
        let can = |kind: &Kind| !needs_tables || kind.has_tables();
        if self.engines.is_empty() {
            return Ok(Kind::value_variants().iter().copied().filter(can).collect());
        }
        let unable = self.engines.iter().find(|kind| !can(kind));
        ensure!(unable.is_none(), "{unable:?} has no tables, which this work needs");
        Ok(self.engines.clone())
    }
}
