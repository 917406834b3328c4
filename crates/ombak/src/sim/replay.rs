//! A schedule, played again.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ombak_worlds::{Ended, Kept, Route, Schedule, Script, play_script};

use super::{failing, seeds};
use crate::error::CliError;
use crate::output::print_line;

/// A longer file is no schedule: a recorded seed has some two megabytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So many events are drawn, the last before everything is healed.
pub(super) const DIAGRAM_EVENTS: usize = 5_000;

pub(super) fn play(file: &Path, trace_lines: usize, html: Option<&Path>) -> Result<(), CliError> {
    if html == Some(file) {
        return Err(CliError::usage("--html: the page would take the place of the schedule"));
    }
    let diagram_events = if html.is_some() { DIAGRAM_EVENTS } else { 0 };
    let kept = Kept { trace_lines, diagram_events };
    match read(file)? {
        Schedule::Script(script) => play_run(file, &script, kept, html),
        Schedule::Route(route) => take_route(file, &route, kept, html),
    }
}

fn play_run(file: &Path, script: &Script, kept: Kept, html: Option<&Path>) -> Result<(), CliError> {
    let played = play_script(script, kept);
    show(&played.trace, played.diagram.as_deref(), html)?;
    if let [first, ..] = played.left_over.as_slice() {
        let (file, count) = (file.display(), played.left_over.len());
        print_line(&format!("{file}: nothing came to {count} of its decisions, as to: {first}"))?;
    }
    match played.ended {
        Ok(report) => {
            print_line(&format!("{}: it holds: {}", file.display(), seeds::summary(&report)))
        }
        Err(failure) => Err(CliError::failed(format!(
            "{}: {}: {}",
            file.display(),
            failure.rule,
            failure.detail
        ))),
    }
}

/// What an explored cluster does on this way.
fn take_route(file: &Path, route: &Route, kept: Kept, html: Option<&Path>) -> Result<(), CliError> {
    let taken = route.take(kept).map_err(CliError::failed)?;
    show(&taken.trace, taken.diagram.as_deref(), html)?;
    let (file, steps) = (file.display(), taken.steps);
    match taken.ended {
        Ended::Holds(next) => {
            let ends = "nothing more can happen".to_owned();
            let next = if next == 0 { ends } else { format!("{next} could come next") };
            print_line(&format!("{file}: it holds: {steps} steps, {next}"))
        }
        Ended::Broken(broken) => {
            let left = match route.steps().count() - steps {
                0 => String::new(),
                left => format!("; {left} more are not taken"),
            };
            Err(CliError::failed(format!("{file}: after {steps} steps: {broken}{left}")))
        }
        Ended::Stuck(error) => Err(CliError::failed(format!("{file}: {error}"))),
    }
}

fn show(trace: &[String], diagram: Option<&str>, html: Option<&Path>) -> Result<(), CliError> {
    trace.iter().try_for_each(|line| print_line(line))?;
    if let (Some(html), Some(page)) = (html, diagram) {
        failing::write(html, page)?;
        print_line(&format!("{}: open it in a browser", html.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Schedule, CliError> {
    let failed = |reason: String| CliError::failed(format!("{}: {reason}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read.map_err(|error| failed(error.to_string()))? as u64 {
        FILE_BYTES_MAX.. => Err(failed(format!("longer than {FILE_BYTES_MAX} bytes"))),
        _ => Schedule::read(&bytes).map_err(|error| failed(error.to_string())),
    }
}
