//! The file `format` at the root: what wrote here, and whether this version may.

use std::io::ErrorKind;

use ombak_base::{Disk, DiskFile, OpenMode};

use crate::error::StoreError;
use crate::log::write_whole;

/// The format that this version reads and writes.
pub const BTREE_FORMAT: u32 = 1;
/// The directory of the engine.
pub(crate) const DIR: &str = "btree";

const FORMAT_FILE: &str = "format";
const NEW_FILE: &str = "format.new";
const FIRST_WORD: &str = "ombak-btree";
/// Other backends' directories.
const OTHERS: [&str; 2] = ["vnodes", "commit-log"];

/// Checks that this version may open what is there; writes the file where nothing is.
pub(crate) fn check<D: Disk>(disk: &D) -> Result<(), StoreError> {
    match disk.open(FORMAT_FILE, OpenMode::Read) {
        Ok(file) => {
            let mut buffer = [0; 64];
            let read = file.read_at(&mut buffer, 0).map_err(StoreError::io(FORMAT_FILE))?;
            check_version(&String::from_utf8_lossy(&buffer[..read]))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => begin(disk),
        Err(error) => Err(StoreError::io(FORMAT_FILE)(error)),
    }
}

fn check_version(text: &str) -> Result<(), StoreError> {
    let mut words = text.split_whitespace();
    if words.next() != Some(FIRST_WORD) {
        return Err(StoreError::NotAStore("its file `format` says that another backend made it"));
    }
    match words.next().and_then(|word| word.parse().ok()) {
        Some(found) if found > BTREE_FORMAT => {
            Err(StoreError::NewerFormat { found, known: BTREE_FORMAT })
        }
        Some(1..) => Ok(()),
        _ => Err(StoreError::NotAStore("its file `format` names no version")),
    }
}

/// Writes the file before anything else, under another name first, so that it is never seen half.
fn begin<D: Disk>(disk: &D) -> Result<(), StoreError> {
    for dir in OTHERS.into_iter().chain([DIR]) {
        if !disk.list(dir).map_err(StoreError::io(dir))?.is_empty() {
            return Err(StoreError::NotAStore("it holds data, but its file `format` is gone"));
        }
    }
    let text = format!("{FIRST_WORD} {BTREE_FORMAT}\n");
    write_whole(disk, NEW_FILE, text.as_bytes()).map_err(StoreError::io(NEW_FILE))?;
    disk.rename(NEW_FILE, FORMAT_FILE).map_err(StoreError::io(FORMAT_FILE))?;
    disk.sync_dir("").map_err(StoreError::io(FORMAT_FILE))
}
