//! Every schedule of a small cluster.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use ombak_sim::explore::{Outcome, Progress};
use ombak_worlds::{EXPLORATIONS, Effort, Exploration};

use super::planted::Plant;
use super::{ExploreArgs, found};
use crate::config::cores;
use crate::error::CliError;
use crate::output::print_line;

/// How often progress is shown.
const SHOWN_STATES: u64 = 50_000;

pub(super) fn run(args: &ExploreArgs) -> Result<(), CliError> {
    let Some(name) = &args.name else { return list() };
    let Some(exploration) = Exploration::named(name) else {
        let names: Vec<&str> = EXPLORATIONS.iter().map(|each| each.name).collect();
        return Err(CliError::usage(format!(
            "there is no \"{name}\" to explore, but {}",
            names.join(", ")
        )));
    };
    explore(exploration, args, Plant::named(args.plant.as_deref())?)
}

fn list() -> Result<(), CliError> {
    EXPLORATIONS
        .iter()
        .try_for_each(|each| print_line(&format!("{:<24} {}", each.name, each.about)))
}

fn explore(exploration: Exploration, args: &ExploreArgs, plant: Plant) -> Result<(), CliError> {
    plant.in_this_thread();
    let (begun, bar) = (Instant::now(), progress());
    let effort = Effort {
        // A bug is planted in one thread.
        threads: if plant.is_some() { 1 } else { cores() },
        states_max: number(args.states_max),
        bytes_max: number(args.memory_max.saturating_mul(1024 * 1024)),
        shown_states: SHOWN_STATES,
    };
    let mut watch = |progress: &Progress| {
        bar.set_message(so_far(progress, begun));
        bar.tick();
    };
    let report = exploration.explore(effort, &mut watch).map_err(CliError::failed)?;
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64().max(0.001);
    print_line(&format!("{}: {}", exploration.name, exploration.about))?;
    print_line(report.to_string().trim_end())?;
    print_line(&format!(
        "{:.0} states a second; {:.0} bytes a visited state",
        report.states as f64 / seconds,
        report.table_bytes as f64 / report.states.max(1) as f64
    ))?;
    if let Some(violation) = &report.violation {
        return Err(found::written(exploration, violation, plant));
    }
    match (report.outcome, report.unreached().next()) {
        (Outcome::Stopped(_), _) => {
            Err(CliError::failed("a bound was reached: nothing is said of what was not visited"))
        }
        (_, Some(name)) => Err(CliError::failed(format!("\"{name}\" was to be seen, and was not"))),
        (_, None) => Ok(()),
    }
}

/// More than can be is all that can be.
fn number(wanted: u64) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX)
}

fn so_far(progress: &Progress, begun: Instant) -> String {
    let pace = progress.states as f64 / begun.elapsed().as_secs_f64().max(0.001);
    let unseen = match progress.unreached.as_slice() {
        [] => String::new(),
        unseen => format!(", not seen yet: {}", unseen.join("; ")),
    };
    format!("{} states, {pace:.0} a second, depth {}{unseen}", progress.states, progress.depth)
}

fn progress() -> ProgressBar {
    // Draws on standard error, if that is a terminal.
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
