//! A schedule, played again.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ombak_worlds::{Script, play_script};

use super::seeds;
use crate::error::CliError;
use crate::output::print_line;

/// A longer file is no schedule: a recorded seed has some two megabytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn play(file: &Path, trace: usize) -> Result<(), CliError> {
    let script = read(file)?;
    let played = play_script(&script, trace);
    played.trace.iter().try_for_each(|line| print_line(line))?;
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
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match read.map_err(|error| failed(error.to_string()))? as u64 {
        FILE_BYTES_MAX.. => Err(failed(format!("longer than {FILE_BYTES_MAX} bytes"))),
        _ => text.parse::<Script>().map_err(|error| failed(error.to_string())),
    }
}
