//! The data directory: locked while a node runs on it, and marked with whose it is.
//!
//! ```text
//!   lock          held with flock(2) by the process that runs on the directory
//!   node.toml     who that is; written once, before any data
//!   …             the store's own files
//! ```

pub mod fuzz;
mod identity;

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

use ombak_aries::OsDisk;
use ombak_base::{ClusterId, Disk, DiskFile, OpenMode};

use crate::StartError;
pub(crate) use identity::{FORMAT, Identity};

pub(crate) const IDENTITY: &str = "node.toml";
const IDENTITY_NEW: &str = "node.toml.new";
const IDENTITY_BYTES_MAX: usize = 1024 * 1024;
/// What a store leaves behind.
const DATA: [&str; 3] = ["vnodes", "commit-log", BTREE_DIR];
/// Of the `btree` backend.
const BTREE_DIR: &str = "btree";

/// A directory that no other process has, as long as this value lives.
pub(crate) struct Directory {
    path: PathBuf,
    disk: OsDisk,
    /// Closing it gives the lock back.
    _lock: File,
}

impl Directory {
    /// Creates the directory if need be, and locks it.
    pub fn open(path: &Path) -> Result<Directory, StartError> {
        let failed = |source| StartError::Directory { dir: path.into(), source };
        let disk = OsDisk::open(path).map_err(failed)?;
        let lock = disk.lock("lock").map_err(failed)?;
        let _lock = lock.ok_or_else(|| StartError::Locked(path.into()))?;
        Ok(Directory { path: path.into(), disk, _lock })
    }

    /// Locks a directory that a node has stored something in.
    pub fn open_existing(path: &Path) -> Result<Directory, StartError> {
        if !path.join(IDENTITY).is_file() {
            return Err(StartError::NoData(path.into()));
        }
        let directory = Directory::open(path)?;
        if directory.holds_data()? { Ok(directory) } else { Err(StartError::NoData(path.into())) }
    }

    /// Whose directory it is.
    pub fn identity(&self) -> Result<Identity, StartError> {
        self.understand(&self.identity_text()?)
    }

    /// The text that says whose directory it is.
    pub fn identity_text(&self) -> Result<String, StartError> {
        let text = self.read().map_err(|source| self.failed(source))?;
        text.ok_or_else(|| StartError::NoIdentity(self.path.clone()))
    }

    /// Whether it is of the `btree` backend.
    pub fn is_btree(&self) -> Result<bool, StartError> {
        Ok(!self.disk.list(BTREE_DIR).map_err(|source| self.failed(source))?.is_empty())
    }

    /// The files in it.
    pub fn disk(&self) -> OsDisk {
        self.disk.clone()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose directory this is: `wanted`'s, or it was nobody's and is `wanted`'s from now on.
    pub fn identify(&self, wanted: Identity) -> Result<Identity, StartError> {
        match self.read().map_err(|source| self.failed(source))? {
            Some(text) => self.check(&text, wanted),
            None if self.holds_data()? => Err(StartError::NoIdentity(self.path.clone())),
            None => {
                self.write(&wanted.to_text()).map_err(|source| self.failed(source))?;
                Ok(wanted)
            }
        }
    }

    fn understand(&self, text: &str) -> Result<Identity, StartError> {
        let dir = self.path.clone();
        let damaged = |what| StartError::Identity { dir: dir.clone(), what };
        let format = identity::format_of(text).map_err(damaged)?;
        if format > FORMAT {
            return Err(StartError::NewerFormat { dir, found: format, known: FORMAT });
        }
        Identity::from_text(text).map_err(damaged)
    }

    fn check(&self, text: &str, wanted: Identity) -> Result<Identity, StartError> {
        let dir = self.path.clone();
        let found = self.understand(text)?;
        if found.node != wanted.node {
            let (found, wanted) = (found.node, wanted.node);
            return Err(StartError::OtherNode { dir, found, wanted });
        }
        if found.ring_size != wanted.ring_size {
            let (found, wanted) = (found.ring_size, wanted.ring_size);
            return Err(StartError::OtherRingSize { dir, found, wanted });
        }
        if found.cluster != wanted.cluster {
            return Err(StartError::OtherMembers { dir, found: found.members.join(", ") });
        }
        Ok(found)
    }

    fn read(&self) -> io::Result<Option<String>> {
        let file = match self.disk.open(IDENTITY, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; (file.len()? as usize).min(IDENTITY_BYTES_MAX)];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Under another name first, so that it is there whole or not at all.
    fn write(&self, text: &str) -> io::Result<()> {
        let file = self.disk.open(IDENTITY_NEW, OpenMode::Cached)?;
        file.set_len(0)?;
        file.write_at(&[IoSlice::new(text.as_bytes())], 0)?;
        file.sync()?;
        self.disk.rename(IDENTITY_NEW, IDENTITY)?;
        self.disk.sync_dir("")
    }

    fn holds_data(&self) -> Result<bool, StartError> {
        for dir in DATA {
            if !self.disk.list(dir).map_err(|source| self.failed(source))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn failed(&self, source: io::Error) -> StartError {
        StartError::Directory { dir: self.path.clone(), source }
    }
}

/// The cluster as the identity has it.
pub(crate) fn cluster_text(cluster: ClusterId) -> String {
    format!("{:016x}", cluster.0)
}

#[cfg(test)]
mod tests;
