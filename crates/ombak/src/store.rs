//! `ombak store`: what a data directory holds, while its node does not run.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ombak_server::inspect::{Inspection, PartitionReport, StoreReport, Verified};

use crate::error::CliError;
use crate::output::{print_json, print_line, print_table, table};

const EXAMPLES: &str = "\
Examples:
  ombak store stat /var/lib/ombak            keys and bytes of each partition
  ombak store verify /var/lib/ombak          reads every value and compares its checksum
  ombak store verify --json ./demo/dev1

The node must not run. Its commit log is replayed into its files, and their keys are listed, as its next start would
do; nothing else is written.
Exit codes: 0 all is well, 2 wrong usage, 3 something is damaged, or the directory cannot be read.";

/// Look into a data directory whose node does not run.
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub enum StoreCommand {
    /// Count keys and bytes, by partition.
    #[command(after_help = EXAMPLES)]
    Stat(DirectoryArgs),
    /// Read every entry and compare its checksum.
    #[command(after_help = EXAMPLES)]
    Verify(DirectoryArgs),
}

/// Which directory, and how to say what is there.
#[derive(Args, Debug)]
pub struct DirectoryArgs {
    /// The node's data directory.
    dir: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// `ombak store …`.
pub fn run(command: &StoreCommand) -> Result<(), CliError> {
    match command {
        StoreCommand::Stat(args) => stat(args),
        StoreCommand::Verify(args) => verify(args),
    }
}

fn stat(args: &DirectoryArgs) -> Result<(), CliError> {
    let inspection = Inspection::open(&args.dir).map_err(CliError::failed)?;
    say(args, inspection.report())
}

fn verify(args: &DirectoryArgs) -> Result<(), CliError> {
    let inspection = Inspection::open(&args.dir).map_err(CliError::failed)?;
    let keys = inspection.report().partitions.iter().map(|partition| partition.keys).sum();
    let bar = ProgressBar::new(keys);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos} of {len} keys, {eta} left") {
        bar.set_style(style);
    }
    let report = inspection.verify(|read| bar.set_position(read));
    bar.finish_and_clear();
    say(args, &report)
}

fn say(args: &DirectoryArgs, report: &StoreReport) -> Result<(), CliError> {
    if args.json {
        let value = serde_json::to_value(report).map_err(CliError::failed)?;
        print_json(&value)?;
    } else {
        show(report)?;
    }
    outcome(report)
}

fn show(report: &StoreReport) -> Result<(), CliError> {
    print_line(&format!(
        "{}, of {}; ring size {}",
        report.node,
        report.members.join(", "),
        report.ring_size
    ))?;
    let mut rows = table(&["partition", "keys", "live", "record files", "large files"]);
    for partition in &report.partitions {
        let whole = if partition.root { "root group" } else { "node" };
        let number = partition.partition.map_or(whole.into(), |number| number.to_string());
        rows.add_row(row(number, partition));
    }
    let sum = |of: fn(&PartitionReport) -> u64| report.partitions.iter().map(of).sum::<u64>();
    let all = PartitionReport {
        partition: None,
        root: false,
        keys: sum(|partition| partition.keys),
        live_bytes: sum(|partition| partition.live_bytes),
        file_bytes: sum(|partition| partition.file_bytes),
        large_bytes: sum(|partition| partition.large_bytes),
    };
    rows.add_row(row("all".into(), &all));
    print_table(&rows)?;
    if report.torn_tail {
        print_line("the commit log ends in the middle of a write that nobody was told is durable")?;
    }
    for damage in &report.damage {
        print_line(&format!("damaged: {}", damage.text))?;
    }
    match &report.verified {
        Some(verified) => show_verified(verified),
        None => Ok(()),
    }
}

fn row(name: String, partition: &PartitionReport) -> [String; 5] {
    let bytes = |bytes: u64| indicatif::HumanBytes(bytes).to_string();
    [
        name,
        partition.keys.to_string(),
        bytes(partition.live_bytes),
        bytes(partition.file_bytes),
        bytes(partition.large_bytes),
    ]
}

fn show_verified(verified: &Verified) -> Result<(), CliError> {
    for entry in &verified.listed {
        let name = match &entry.name {
            Some((bucket, key)) => format!("bucket {bucket:?}, key {key:?}"),
            None => "a record of the database's own".into(),
        };
        print_line(&format!("damaged: {name}: {}", entry.what))?;
    }
    print_line(&format!(
        "{} entries with {} match their checksums",
        verified.entries,
        indicatif::HumanBytes(verified.bytes)
    ))
}

/// Damage is an error, also for scripts.
fn outcome(report: &StoreReport) -> Result<(), CliError> {
    let entries = report.verified.as_ref().map_or(0, |verified| verified.damaged);
    if entries == 0 && report.damage.is_empty() {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "{entries} entries and {} places are damaged: start the node beside the other owners, and `ombak repair` copies \
         what it lacks",
        report.damage.len()
    )))
}
