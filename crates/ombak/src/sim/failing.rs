//! A seed that fails, made small enough to be read.

use std::fs;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use ombak_worlds::{Failure, Kept, Plan, Shrunk, play_script, record_plan, shrink_script};

use super::planted::Plant;
use super::replay::DIAGRAM_EVENTS;
use crate::error::CliError;

/// A schedule with more lines is written to its file alone.
const LINES_MAX: usize = 60;

/// Makes the run small, shows its schedule and where it was written. What comes back ends the command.
pub(super) fn made_small(failure: &Failure, plant: Plant, runs_max: usize) -> CliError {
    if runs_max == 0 {
        return CliError::failed(format!("{failure}{plant}"));
    }
    eprintln!("{failure}{plant}");
    match shrink(&failure.plan, runs_max) {
        Ok(shrunk) => report(&shrunk, plant, failure.plan.seed),
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

fn report(shrunk: &Shrunk, plant: Plant, seed: u64) -> CliError {
    let Shrunk { script, failure, runs } = shrunk;
    let text =
        script.to_string().replacen('\n', &format!("\n{}", plant.comment(failure.broken())), 1);
    eprintln!(
        "made small in {runs} runs, {} steps: {}: {}",
        shrunk.steps(),
        failure.rule,
        failure.detail
    );
    if text.lines().count() <= LINES_MAX {
        eprintln!("\n{text}");
    }
    let kept = Kept { trace_lines: 0, diagram_events: DIAGRAM_EVENTS };
    let page = play_script(script, kept).diagram.unwrap_or_default();
    let (file, html) = files(Path::new(""), seed, &text, &page);
    match write(&file, &text).and_then(|()| write(&html, &page)) {
        Ok(()) => CliError::failed(format!(
            "the schedule is in {}: play it with `ombak sim --replay {0}{plant}`; {} draws it",
            file.display(),
            html.display()
        )),
        Err(error) => error,
    }
}

/// Where a schedule and its page go: what an earlier run left there stays, unless it is the same.
fn files(folder: &Path, seed: u64, text: &str, page: &str) -> (PathBuf, PathBuf) {
    let is_free = |file: &Path, text: &str| match fs::read(file) {
        Ok(there) => there == text.as_bytes(),
        Err(_) => !file.exists(),
    };
    let mut number = 1;
    loop {
        let name = match number {
            1 => format!("ombak-seed-{seed}"),
            number => format!("ombak-seed-{seed}-{number}"),
        };
        let of = |extension: &str| folder.join(format!("{name}.{extension}"));
        let (file, html) = (of("schedule"), of("html"));
        if is_free(&file, text) && is_free(&html, page) {
            return (file, html);
        }
        number += 1;
    }
}

pub(super) fn write(file: &Path, text: &str) -> Result<(), CliError> {
    let written = fs::write(file, text);
    written.map_err(|error| CliError::failed(format!("cannot write {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_left_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let take = |text: &str, page: &str| {
            let (file, html) = files(folder.path(), 7, text, page);
            write(&file, text).unwrap();
            write(&html, page).unwrap();
            assert_eq!(file.with_extension("html"), html);
            file.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(take("a", "page"), "ombak-seed-7.schedule");
        assert_eq!(take("b", "page"), "ombak-seed-7-2.schedule");
        assert_eq!(take("b", "another"), "ombak-seed-7-3.schedule");
        assert_eq!(take("a", "page"), "ombak-seed-7.schedule", "it is there already");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
    }
}
