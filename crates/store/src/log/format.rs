//! The file `format` at the root: what wrote here, and whether this version may.

use std::io::ErrorKind;

use ombak_base::{Disk, DiskFile, OpenMode};

use super::read::read_full;
use super::strand::VNODES;
use super::write_whole;
use crate::error::StoreError;

/// The newest format that this version reads, and the one that it writes. 2: files of a vnode may have been given up
/// (`firsts`), which a version that knows 1 alone would take for damage.
pub const FORMAT: u32 = 2;
/// The file's name.
pub(crate) const FORMAT_FILE: &str = "format";
/// The directory of the commit log.
pub(crate) const LOG_DIR: &str = "commit-log";

const NEW_FILE: &str = "format.new";
const FIRST_WORD: &str = "ombak-log";
const BYTES_MAX: usize = 64;

/// Checks that this version may open what is there; writes the file where nothing is, or an older version was.
pub(crate) fn check<D: Disk>(disk: &D) -> Result<(), StoreError> {
    match disk.open(FORMAT_FILE, OpenMode::Read) {
        Ok(file) if check_version(read(&file)?)? < FORMAT => write(disk),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => begin(disk),
        Err(error) => Err(StoreError::io(FORMAT_FILE)(error)),
    }
}

fn read<F: DiskFile>(file: &F) -> Result<String, StoreError> {
    let mut buffer = [0; BYTES_MAX];
    let read = read_full(&mut buffer, 0, |buffer, offset| file.read_at(buffer, offset));
    let len = read.map_err(StoreError::io(FORMAT_FILE))?;
    Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
}

/// The format, if it may be opened.
fn check_version(text: String) -> Result<u32, StoreError> {
    let mut words = text.split_whitespace();
    if words.next() != Some(FIRST_WORD) {
        return Err(StoreError::NotAStore("its file `format` was written by something else"));
    }
    match words.next().and_then(|word| word.parse().ok()) {
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat { found, known: FORMAT }),
        Some(found @ 1..) => Ok(found),
        _ => Err(StoreError::NotAStore("its file `format` names no version")),
    }
}

/// Writes the file before anything else.
fn begin<D: Disk>(disk: &D) -> Result<(), StoreError> {
    for dir in [VNODES, LOG_DIR] {
        if !disk.list(dir).map_err(StoreError::io(dir))?.is_empty() {
            return Err(StoreError::NotAStore("it holds data, but its file `format` is gone"));
        }
    }
    write(disk)
}

/// What the file says.
pub(crate) fn text() -> String {
    format!("{FIRST_WORD} {FORMAT}\n")
}

/// Under another name first, so that it is never seen half.
fn write<D: Disk>(disk: &D) -> Result<(), StoreError> {
    write_whole(disk, NEW_FILE, text().as_bytes()).map_err(StoreError::io(NEW_FILE))?;
    disk.rename(NEW_FILE, FORMAT_FILE).map_err(StoreError::io(FORMAT_FILE))?;
    disk.sync_dir("").map_err(StoreError::io(FORMAT_FILE))
}

#[cfg(test)]
mod tests;
