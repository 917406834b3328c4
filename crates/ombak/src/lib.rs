//! The `ombak` program: a cluster on one machine, one node of a cluster, and the tools that talk to nodes.
//!
//! | file | command |
//! |---|---|
//! | `demo` | a whole cluster on this machine, as child processes |
//! | `start`, `config` | one node, and where its options come from |
//! | `status`, `ring`, `repair` | how a node is, over its HTTP port |
//! | `top` | what nodes do, second by second |
//! | `object` | get, put and delete one key over HTTP |
//! | `bucket` | which buckets there are, their keys and properties |
//! | `bench` | how fast a server is |
//! | `lock`, `locks` | run a command while a lock is held; who holds what |
//! | `lead` | run a command while being the leader; who leads |
//! | `holding` | what `lock` and `lead` have in common |
//! | `snapshot` | a copy of a running node's data |
//! | `record` | what a running node's shards were given and did last |
//! | `store` | what a data directory holds, without its node |
//! | `wal` | what a write-ahead log says, and what a restart would make of it |
//! | `sim` | a whole cluster in one process, from a seed |
//!
//! Everything here parses, asks and prints; nothing here decides about data.

mod address;
mod bench;
mod bucket;
mod config;
mod demo;
mod duration;
mod error;
#[doc(hidden)]
pub mod fuzz;
mod holding;
mod http_client;
mod lead;
mod lock;
mod locks;
mod nodes;
mod object;
mod output;
mod record;
mod register;
mod registers;
mod repair;
mod ring;
mod signals;
mod sim;
mod snapshot;
mod start;
mod status;
mod store;
mod top;
mod wal;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::bench::BenchError;
use crate::error::CliError;

const EXAMPLES: &str = "\
First steps:
  ombak demo                              three nodes on this machine, until Ctrl-C
  ombak put users alice 'hello'           in another terminal
  ombak get users alice
  curl http://127.0.0.1:8098/buckets/users/keys/alice
  ombak status                            who is up, and how the vnodes are
  ombak top                               what the node is doing, each second
  ombak lock backup -- ./backup.sh        one machine at a time

Exit codes: 0 done, 1 not found, 2 wrong usage, 3 error (`ombak lock` and `ombak lead` have their own).";

/// A masterless, replicated key-value database that Riak's clients use unmodified.
#[derive(Parser)]
#[command(name = "ombak", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Start(Box<start::StartArgs>),
    Status(status::StatusArgs),
    Top(top::TopArgs),
    Ring(ring::RingArgs),
    Repair(repair::RepairArgs),
    Snapshot(snapshot::SnapshotArgs),
    Record(record::RecordArgs),
    Get(object::GetArgs),
    Put(object::PutArgs),
    Del(object::DelArgs),
    #[command(subcommand)]
    Bucket(bucket::BucketCommand),
    Bench(Box<bench::BenchArgs>),
    Lock(lock::LockArgs),
    #[command(hide = true)]
    LockRun(holding::RunArgs),
    Locks(locks::LocksArgs),
    Lead(lead::LeadArgs),
    Leader(lead::LeaderArgs),
    #[command(subcommand)]
    Register(register::RegisterCommand),
    Registers(registers::RegistersArgs),
    #[command(subcommand)]
    Store(store::StoreCommand),
    #[command(subcommand)]
    Wal(wal::WalCommand),
    Sim(sim::SimArgs),
}

/// Runs the command line of this process; how the process ends.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::StdoutClosed | CliError::Ended(_)) {
                eprintln!("ombak: {error}");
            }
            error.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Start(args) => start::run(*args),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Ring(args) => ring::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Record(args) => record::run(&args),
        Command::Get(args) => object::get(&args),
        Command::Put(args) => object::put(&args),
        Command::Del(args) => object::del(&args),
        Command::Bucket(command) => bucket::run(&command),
        Command::Bench(args) => bench::run(*args).map_err(bench_error),
        Command::Lock(args) => lock::run(&args),
        Command::LockRun(args) => holding::run_command(&args),
        Command::Locks(args) => locks::run(&args),
        Command::Lead(args) => lead::lead(&args),
        Command::Leader(args) => lead::leader(&args),
        Command::Register(command) => register::run(&command),
        Command::Registers(args) => registers::run(&args),
        Command::Store(command) => store::run(&command),
        Command::Wal(command) => wal::run(&command),
        Command::Sim(args) => sim::run(&args),
    }
}

fn bench_error(error: BenchError) -> CliError {
    match error {
        BenchError::System(_, source) if source.kind() == ErrorKind::BrokenPipe => {
            CliError::StdoutClosed
        }
        BenchError::Options(what) => CliError::Usage(what),
        other => CliError::failed(other),
    }
}
