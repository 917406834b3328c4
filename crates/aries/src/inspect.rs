//! Looking at a database that is stopped, or at a copy of one, without ever writing.
//!
//! - [`LogView`] reads a commit log alone, whoever's it is: files, records, damage.
//! - [`Inspection`] knows the engine's records and pages besides. [`Inspection::analysis`], [`redo`](Inspection::redo) and
//!   [`undo`](Inspection::undo) say what the three passes of a restart *would* do, record by record, and
//!   [`dry_run`](Inspection::dry_run) tells it as a story. [`verify`](Inspection::verify) reads every byte that means
//!   something, and tries the restart in memory.
//!
//! Nobody may write to the files meanwhile. What is found is what [`Engine::open`](crate::Engine::open) would find, for it is
//! found by the same code: every file is opened with [`OpenMode::Read`](ombak_base::OpenMode::Read), and the steps that
//! would write are left out.
//!
//! ```
//! # use ombak_aries::{Engine, EngineOptions, OsDisk};
//! # use ombak_aries::inspect::Inspection;
//! # let directory = tempfile::tempdir()?;
//! # let disk = OsDisk::open(directory.path())?;
//! # let (engine, _) = Engine::open(disk.clone(), "db", EngineOptions::default())?;
//! # drop(engine);
//! let inspection = Inspection::open(disk, "db", Vec::new())?;
//! inspection.log().scan(ombak_aries::Lsn(0), |entry| {
//!     println!("{}", inspection.words().line(&entry));
//!     Ok::<(), ombak_aries::Error>(())
//! })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod copies;
mod overlay;
mod pages;
mod plan;
mod text;
mod tried;
mod verify;

use ombak_base::Disk;

use crate::engine::{Analysis, Analyst};
use crate::error::Error;
use crate::log::{Lsn, StreamId};
use crate::manager::{Managers, ResourceManager};
use crate::wal::STREAM;

pub use crate::log::view::{Entry, Extent, LogView, SegmentInfo};
pub use crate::txn::record::{Change, Link, NoRecord, Record, State, TxnLine};
pub use plan::{Passes, RedoStep, RedoTotals, UndoStep, UndoTotals, UndoWhat, Verdict};
pub use verify::{Finding, Severity, Verification, verify_log};

use pages::PageFile;

/// The stream of the log in which the engine's records stand.
pub const ENGINE_STREAM: StreamId = STREAM;

/// A database that nobody has open.
pub struct Inspection<D: Disk> {
    disk: D,
    dir: String,
    log: LogView<D>,
    analyst: Analyst,
    /// Where the last end of a checkpoint stands; 0: there is none.
    checkpoint_end: Lsn,
    words: Words,
}

/// Puts records into words.
pub struct Words {
    managers: Managers,
}

impl Words {
    /// For records of this crate's resource managers and of `managers`.
    pub fn new(managers: Vec<Box<dyn ResourceManager>>) -> Words {
        Words { managers: Managers::with(managers) }
    }

    /// A change, for people.
    pub fn describe(&self, change: &Change<'_>) -> String {
        match self.managers.find(change.manager) {
            Some(manager) => manager.describe(change.bytes),
            None => format!("{} bytes of {:?}", change.bytes.len(), change.manager),
        }
    }
}

impl<D: Disk> Inspection<D> {
    /// Reads the log of the database in the directory `dir` of `disk` (`""`: the disk itself). `managers` are those of
    /// [`EngineOptions`](crate::EngineOptions); without them their changes are shown as bytes, and not tried.
    ///
    /// [`LogError::Version`](crate::LogError::Version): a newer version wrote it.
    pub fn open(
        disk: D,
        dir: &str,
        managers: Vec<Box<dyn ResourceManager>>,
    ) -> Result<Inspection<D>, Error> {
        let dir = dir.trim_matches('/').to_string();
        let mut analyst = Analyst::default();
        let mut checkpoint_end = Lsn(0);
        let log = LogView::read_all(disk.clone(), &path(&dir, "wal"), |entry| {
            if entry.stream == STREAM {
                analyst.read(entry.lsn, entry.payload, || entry.place());
                if let Ok(Record::EndCheckpoint(_)) = Record::decode(entry.payload) {
                    checkpoint_end = entry.lsn;
                }
            }
        })?;
        Ok(Inspection { disk, dir, log, analyst, checkpoint_end, words: Words::new(managers) })
    }

    /// Its commit log.
    pub fn log(&self) -> &LogView<D> {
        &self.log
    }

    /// What the analysis pass comes to. [`Error::Malformed`] and [`Error::Newer`] if there is a record that can't be read.
    pub fn analysis(&self) -> Result<Passes, Error> {
        let analysis = self.analyst.clone().done()?;
        Ok(Passes::new(&analysis, self.checkpoint_end, self.log.first_lsn()))
    }

    fn tables(&self) -> Result<Analysis, Error> {
        self.analyst.clone().done()
    }

    fn pages(&self) -> Result<PageFile, Error> {
        let known = self.tables().ok().and_then(|analysis| analysis.identity);
        PageFile::open(&self.disk, |name| path(&self.dir, name), known)
    }

    /// Its records in words.
    pub fn words(&self) -> &Words {
        &self.words
    }
}

fn path(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_string() } else { format!("{dir}/{name}") }
}

#[cfg(test)]
mod tests;
