//! `ombak sim`: whole clusters in one process, from a seed or from a schedule.

mod conform;
mod explore;
mod failing;
mod found;
mod guided;
mod planted;
mod replay;
mod seeds;

use std::panic;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ombak_worlds::{Backend, Families, Fork};

use crate::error::CliError;
use planted::Plant;

/// So many events are shown before a property that broke.
const TRACE_LINES: usize = 200;

const EXAMPLES: &str = "\
Examples:
  ombak sim run --seed 42                 one run; again and again the same
  ombak sim run --seeds 500               seeds 1 to 500, on all cores
  ombak sim run --minutes 10              as many as that takes
  ombak sim run --seed 42 --trace-hash    its fingerprint, equal in every process
  ombak sim run --seeds 500 --guided      half of them go on where others came to something rare
  ombak sim run --seeds 500 --faults crash,disk
                                          with no other faults than these
  ombak sim run --seed 42 --record FILE   writes down what it does, as a schedule that can be read and changed
  ombak sim --replay FILE --html PAGE     plays a schedule, and draws it
  ombak sim run --seeds 50 --plant \"retry without the request id\"
                                          finds a bug that is planted; with debug assertions
  ombak sim explore write-read            every schedule of a small cluster
  ombak sim --conform n1.tape n2.tape     plays what nodes recorded (`ombak record`): the code must do the same again

Each seed is a cluster of three to five nodes, clients, and faults: of the network (delay, loss, duplication,
partitions), in the order of messages, crashes, of disks (slow, full, failing, rotten, lost, older), of clocks, and
overload. Then everything is healed, and what clients were told is checked against what is there. A seed that fails
is made small: its schedule is shown, and written to a file for --replay.";

const EXPLORE_EXAMPLES: &str = "\
Examples:
  ombak sim explore                       which clusters there are
  ombak sim explore write-crash           a put, a read, and a node that crashes at any moment
  ombak sim explore write-write-read --plant \"a merge that trusts any tag\"
                                          finds a bug that is planted; with debug assertions
  ombak sim --replay FILE --trace 20      takes the way that was found again, and shows its steps

Three nodes of the production code; every order in which messages arrive, nodes sync, connections break and nodes crash,
within what the cluster's line says. Either all states were visited and nothing is broken; or the shortest way to what is
broken is shown, and written to ombak-explore-CLUSTER.schedule, for --replay, and .html, which draws it; or a bound was
reached: then what was covered is said. Exit code 3 in the last two.";

/// Run simulated clusters and look for lost data.
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    arg_required_else_help = true,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
pub struct SimArgs {
    #[command(subcommand)]
    command: Option<SimCommand>,
    /// Play this schedule: of a seed, or of a way that was explored.
    #[arg(long, value_name = "FILE", required_unless_present = "conform")]
    replay: Option<PathBuf>,
    /// Play what these nodes recorded: each step must be the same again, byte for byte, and the nodes must fit together.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "replay")]
    conform: Option<Vec<PathBuf>>,
    /// By how much the clocks of those nodes may differ, the time that a message is under way included.
    #[arg(long, value_name = "MS", default_value_t = 2_000, value_parser = skew, requires = "conform")]
    skew_ms: u64,
    /// Show the last so many events, or steps.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    trace: usize,
    /// Draw it, into this file: nodes as lines, messages as arrows.
    #[arg(long, value_name = "FILE", requires = "replay")]
    html: Option<PathBuf>,
    /// With this bug in the code; in debug builds alone.
    #[arg(long, value_name = "NAME", requires = "replay", value_parser = planted::names())]
    plant: Option<String>,
}

#[derive(Subcommand, Debug)]
enum SimCommand {
    Run(RunArgs),
    Explore(ExploreArgs),
}

/// Go through every schedule of a small cluster: without a name, says which there are.
#[derive(Args, Debug)]
#[command(after_help = EXPLORE_EXAMPLES)]
struct ExploreArgs {
    /// Which cluster.
    name: Option<String>,
    /// Stop after so many distinct states.
    #[arg(long, value_name = "COUNT", default_value = "100000000", value_parser = at_least_one)]
    states_max: u64,
    /// Stop when this takes more memory than so many MiB, as far as that can be reckoned.
    #[arg(long, value_name = "MIB", default_value = "4096", value_parser = at_least_one)]
    memory_max: u64,
    /// With this bug in the code, to see it found, on one thread; in debug builds alone.
    #[arg(long, value_name = "NAME", requires = "name", value_parser = planted::names())]
    plant: Option<String>,
}

/// Which seeds are run.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Which {
    /// Run this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long, value_name = "COUNT", value_parser = at_least_one)]
    seeds: Option<u64>,
    /// Run seeds for so long.
    #[arg(long, value_name = "MINUTES", value_parser = at_least_one)]
    minutes: Option<u64>,
}

/// Run one seed, or many.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct RunArgs {
    #[command(flatten)]
    which: Which,
    /// The first of many.
    #[arg(long, value_name = "SEED", default_value_t = 1, conflicts_with = "seed")]
    from: u64,
    /// Let half of the runs be forks of earlier ones that came to what few come to.
    #[arg(long, conflicts_with = "seed")]
    guided: bool,
    /// Draw faults of these families alone: network, order, crash, disk, clock, overload, with commas between; or all, or
    /// none.
    #[arg(long, value_name = "LIST", default_value_t = Families::ALL)]
    faults: Families,
    /// Where nodes keep their data: log, or btree.
    #[arg(long, value_name = "NAME", default_value_t)]
    backend: Backend,
    /// From so many µs on, do what another seed would. Such runs are named by guided batches.
    #[arg(long = "fork", value_name = "US:SEED", requires = "seed")]
    forks: Vec<Fork>,
    /// Print the hash of everything that happened as the last line.
    #[arg(long)]
    trace_hash: bool,
    /// Write what the seed does to this file, as a schedule.
    #[arg(long, value_name = "FILE", requires = "seed")]
    record: Option<PathBuf>,
    /// Runs that making a failing seed small may take; 0 leaves it as it is.
    #[arg(long, value_name = "RUNS", default_value_t = 1_000)]
    shrink_runs: usize,
    /// With this bug in the code, to see it found; in debug builds alone.
    #[arg(long, value_name = "NAME", value_parser = planted::names())]
    plant: Option<String>,
}

/// With none there would be nothing to do.
fn at_least_one(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("a whole number from 1 to {}, please", u64::MAX))
}

/// As many ms as clocks can be said to differ by.
fn skew(text: &str) -> Result<u64, String> {
    let ms = text.parse().ok().filter(|ms| *ms <= SKEW_MS_MAX);
    ms.ok_or_else(|| format!("a whole number of ms up to {SKEW_MS_MAX}, please"))
}

/// A day: clocks that are wrong by more are not kept by anybody.
const SKEW_MS_MAX: u64 = 86_400_000;

/// A property that breaks in a run ends it by a panic, which is caught and told in its place. Other panics are bugs of ours.
fn keep_broken_properties_quiet() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<String>();
        let is_property =
            |text: &String| text.starts_with("always \"") || text.starts_with("eventually \"");
        if !text.is_some_and(is_property) {
            usual(info);
        }
    }));
}

/// `ombak sim`.
pub fn run(args: &SimArgs) -> Result<(), CliError> {
    keep_broken_properties_quiet();
    match (&args.command, &args.replay, &args.conform) {
        (Some(SimCommand::Run(args)), ..) => seeds::run(args),
        (Some(SimCommand::Explore(args)), ..) => explore::run(args),
        (None, Some(file), _) => {
            Plant::named(args.plant.as_deref())?.in_this_thread();
            replay::play(file, args.trace, args.html.as_deref())
        }
        (None, None, Some(files)) => conform::run(files, args.skew_ms, args.trace),
        (None, None, None) => Ok(()),
    }
}
