//! The file `format` at the root: what wrote here, of which database, and whether this version may.
//!
//! ```text
//! ombak-btree 2 00000000000000ff          version, identity of the database
//! ```

use std::io::ErrorKind;

use ombak_base::{Disk, DiskFile, OpenMode};

use crate::error::StoreError;
use crate::log::write_whole;

/// The newest format that this version reads, and the one that it writes. 2: the file names the database, and the tree has
/// the number of keys of each partition.
pub const BTREE_FORMAT: u32 = 2;
/// The directory of the engine.
pub(crate) const DIR: &str = "btree";

const FORMAT_FILE: &str = "format";
const NEW_FILE: &str = "format.new";
const FIRST_WORD: &str = "ombak-btree";
/// Other backends' directories.
const OTHERS: [&str; 2] = ["vnodes", "commit-log"];

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Format {
    version: u32,
    /// Of the database; 0: it has none.
    pub(crate) identity: u64,
}

impl Format {
    /// Version 1 had neither an identity nor counts of keys.
    pub(crate) fn has_counts(self) -> bool {
        self.version >= 2
    }

    /// Everything that this version knows is there now.
    pub(crate) fn upgrade<D: Disk>(self, disk: &D) -> Result<(), StoreError> {
        write(disk, self.identity)
    }

    fn parse(text: &str) -> Result<Format, StoreError> {
        let mut words = text.split_whitespace();
        if words.next() != Some(FIRST_WORD) {
            return Err(StoreError::NotAStore(
                "its file `format` says that another backend made it",
            ));
        }
        let version = match words.next().and_then(|word| word.parse().ok()) {
            Some(found) if found > BTREE_FORMAT => {
                return Err(StoreError::NewerFormat { found, known: BTREE_FORMAT });
            }
            Some(version @ 1..) => version,
            _ => return Err(StoreError::NotAStore("its file `format` names no version")),
        };
        let identity = match words.next().map(|word| u64::from_str_radix(word, 16)) {
            None if version == 1 => 0,
            Some(Ok(identity)) => identity,
            _ => return Err(StoreError::NotAStore("its file `format` names no database")),
        };
        Ok(Format { version, identity })
    }
}

/// Checks that this version may open what is there, and that it is of the database `identity` (0: whichever); writes the
/// file where nothing is.
pub(crate) fn check<D: Disk>(disk: &D, identity: u64) -> Result<Format, StoreError> {
    let found = match disk.open(FORMAT_FILE, OpenMode::Read) {
        Ok(file) => {
            let mut buffer = [0; 64];
            let read = file.read_at(&mut buffer, 0).map_err(StoreError::io(FORMAT_FILE))?;
            Format::parse(&String::from_utf8_lossy(&buffer[..read]))?
        }
        Err(error) if error.kind() == ErrorKind::NotFound => begin(disk, identity)?,
        Err(error) => return Err(StoreError::io(FORMAT_FILE)(error)),
    };
    if found.identity != identity && found.identity != 0 && identity != 0 {
        return Err(StoreError::OtherDatabase { found: found.identity, wanted: identity });
    }
    Ok(found)
}

/// Writes the file before anything else.
fn begin<D: Disk>(disk: &D, identity: u64) -> Result<Format, StoreError> {
    for dir in OTHERS.into_iter().chain([DIR]) {
        if !disk.list(dir).map_err(StoreError::io(dir))?.is_empty() {
            return Err(StoreError::NotAStore("it holds data, but its file `format` is gone"));
        }
    }
    write(disk, identity)?;
    Ok(Format { version: BTREE_FORMAT, identity })
}

/// Under another name first, so that it is never seen half.
fn write<D: Disk>(disk: &D, identity: u64) -> Result<(), StoreError> {
    let text = format!("{FIRST_WORD} {BTREE_FORMAT} {identity:016x}\n");
    write_whole(disk, NEW_FILE, text.as_bytes()).map_err(StoreError::io(NEW_FILE))?;
    disk.rename(NEW_FILE, FORMAT_FILE).map_err(StoreError::io(FORMAT_FILE))?;
    disk.sync_dir("").map_err(StoreError::io(FORMAT_FILE))
}
