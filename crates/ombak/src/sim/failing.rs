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
    let text = with_comment(&script.to_string(), &plant.comment(failure.broken()));
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
    match Files::write(&format!("ombak-seed-{seed}"), &text, &page) {
        Ok(files) => files.played_by(plant),
        Err(error) => error,
    }
}

/// A schedule with comments below its first line.
pub(super) fn with_comment(schedule: &str, comment: &str) -> String {
    schedule.replacen('\n', &format!("\n{comment}"), 1)
}

/// Where a schedule and the page that draws it have been written.
pub(super) struct Files {
    schedule: PathBuf,
    page: PathBuf,
}

impl Files {
    /// Writes both into the current directory, under this name or the next that is free.
    pub(super) fn write(name: &str, schedule: &str, page: &str) -> Result<Files, CliError> {
        let files = Files::free(Path::new(""), name, schedule, page);
        write(&files.schedule, schedule)?;
        write(&files.page, page)?;
        Ok(files)
    }

    /// What an earlier run left there stays, unless it is the same.
    fn free(folder: &Path, name: &str, schedule: &str, page: &str) -> Files {
        let is_free = |file: &Path, text: &str| match fs::read(file) {
            Ok(there) => there == text.as_bytes(),
            Err(_) => !file.exists(),
        };
        let mut number = 1;
        loop {
            let name = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            let of = |extension: &str| folder.join(format!("{name}.{extension}"));
            let files = Files { schedule: of("schedule"), page: of("html") };
            if is_free(&files.schedule, schedule) && is_free(&files.page, page) {
                return files;
            }
            number += 1;
        }
    }

    /// The end of a command that has found something.
    pub(super) fn played_by(&self, plant: Plant) -> CliError {
        CliError::failed(format!(
            "the schedule is in {}: play it with `ombak sim --replay {0}{plant}`; {} draws it",
            self.schedule.display(),
            self.page.display()
        ))
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
            let files = Files::free(folder.path(), "ombak-seed-7", text, page);
            write(&files.schedule, text).unwrap();
            write(&files.page, page).unwrap();
            assert_eq!(files.schedule.with_extension("html"), files.page);
            files.schedule.file_name().unwrap().to_string_lossy().into_owned()
        };
        assert_eq!(take("a", "page"), "ombak-seed-7.schedule");
        assert_eq!(take("b", "page"), "ombak-seed-7-2.schedule");
        assert_eq!(take("b", "another"), "ombak-seed-7-3.schedule");
        assert_eq!(take("a", "page"), "ombak-seed-7.schedule", "it is there already");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6);
    }
}
