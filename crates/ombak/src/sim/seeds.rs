//! Seeds: one that is looked at, or many on all cores.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use ombak_worlds::{
    Backend, Failure, Families, Fork, Plan, Report, SOMETIMES, record_plan, run_plan,
};

use super::guided::Guided;
use super::planted::Plant;
use super::{RunArgs, TRACE_LINES, failing};
use crate::config::cores;
use crate::error::CliError;
use crate::output::print_line;

pub(super) fn run(args: &RunArgs) -> Result<(), CliError> {
    let plant = Plant::named(args.plant.as_deref())?;
    plant.in_this_thread();
    match args.which.seed {
        Some(seed) => {
            in_order(&args.forks)?;
            let (faults, backend) = (args.faults, args.backend);
            let plan = Plan { seed, faults, forks: args.forks.clone(), backend };
            run_one(&plan, args, plant)
        }
        None => run_many(args, plant),
    }
}

/// A fork that stands behind a later one would be taken with that.
fn in_order(forks: &[Fork]) -> Result<(), CliError> {
    match forks.windows(2).find(|two| two[0].at > two[1].at) {
        None => Ok(()),
        Some(two) => Err(CliError::usage(format!(
            "--fork {} is before --fork {}: forks come in the order of time",
            two[1], two[0]
        ))),
    }
}

fn run_one(plan: &Plan, args: &RunArgs, plant: Plant) -> Result<(), CliError> {
    let seed = plan.seed;
    if let Some(file) = &args.record {
        let script = record_plan(plan).map_err(CliError::failed)?;
        failing::write(file, &script.to_string())?;
        print_line(&format!("{}: play it with `ombak sim --replay {0}`", file.display()))?;
    }
    match run_plan(plan, TRACE_LINES) {
        Ok(report) => {
            print_line(&format!("seed {seed}: {}", summary(&report)))?;
            match args.trace_hash {
                true => print_line(&format!("{:032x}", report.trace_hash)),
                false => Ok(()),
            }
        }
        Err(failure) => Err(failing::made_small(&failure, plant, args.shrink_runs)),
    }
}

/// What a run came to, in words.
pub(super) fn summary(report: &Report) -> String {
    format!(
        "{} operations, {} succeeded, {:.1} s of virtual time, {} places reached",
        report.operations,
        report.succeeded,
        report.virtual_us as f64 / 1e6,
        report.probes.len()
    )
}

fn run_many(args: &RunArgs, plant: Plant) -> Result<(), CliError> {
    let range = Range {
        from: args.from,
        faults: args.faults,
        backend: args.backend,
        plant,
        count: args.which.seeds,
        until: args.which.minutes.map(|minutes| {
            Instant::now() + Duration::from_secs(60).saturating_mul(minutes.min(1 << 20) as u32)
        }),
    };
    let (begun, progress) = (Instant::now(), progress(range.count));
    let mut total = Total::default();
    for (number, result) in results(range, args.guided)? {
        if let Err(failure) = &result {
            progress.suspend(|| eprintln!("{failure}{plant}"));
        }
        total.add(number, result);
        progress.set_message(total.pace(begun.elapsed()));
        progress.inc(1);
    }
    progress.finish_and_clear();
    print_line(&total.pace(begun.elapsed()))?;
    print_line(&total.places())?;
    print_line(&total.line(args.from))?;
    if args.trace_hash {
        print_line(&format!("{:032x}", total.hash()))?;
    }
    match &total.first_failure {
        None => Ok(()),
        Some((_, failure)) => {
            eprintln!("{} failed; the first of them:", total.failed);
            Err(failing::made_small(failure, plant, args.shrink_runs))
        }
    }
}

/// Which seeds are run.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) from: u64,
    pub(super) faults: Families,
    pub(super) backend: Backend,
    pub(super) plant: Plant,
    count: Option<u64>,
    until: Option<Instant>,
}

impl Range {
    pub(super) fn has(&self, at: u64) -> bool {
        self.count.is_none_or(|count| at < count)
            && self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// What runs come to, each under a number.
type Results = Box<dyn Iterator<Item = (u64, Result<Report, Failure>)>>;

fn results(range: Range, guided: bool) -> Result<Results, CliError> {
    if guided { Ok(Box::new(Guided::new(range))) } else { seeds(range) }
}

/// Runs the seeds on all cores; results come as they are done.
fn seeds(range: Range) -> Result<Results, CliError> {
    let (sender, results) = mpsc::channel();
    let next: &'static AtomicU64 = Box::leak(Box::default());
    for worker in 0..cores() {
        let sender = sender.clone();
        thread::Builder::new()
            .name(format!("ombak-sim-{worker}"))
            .spawn(move || work(range, next, &sender))
            .map_err(|error| CliError::failed(format!("cannot start a thread: {error}")))?;
    }
    Ok(Box::new(results.into_iter()))
}

fn work(range: Range, next: &AtomicU64, sender: &Sender<(u64, Result<Report, Failure>)>) {
    range.plant.in_this_thread();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let seed = range.from.wrapping_add(at);
        let (faults, backend) = (range.faults, range.backend);
        let plan = Plan { faults, backend, ..Plan::of_seed(seed) };
        if !range.has(at) || sender.send((seed, run_plan(&plan, 0))).is_err() {
            return;
        }
    }
}

fn progress(count: Option<u64>) -> ProgressBar {
    // Draws on standard error, if that is a terminal.
    let (bar, template) = match count {
        Some(count) => (ProgressBar::new(count), "{bar:40} {pos}/{len} seeds, {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} seeds, {msg}, {elapsed}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// What many runs came to.
#[derive(Default)]
struct Total {
    operations: usize,
    succeeded: usize,
    seeds: u64,
    virtual_us: u64,
    failed: u64,
    /// The one with the smallest number.
    first_failure: Option<(u64, Failure)>,
    /// The places that were reached, and in how many runs.
    reached: BTreeMap<&'static str, u64>,
    /// By number: runs end in any order.
    hashes: BTreeMap<u64, u128>,
}

impl Total {
    fn add(&mut self, number: u64, result: Result<Report, Failure>) {
        self.seeds += 1;
        match result {
            Ok(report) => {
                self.virtual_us += report.virtual_us;
                self.operations += report.operations;
                self.succeeded += report.succeeded;
                for name in report.probes.keys() {
                    *self.reached.entry(name).or_default() += 1;
                }
                self.hashes.insert(number, report.trace_hash);
            }
            Err(failure) => {
                self.failed += 1;
                if self.first_failure.as_ref().is_none_or(|(first, _)| number < *first) {
                    self.first_failure = Some((number, failure));
                }
            }
        }
    }

    fn pace(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64().max(0.001);
        let hours = self.virtual_us as f64 / 3.6e9;
        format!(
            "{:.0} seeds and {:.2} simulated hours a second",
            self.seeds as f64 / seconds,
            hours / seconds
        )
    }

    /// What the batch never came to is not tested by it.
    fn places(&self) -> String {
        let all = SOMETIMES.len();
        let never: Vec<&str> =
            SOMETIMES.iter().copied().filter(|name| !self.reached.contains_key(name)).collect();
        match never.as_slice() {
            [] => format!("all {all} places that runs must come to were reached"),
            never => format!("of {all} places never reached: {}", never.join("; ")),
        }
    }

    fn line(&self, from: u64) -> String {
        format!(
            "{} seeds from {from}: {} held, {} failed; {} operations, {} succeeded",
            self.seeds,
            self.seeds - self.failed,
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
            grants: 0,
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
        assert_eq!(forth.line(1), back.line(1));
        assert_ne!(forth.hash(), Total::default().hash());
    }
}
