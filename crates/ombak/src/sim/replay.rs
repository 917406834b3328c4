//! A schedule, played again.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ombak_worlds::{Kept, Script, play_script};

use super::{failing, seeds};
use crate::error::CliError;
use crate::output::print_line;

/// A longer file is no schedule: a recorded seed has some two megabytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// So many events are drawn, the last before everything is healed.
pub(super) const DIAGRAM_EVENTS: usize = 5_000;

pub(super) fn play(file: &Path, trace_lines: usize, html: Option<&Path>) -> Result<(), CliError> {
    let script = read(file)?;
    let diagram_events = if html.is_some() { DIAGRAM_EVENTS } else { 0 };
    let played = play_script(&script, Kept { trace_lines, diagram_events });
    played.trace.iter().try_for_each(|line| print_line(line))?;
    if let (Some(html), Some(page)) = (html, &played.diagram) {
        failing::write(html, page)?;
        print_line(&format!("{}: open it in a browser", html.display()))?;
    }
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

fn read(path: &Path) -> Result<Script, CliError> {
    let failed = |reason: String| CliError::failed(format!("{}: {reason}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read.map_err(|error| failed(error.to_string()))? as u64 {
        FILE_BYTES_MAX.. => Err(failed(format!("longer than {FILE_BYTES_MAX} bytes"))),
        _ => Script::read(&bytes).map_err(|error| failed(error.to_string())),
    }
}
