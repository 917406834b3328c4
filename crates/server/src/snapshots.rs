//! Snapshots of a running node's data directory, for backups: `snapshots/NAME` in it.

use std::path::{Path, PathBuf};

use ombak_aries::OsDisk;
use ombak_runtime::Errands;
use ombak_store::StoreWriter;
use ombak_store::log::{Snapshot, SnapshotError};
use tokio::sync::oneshot;

use crate::StartError;
use crate::directory::{Directory, IDENTITY};
use crate::report::SnapshotReport;

/// Where snapshots are, in the data directory.
const DIR: &str = "snapshots";
const NAME_BYTES_MAX: usize = 100;

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MakeError {
    /// It would have to be a name of one directory.
    #[error(
        "{0:?} is no name for a snapshot: use 1 to {NAME_BYTES_MAX} letters, digits, dots, dashes and underscores, and no \
         dot in front"
    )]
    Name(String),
    /// The node has no directory.
    #[error("this node keeps its data in memory: there is nothing on disk to copy")]
    NoDirectory,
    #[error("{0}")]
    Refused(#[from] SnapshotError),
    #[error("the node is stopping, or too busy to begin")]
    Ended,
}

/// Makes snapshots of one node.
pub(crate) struct Snapshots {
    /// The data directory, and the text that says whose it is.
    from: Option<(PathBuf, String)>,
    errands: Errands<StoreWriter<OsDisk>>,
}

impl Snapshots {
    pub fn new(
        directory: Option<&Directory>,
        errands: Errands<StoreWriter<OsDisk>>,
    ) -> Result<Snapshots, StartError> {
        let from = match directory {
            Some(directory) => Some((absolute(directory.path()), directory.identity_text()?)),
            None => None,
        };
        Ok(Snapshots { from, errands })
    }

    /// Makes one. Comes back when it is whole.
    pub async fn make(&self, name: &str) -> Result<SnapshotReport, MakeError> {
        check(name)?;
        let (path, identity) = self.from.as_ref().ok_or(MakeError::NoDirectory)?;
        let (tell, told) = oneshot::channel();
        let wanted = Snapshot {
            dir: format!("{DIR}/{name}"),
            beside: vec![(IDENTITY.into(), identity.clone().into_bytes())],
            // Whoever asked may have gone away.
            done: Box::new(move |outcome| drop(tell.send(outcome))),
        };
        self.errands.send(|writer: &mut StoreWriter<OsDisk>| writer.begin_snapshot(wanted));
        let made = told.await.map_err(|_| MakeError::Ended)??;
        Ok(SnapshotReport {
            dir: path.join(DIR).join(name).display().to_string(),
            linked_files: made.linked_files,
            linked_bytes: made.linked_bytes,
            copied_files: made.copied_files,
            copied_bytes: made.copied_bytes,
        })
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

fn check(name: &str) -> Result<(), MakeError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_fine = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(plain);
    if is_fine && !name.starts_with('.') { Ok(()) } else { Err(MakeError::Name(name.into())) }
}
