//! `ombak wal`: what a write-ahead log says, and what a restart would make of it. Reads, and never writes.
//!
//! | file | what |
//! |---|---|
//! | `place` | what a directory is: a database, a node's commit log, a log alone; and that nobody has it open |
//! | `entry` | a record, taken apart for filters, tables and JSON |
//! | `stat`, `dump`, `verify`, `recover` | the commands |

mod dump;
mod entry;
mod place;
mod recover;
mod stat;
mod verify;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::CliError;

const EXAMPLES: &str = "\
Examples:
  ombak wal stat /var/lib/ombak                    segments, and records by stream and kind
  ombak wal dump /var/lib/ombak --stream 7         the records of partition 7, as lines
  ombak wal dump ./db --txn 42 --json              those of a transaction, as JSON lines
  ombak wal verify ./db                            compares every checksum; exit code 1 if anything is damaged
  ombak wal recover --dry-run ./db                 what a restart would do, and why: analysis, redo, undo

DIR is a database of the storage engine (with `wal` and `pages` in it), the data directory of a node, or a directory with
the segments of a log alone. Nothing is written, ever, so a copy serves as well, and a disk that must not be touched. The
node must not run: a log that is being written looks torn.
Exit codes: 0 all is well, 1 something is damaged, 2 wrong usage, 3 the directory cannot be read.";

const DUMP_EXAMPLES: &str = "\
Examples:
  ombak wal dump ./db --from 100 --to 120          twenty-one records
  ombak wal dump ./db --kind clr,end               what was taken back
  ombak wal dump ./db --txn 42                     everything that transaction 42 logged
  ombak wal dump ./node --stream 7 --json | jq     partition 7 of a node, for programs

A line has the record's number (LSN), its kind, whose it is, what it does, and its links to other records: `prev` is the
transaction's record before, `undo next` is what is to be taken back after it.
Kinds of the engine: update, clr, nested-end, commit, rollback, end, prepare, locked, single, begin-checkpoint, end-checkpoint.
Kinds of a node's commit log: bytes, end.";

const RECOVER_EXAMPLES: &str = "\
Examples:
  ombak wal recover --dry-run ./db                 the three passes, told
  ombak wal recover --dry-run ./db --lines 5       five lines of each
  ombak wal recover --dry-run ./db --json          for programs

The real restart happens when the database is opened. This one reads the same files with the same code, and says what it
would do with each record. The method is ARIES: C. Mohan et al., TODS 17(1), 1992; the words are the paper's.";

/// Look into a write-ahead log that nobody writes.
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub enum WalCommand {
    /// Segments, and records by stream and kind.
    #[command(after_help = EXAMPLES)]
    Stat(DirectoryArgs),
    /// Print records.
    #[command(after_help = DUMP_EXAMPLES)]
    Dump(DumpArgs),
    /// Compare every checksum of log and pages, and try a restart in memory.
    #[command(after_help = EXAMPLES)]
    Verify(DirectoryArgs),
    /// Tell what a restart would do.
    #[command(after_help = RECOVER_EXAMPLES)]
    Recover(RecoverArgs),
}

/// Which directory, and how to say what is there.
#[derive(Args, Debug)]
pub struct DirectoryArgs {
    /// A database, a node's data directory, or a log.
    dir: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// Which records.
#[derive(Args, Debug)]
pub struct DumpArgs {
    /// A database, a node's data directory, or a log.
    dir: PathBuf,
    /// Records of this stream alone. In a node's commit log: of this partition.
    #[arg(long)]
    stream: Option<u32>,
    /// Records of these kinds alone.
    #[arg(long, value_delimiter = ',', value_name = "KINDS")]
    kind: Vec<String>,
    /// Records of this transaction alone.
    #[arg(long)]
    txn: Option<u64>,
    /// From this LSN on.
    #[arg(long, value_name = "LSN", default_value_t = 0)]
    from: u64,
    /// Up to this LSN, and with it.
    #[arg(long, value_name = "LSN", default_value_t = u64::MAX, hide_default_value = true)]
    to: u64,
    /// Print a JSON object for each record, one a line.
    #[arg(long)]
    json: bool,
}

/// How much of it to tell.
#[derive(Args, Debug)]
pub struct RecoverArgs {
    /// A database.
    dir: PathBuf,
    /// Say it, and do not do it. The real one happens when the database is opened.
    #[arg(long, required = true)]
    dry_run: bool,
    /// So many lines of each table and pass at most; the rest is counted.
    #[arg(long, default_value_t = 50)]
    lines: u64,
    /// Print a JSON object, with all of them.
    #[arg(long)]
    json: bool,
}

/// `ombak wal …`.
pub fn run(command: &WalCommand) -> Result<(), CliError> {
    match command {
        WalCommand::Stat(args) => stat::run(&args.dir, args.json),
        WalCommand::Dump(args) => dump::run(args),
        WalCommand::Verify(args) => verify::run(&args.dir, args.json),
        WalCommand::Recover(args) => recover::run(args),
    }
}
