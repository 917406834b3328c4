//! A member's directory: locked while it runs, and marked with whose it is.
//!
//! ```text
//!   lock       held with flock(2) by the process that runs on the directory
//!   member     whose it is: four lines, written once, before any data
//!   …          the log's own files
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::path::{Path, PathBuf};

use ombak_aries::OsDisk;
use ombak_base::{DirectoryId, Disk, DiskFile, NodeId, OpenMode};

use crate::StartError;

const IDENTITY: &str = "member";
const IDENTITY_NEW: &str = "member.new";
const IDENTITY_BYTES_MAX: u64 = 4096;
const FORMAT: u32 = 1;
/// What the log leaves behind.
const DATA: [&str; 2] = ["vnodes", "commit-log"];

/// A directory that no other process has, as long as this value lives.
#[derive(Debug)]
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

    /// The files in it.
    pub fn disk(&self) -> OsDisk {
        self.disk.clone()
    }

    /// Which directory it is. It is this member's, or was nobody's and is this member's from now on.
    pub fn identify(&self, group: &str, id: NodeId) -> Result<DirectoryId, StartError> {
        let failed = |source| StartError::Directory { dir: self.path.clone(), source };
        let Some(text) = self.read().map_err(failed)? else {
            if self.holds_data().map_err(failed)? {
                return Err(self.unclear("it holds data, and no file `member` that says whose: restore that file, or give an empty directory".into()));
            }
            let directory = random().map_err(failed)?;
            self.write(&text_of(group, id, directory)).map_err(failed)?;
            return Ok(directory);
        };
        let (found, found_group, directory) =
            parse(&text).map_err(|what| self.unclear(format!("the file `member`: {what}")))?;
        if (found, found_group.as_str()) != (id, group) {
            let (dir, group) = (self.path.clone(), group.to_string());
            return Err(StartError::OtherMember { dir, found, found_group, id, group });
        }
        Ok(directory)
    }

    fn unclear(&self, what: String) -> StartError {
        StartError::Identity { dir: self.path.clone(), what }
    }

    fn read(&self) -> io::Result<Option<String>> {
        let file = match self.disk.open(IDENTITY, OpenMode::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = vec![0; file.len()?.min(IDENTITY_BYTES_MAX) as usize];
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

    fn holds_data(&self) -> io::Result<bool> {
        for dir in DATA {
            if !self.disk.list(dir)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn text_of(group: &str, id: NodeId, directory: DirectoryId) -> String {
    format!("format={FORMAT}\ngroup={group}\nid={}\ndirectory={:016x}\n", id.0, directory.0)
}

fn parse(text: &str) -> Result<(NodeId, String, DirectoryId), String> {
    let lines: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let field = |name: &str| lines.get(name).copied().ok_or(format!("no `{name}`"));
    match field("format")?.parse() {
        Ok(FORMAT) => {}
        Ok(format @ 1u32..) => {
            return Err(format!(
                "format {format}, and this version knows {FORMAT}: use a newer one"
            ));
        }
        _ => return Err("damaged: restore it from a backup".into()),
    }
    let id = field("id")?.parse().map_err(|_| "`id` is no number")?;
    let directory = u64::from_str_radix(field("directory")?, 16).map_err(|_| "no `directory`")?;
    let group = field("group")?;
    if group.chars().any(char::is_control) {
        return Err("`group` is no name".into());
    }
    Ok((NodeId(id), group.into(), DirectoryId(directory)))
}

/// An id that no other directory has.
pub(crate) fn random() -> io::Result<DirectoryId> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(DirectoryId(u64::from_le_bytes(bytes)))
}

pub(crate) mod fuzz {
    //! Whose directory it is, from any bytes.

    use super::{parse, text_of};

    /// It survives being written again. What is wrong with it is said in one line.
    pub fn identity(input: &[u8]) {
        match parse(&String::from_utf8_lossy(input)) {
            Ok((id, group, directory)) => {
                let again = parse(&text_of(&group, id, directory));
                assert_eq!(again, Ok((id, group, directory)));
            }
            Err(error) => assert!(!error.is_empty() && !error.contains('\n'), "{error}"),
        }
    }
}

#[cfg(test)]
mod tests;
