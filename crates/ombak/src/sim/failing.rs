//! A seed that fails, made small enough to be read.

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ombak_worlds::{Failure, Kept, Plan, Shrunk, play_script, record_plan, shrink_script};

use super::replay::DIAGRAM_EVENTS;
use crate::error::CliError;

/// A schedule with more lines is written to its file alone.
const LINES_MAX: usize = 60;

/// Makes the run small, shows its schedule and where it was written. What comes back ends the command.
pub(super) fn made_small(failure: &Failure, runs_max: usize) -> CliError {
    if runs_max == 0 {
        return CliError::failed(failure);
    }
    eprintln!("{failure}");
    let file = PathBuf::from(format!("ombak-seed-{}.schedule", failure.plan.seed));
    match shrink(&failure.plan, runs_max) {
        Ok(shrunk) => report(&shrunk, &file),
        Err(reason) => CliError::failed(reason),
    }
}

fn shrink(plan: &Plan, runs_max: usize) -> Result<Shrunk, String> {
    let progress = ProgressBar::new_spinner();
    progress.set_message("making it small");
    let script = record_plan(plan).map_err(|failure| failure.to_string());
    let shrunk = script.and_then(|script| {
        shrink_script(&script, runs_max, |shrunk| {
            let (steps, runs) = (shrunk.steps(), shrunk.runs);
            progress.set_message(format!("making it small: {steps} steps after {runs} runs"));
            progress.tick();
        })
    });
    progress.finish_and_clear();
    shrunk
}

fn report(shrunk: &Shrunk, file: &Path) -> CliError {
    let Shrunk { script, failure, runs } = shrunk;
    let text = script.to_string();
    eprintln!(
        "made small in {runs} runs, {} steps: {}: {}",
        shrunk.steps(),
        failure.rule,
        failure.detail
    );
    if text.lines().count() <= LINES_MAX {
        eprintln!("\n{text}");
    }
    let html = file.with_extension("html");
    let kept = Kept { trace_lines: 0, diagram_events: DIAGRAM_EVENTS };
    let page = play_script(script, kept).diagram.unwrap_or_default();
    match write(file, &text).and_then(|()| write(&html, &page)) {
        Ok(()) => CliError::failed(format!(
            "the schedule is in {}: play it with `ombak sim --replay {0}`; {} draws it",
            file.display(),
            html.display()
        )),
        Err(error) => error,
    }
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let written = fs::write(file, text);
    written.map_err(|error| CliError::failed(format!("cannot write {}: {error}", file.display())))
}
