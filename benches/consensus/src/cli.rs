//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::contenders::Kind;
use crate::services::Service;

/// Ombak's replicated log beside other libraries, on the same commands
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Three members of etcd and of Ombak over loopback, puts of 64 clients
    Services(Services),
    /// Is the busy loop of the lowest priority
    #[command(hide = true)]
    Spin,
    /// Is one run
    #[command(hide = true)]
    Job { job: String },
}

#[derive(Args)]
pub struct Options {
    /// Each replica has a log on disk, and says that it has accepted something only when that is synced
    #[arg(long)]
    pub synced: bool,
    /// Where the logs go, on the disk that is to be measured; each run takes a new directory in it
    #[arg(long, default_value = "consensus-bench-data")]
    pub dir: PathBuf,
    /// Which contenders
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Kind::ALL)]
    pub contenders: Vec<Kind>,
    /// Ombak's log also with sessions, which apply a command once however often it is asked for
    #[arg(long)]
    pub sessions: bool,
    /// Bytes of a command
    #[arg(long, value_delimiter = ',', default_values_t = [16, 1024])]
    pub bytes: Vec<usize>,
    /// Commands under way at a time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 10_000])]
    pub windows: Vec<usize>,
    /// Commands in a batch of OmniPaxos, if the window is larger
    #[arg(long, default_value_t = 10_000)]
    pub batch: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 1.0)]
    pub seconds: f64,
    #[command(flatten)]
    pub common: Common,
}

impl Options {
    pub fn all_contenders(&self) -> Vec<Kind> {
        let sessions = self.sessions.then_some(Kind::Sessions);
        self.contenders.iter().copied().chain(sessions).collect()
    }
}

#[derive(Args)]
pub struct Common {
    /// Runs of each contender, of which the median counts
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Prints every run as JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Runs no busy loop beside the work: see the README
    #[arg(long)]
    pub no_spinner: bool,
}

#[derive(Args)]
pub struct Services {
    /// Which services
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Service::ALL)]
    pub services: Vec<Service>,
    /// The program of etcd (Debian: etcd-server)
    #[arg(long, default_value = "etcd")]
    pub etcd: PathBuf,
    /// The program of Ombak
    #[arg(long, default_value = "../../target/release/ombak")]
    pub ombak: PathBuf,
    /// Where the members' data goes
    #[arg(long, default_value = "consensus-bench-data")]
    pub dir: PathBuf,
    /// The first of nine ports
    #[arg(long, default_value_t = 23_790)]
    pub port: u16,
    /// Clients, each with one put under way
    #[arg(long, default_value_t = 64)]
    pub clients: usize,
    /// Bytes of a value
    #[arg(long, default_value_t = 256)]
    pub bytes: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 20.0)]
    pub seconds: f64,
    #[command(flatten)]
    pub common: Common,
}
