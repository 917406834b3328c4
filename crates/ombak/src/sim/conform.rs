//! Recordings of nodes, played by the code.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ombak_tape::Recording;
use ombak_worlds::{Conformed, conform};

use crate::error::CliError;
use crate::output::print_line;

/// Plays the recordings of nodes of one cluster, and shows the last `trace` steps.
pub(super) fn run(files: &[PathBuf], skew_ms: u64, trace: usize) -> Result<(), CliError> {
    let recordings = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let mut last = VecDeque::new();
    let conformed = conform(&recordings, skew_ms * 1_000, |step| {
        if last.len() >= trace {
            last.pop_front();
        }
        if trace > 0 {
            last.push_back(step.to_string());
        }
    });
    last.iter().try_for_each(|step| print_line(step))?;
    show(&conformed.map_err(CliError::failed)?)
}

fn read(path: &Path) -> Result<Recording, CliError> {
    let failed = |reason: String| CliError::failed(format!("{}: {reason}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    Recording::read(bytes.into()).map_err(|error| failed(error.to_string()))
}

fn show(found: &Conformed) -> Result<(), CliError> {
    for (at, steps) in &found.steps {
        print_line(&format!("{}.{}: {steps} steps, each as it was recorded", at.node, at.shard))?;
    }
    let Conformed { effects, messages, messages_from_before, dots, writes, reads, .. } = found;
    let Conformed { decided, grants, .. } = found;
    print_line(&format!("{effects} effects are the same, and the state at the end of every reel"))?;
    print_line(&format!(
        "{messages} messages were sent before they were received, {messages_from_before} come from before the recordings"
    ))?;
    print_line(&format!("{dots} dots name one write each"))?;
    if *decided > 0 {
        print_line(&format!("{decided} slots of the root group are decided alike"))?;
    }
    print_line(&match found.is_whole {
        true => format!(
            "{writes} acknowledged writes are where they were said to be; {reads} reads show what was acknowledged before; {grants} grants of locks go together"
        ),
        false => {
            "not all shards of all nodes are here: what clients were told is not judged".into()
        }
    })
}
