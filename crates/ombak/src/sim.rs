//! `ombak sim`: whole clusters in one process, from a seed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use ombak_worlds::{Failure, Report, run_seed};

use crate::config::cores;
use crate::error::CliError;
use crate::output::print_line;

/// With `--seed`, so many events are shown before a property that broke.
const TRACE_LINES: usize = 200;

const EXAMPLES: &str = "\
Examples:
  ombak sim run --seed 42                 one run; again and again the same
  ombak sim run --seeds 500               seeds 1 to 500, on all cores
  ombak sim run --seed 42 --trace-hash    its fingerprint, equal in every process

Each seed is a cluster of three to five nodes, clients, and faults: delay, loss, duplication, partitions, crashes,
lost disks. Then everything is healed, and what clients were told is checked against what is there.";

/// Run simulated clusters and look for lost data.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct SimArgs {
    #[command(subcommand)]
    command: SimCommand,
}

#[derive(Subcommand, Debug)]
enum SimCommand {
    Run(RunArgs),
}

/// Run one seed, or many.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct RunArgs {
    /// Run this seed.
    #[arg(long, required_unless_present = "seeds", conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first of many.
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "seeds")]
    from: u64,
    /// Print the hash of everything that happened as the last line.
    #[arg(long)]
    trace_hash: bool,
}

/// `ombak sim`.
pub fn run(args: &SimArgs) -> Result<(), CliError> {
    let SimCommand::Run(args) = &args.command;
    match (args.seed, args.seeds) {
        (Some(seed), _) => run_one(seed, args.trace_hash),
        (None, seeds) => run_many(args.from, seeds.unwrap_or(1), args.trace_hash),
    }
}

/// The one place where the simulator is called.
fn simulate(seed: u64, trace_lines: usize) -> Result<Report, Failure> {
    run_seed(seed, trace_lines)
}

fn run_one(seed: u64, trace_hash: bool) -> Result<(), CliError> {
    let report = simulate(seed, TRACE_LINES).map_err(CliError::failed)?;
    print_line(&format!(
        "seed {seed}: {} operations, {} succeeded, {:.1} s of virtual time, {} places reached",
        report.operations,
        report.succeeded,
        report.virtual_us as f64 / 1e6,
        report.probes.len()
    ))?;
    match trace_hash {
        true => print_line(&format!("{:032x}", report.trace_hash)),
        false => Ok(()),
    }
}

fn run_many(from: u64, count: u64, trace_hash: bool) -> Result<(), CliError> {
    let progress = progress(count);
    let mut total = Total::default();
    for (seed, result) in results(from, count)? {
        if let Err(failure) = &result {
            progress.suspend(|| eprintln!("{failure}"));
        }
        total.add(seed, result);
        progress.inc(1);
    }
    progress.finish_and_clear();
    print_line(&total.line(from, count))?;
    if trace_hash {
        print_line(&format!("{:032x}", total.hash()))?;
    }
    match total.failed {
        0 => Ok(()),
        failed => Err(CliError::failed(format!(
            "{failed} of {count} seeds failed: run one of those above again with `ombak sim run --seed SEED`"
        ))),
    }
}

/// Runs the seeds on all cores; results come as they are done.
fn results(
    from: u64,
    count: u64,
) -> Result<impl Iterator<Item = (u64, Result<Report, Failure>)>, CliError> {
    let (sender, results) = mpsc::channel();
    let next: &'static AtomicU64 = Box::leak(Box::default());
    for worker in 0..cores().min(usize::try_from(count).unwrap_or(usize::MAX)) {
        let sender = sender.clone();
        thread::Builder::new()
            .name(format!("ombak-sim-{worker}"))
            .spawn(move || work(from, count, next, &sender))
            .map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))?;
    }
    Ok(results.into_iter())
}

fn work(from: u64, count: u64, next: &AtomicU64, sender: &Sender<(u64, Result<Report, Failure>)>) {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let seed = from.wrapping_add(at);
        if at >= count || sender.send((seed, simulate(seed, 0))).is_err() {
            return;
        }
    }
}

fn progress(count: u64) -> ProgressBar {
    // Draws on standard error, if that is a terminal.
    let bar = ProgressBar::new(count);
    match ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What many runs came to.
#[derive(Default)]
struct Total {
    operations: usize,
    succeeded: usize,
    failed: u64,
    /// By seed: runs end in any order.
    hashes: BTreeMap<u64, u128>,
}

impl Total {
    fn add(&mut self, seed: u64, result: Result<Report, Failure>) {
        match result {
            Ok(report) => {
                self.operations += report.operations;
                self.succeeded += report.succeeded;
                self.hashes.insert(seed, report.trace_hash);
            }
            Err(_) => self.failed += 1,
        }
    }

    fn line(&self, from: u64, count: u64) -> String {
        format!(
            "{count} seeds from {from}: {} held, {} failed; {} operations, {} succeeded",
            count - self.failed,
            self.failed,
            self.operations,
            self.succeeded
        )
    }

    /// The hashes of all runs, in the order of their seeds, as one (FNV-1a).
    fn hash(&self) -> u128 {
        let bytes = self.hashes.values().flat_map(|hash| hash.to_le_bytes());
        bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seed: u64) -> Report {
        Report {
            seed,
            trace_hash: u128::from(seed) << 7,
            virtual_us: 1,
            operations: 2,
            succeeded: 1,
            probes: BTreeMap::new(),
        }
    }

    #[test]
    fn the_order_in_which_runs_end_does_not_matter() {
        let mut forth = Total::default();
        let mut back = Total::default();
        for seed in 1..=4 {
            forth.add(seed, Ok(report(seed)));
            back.add(5 - seed, Ok(report(5 - seed)));
        }
        assert_eq!(forth.hash(), back.hash());
        assert_eq!(forth.line(1, 4), back.line(1, 4));
        assert_ne!(forth.hash(), Total::default().hash());
    }
}
