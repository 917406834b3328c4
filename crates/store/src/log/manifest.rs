//! The file `firsts`: which of each vnode's files of records is the first. Written before those in front of it are
//! removed, so that a file that is lost can be told from one that was given up. A vnode of which nothing was given up is
//! not in it: its first file is 0.
//!
//! ```text
//!   8 bytes  "ombak-1s"
//!   u32      version of this format
//!   u32      number of vnodes
//!   for each: u32 partition, u32 first file
//!   u32      crc of the above
//! ```

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::read::read_full;
use super::room::{Stop, or_full};

/// The file's name.
pub(crate) const FIRSTS_FILE: &str = "firsts";
const NEW_FILE: &str = "firsts.new";
const MAGIC: &[u8; 8] = b"ombak-1s";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 16;
const ENTRY_BYTES: usize = 8;
/// More than any ring has partitions.
const BYTES_MAX: u64 = 1024 * 1024;

/// What the file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Firsts {
    Known(BTreeMap<Partition, u32>),
    /// It cannot be read, or makes no sense.
    Unreadable,
}

impl Firsts {
    /// The first file of a vnode; `None` if that is not known.
    pub(crate) fn of(&self, partition: Partition) -> Option<u32> {
        match self {
            Firsts::Known(firsts) => Some(firsts.get(&partition).copied().unwrap_or(0)),
            Firsts::Unreadable => None,
        }
    }
}

/// Reads the file.
pub(crate) fn read<D: Disk>(disk: &D) -> Firsts {
    let file = match disk.open(FIRSTS_FILE, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Firsts::Known(BTreeMap::new()),
        Err(_) => return Firsts::Unreadable,
    };
    let whole = || {
        let mut bytes = vec![0; file.len()?.min(BYTES_MAX) as usize];
        let len = read_full(&mut bytes, 0, |buffer, offset| file.read_at(buffer, offset))?;
        bytes.truncate(len);
        Ok::<_, io::Error>(bytes)
    };
    whole().ok().and_then(|bytes| decode(&bytes)).map_or(Firsts::Unreadable, Firsts::Known)
}

/// Writes the file under another name, and renames it: it is there as it was or as it is to be.
pub(crate) fn write<D: Disk>(disk: &D, firsts: &BTreeMap<Partition, u32>) -> Result<(), Stop> {
    let file = or_full(disk.open(NEW_FILE, OpenMode::Cached))?;
    or_full(file.set_len(0))?;
    or_full(file.write_at(&[IoSlice::new(&encode(firsts))], 0))?;
    file.sync()?;
    or_full(disk.rename(NEW_FILE, FIRSTS_FILE))?;
    Ok(disk.sync_dir("")?)
}

pub(crate) fn encode(firsts: &BTreeMap<Partition, u32>) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(firsts.len() as u32).to_le_bytes());
    for (partition, first) in firsts {
        out.extend_from_slice(&partition.0.to_le_bytes());
        out.extend_from_slice(&first.to_le_bytes());
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<BTreeMap<Partition, u32>> {
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
    let (body, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let (head, entries) = body.split_at_checked(HEAD_BYTES)?;
    let sound = word(crc)? == crc32fast::hash(body) && &head[..8] == MAGIC;
    let whole = word(&head[12..])? as usize * ENTRY_BYTES == entries.len();
    if !sound || !whole || word(&head[8..12])? != VERSION {
        return None;
    }
    let entry = |entry: &[u8]| Some((Partition(word(&entry[..4])?), word(&entry[4..])?));
    entries.chunks_exact(ENTRY_BYTES).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never edited: what was written once is read for ever.
    const GOLDEN: &[u8] =
        b"ombak-1s\x01\0\0\0\x02\0\0\0\x07\0\0\0\x0c\0\0\0\xff\xff\xff\xff\x01\0\0\0\xa0\x9c\x0c\x15";

    fn firsts() -> BTreeMap<Partition, u32> {
        BTreeMap::from([(Partition(7), 12), (Partition(u32::MAX), 1)])
    }

    #[test]
    fn golden() {
        assert_eq!(encode(&firsts()), GOLDEN);
        assert_eq!(decode(GOLDEN), Some(firsts()));
    }

    #[test]
    fn what_is_damaged_is_not_believed() {
        for at in 0..GOLDEN.len() {
            let mut bytes = GOLDEN.to_vec();
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes), None, "byte {at}");
            assert_eq!(decode(&GOLDEN[..at]), None, "cut at {at}");
        }
    }
}
