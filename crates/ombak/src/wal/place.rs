//! What a directory is, and that nobody has it open.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ombak_aries::OsDisk;
use ombak_aries::inspect::{Inspection, LogView};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::CliError;

/// The directory of a node's commit log in its data directory.
const NODE_LOG: &str = "commit-log";
/// That of the engine's in a database.
const ENGINE_LOG: &str = "wal";

/// A log that was found.
pub struct Place {
    pub log: Log,
    /// Where its files are.
    pub dir: PathBuf,
    /// Closing them gives the locks back.
    _locks: Vec<File>,
}

/// Whose it is.
pub enum Log {
    /// A database of the engine.
    Engine(Box<Inspection<OsDisk>>),
    /// The commit log of a node with the `log` backend.
    Node(LogView<OsDisk>),
    /// A log without what it belongs to.
    Alone(LogView<OsDisk>),
}

impl Log {
    pub fn view(&self) -> &LogView<OsDisk> {
        match self {
            Log::Engine(inspection) => inspection.log(),
            Log::Node(view) | Log::Alone(view) => view,
        }
    }

    /// What to call it.
    pub fn name(&self) -> &'static str {
        match self {
            Log::Engine(_) => "the log of a database",
            Log::Node(_) => "the commit log of a node with the `log` backend",
            Log::Alone(_) => "a log alone",
        }
    }
}

impl Place {
    /// Finds the log that `dir` has, or is. Reads all of it.
    pub fn open(dir: &Path) -> Result<Place, CliError> {
        let dir = fs::canonicalize(dir)
            .map_err(|error| CliError::failed(format!("{}: {error}", dir.display())))?;
        let locks = lock(&dir)?;
        let place = |log, dir| Ok(Place { log, dir, _locks: locks });
        if let Some(home) = database(&dir)? {
            let inspection = Inspection::open(disk(&home)?, "", Vec::new());
            let inspection = inspection.map_err(|error| failed(&home, error))?;
            return place(Log::Engine(Box::new(inspection)), home);
        }
        let node_log = dir.join(NODE_LOG);
        if has_segments(&node_log) {
            return place(Log::Node(view(&node_log)?), node_log);
        }
        if !has_segments(&dir) {
            return Err(CliError::failed(format!(
                "{} has no log: neither it nor its `{ENGINE_LOG}` or `{NODE_LOG}` has a file named segment-000001 or the like",
                dir.display()
            )));
        }
        let found = view(&dir)?;
        let is_node = dir.file_name().is_some_and(|name| name == NODE_LOG);
        place(if is_node { Log::Node(found) } else { Log::Alone(found) }, dir)
    }
}

/// The database that `dir` is, or whose log it is, or that stands alone in it.
fn database(dir: &Path) -> Result<Option<PathBuf>, CliError> {
    if has_segments(&dir.join(ENGINE_LOG)) {
        return Ok(Some(dir.to_path_buf()));
    }
    let is_log = dir.file_name().is_some_and(|name| name == ENGINE_LOG) && has_segments(dir);
    if let Some(home) = dir.parent().filter(|home| is_log && home.join("pages").is_file()) {
        return Ok(Some(home.to_path_buf()));
    }
    let failed = |error| CliError::failed(format!("{}: {error}", dir.display()));
    let mut within = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if has_segments(&path.join(ENGINE_LOG)) {
            within.push(path);
        }
    }
    within.sort();
    match within.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        [one, ..] => Err(CliError::failed(format!(
            "{} has {} databases in it: name one, such as {}",
            dir.display(),
            within.len(),
            one.display()
        ))),
    }
}

fn has_segments(dir: &Path) -> bool {
    let is_segment = |name: &str| name.starts_with("segment-");
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| is_segment(&name))
}

fn disk(dir: &Path) -> Result<OsDisk, CliError> {
    OsDisk::open(dir).map_err(|error| CliError::failed(format!("{}: {error}", dir.display())))
}

fn view(dir: &Path) -> Result<LogView<OsDisk>, CliError> {
    LogView::open(disk(dir)?, "").map_err(|error| failed(dir, error))
}

/// An error about files of a directory.
pub fn failed(dir: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::failed(format!("in {}: {error}", dir.display()))
}

/// Takes the locks that a node takes on its data directory, if `dir` is one or lies in one. They are shared, and no file
/// is made for them.
fn lock(dir: &Path) -> Result<Vec<File>, CliError> {
    let mut locks = Vec::new();
    for home in dir.ancestors().take(3) {
        let is_home = home == dir || home.join("node.toml").is_file();
        let Some(file) = File::open(home.join("lock")).ok().filter(|_| is_home) else { continue };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => locks.push(file),
            Err(Errno::WOULDBLOCK) => {
                return Err(CliError::failed(format!(
                    "{} is in use by another process: stop its node, or look at a snapshot of it (`ombak snapshot`)",
                    home.display()
                )));
            }
            // A file system without locks: whoever asks knows whether a node runs.
            Err(_) => {}
        }
    }
    Ok(locks)
}
