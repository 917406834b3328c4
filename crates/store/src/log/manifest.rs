//! The file `first` of a vnode: which of its files of records is the first. Written before those in front of it are
//! removed, so that a file that is lost can be told from one that was given up. Where nothing was given up yet, there
//! is none, and the first is 0.

use std::io::{self, ErrorKind, IoSlice};

use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::read::read_full;
use super::strand::directory;

const FIRST_WORD: &str = "ombak-vnode";
const VERSION: u32 = 1;
const BYTES_MAX: usize = 128;

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum First {
    File(u32),
    /// It cannot be read, or makes no sense.
    Unreadable,
}

pub(crate) fn path(partition: Partition) -> String {
    format!("{}/first", directory(partition))
}

/// Reads the file.
pub(crate) fn read<D: Disk>(disk: &D, partition: Partition) -> First {
    let file = match disk.open(&path(partition), OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return First::File(0),
        Err(_) => return First::Unreadable,
    };
    let mut buffer = [0; BYTES_MAX];
    let read = read_full(&mut buffer, 0, |buffer, offset| file.read_at(buffer, offset));
    let text = read.ok().and_then(|len| std::str::from_utf8(&buffer[..len]).ok());
    text.and_then(|text| decode(partition, text)).map_or(First::Unreadable, First::File)
}

/// Writes the file under another name, and renames it: it is there as it was or as it is to be.
pub(crate) fn write<D: Disk>(disk: &D, partition: Partition, first: u32) -> io::Result<()> {
    let (path, dir) = (path(partition), directory(partition));
    let new = format!("{path}.new");
    let file = disk.open(&new, OpenMode::Cached)?;
    file.set_len(0)?;
    file.write_at(&[IoSlice::new(encode(partition, first).as_bytes())], 0)?;
    file.sync()?;
    disk.rename(&new, &path)?;
    disk.sync_dir(&dir)
}

fn encode(partition: Partition, first: u32) -> String {
    let text = format!("{FIRST_WORD} {VERSION} partition {} first {first} ", partition.0);
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}{crc:08x}\n")
}

fn decode(partition: Partition, text: &str) -> Option<u32> {
    let first = text.split(' ').nth(5)?.parse().ok()?;
    (text == encode(partition, first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never edited: what was written once is read for ever.
    const GOLDEN: &str = "ombak-vnode 1 partition 7 first 12 bd8825fb\n";

    #[test]
    fn golden() {
        assert_eq!(encode(Partition(7), 12), GOLDEN);
        assert_eq!(decode(Partition(7), GOLDEN), Some(12));
    }

    #[test]
    fn what_was_damaged_or_meant_for_another_is_not_believed() {
        for at in 0..GOLDEN.len() {
            let mut bytes = GOLDEN.as_bytes().to_vec();
            bytes[at] ^= 1;
            let text = String::from_utf8(bytes).expect("it stays ASCII");
            assert_eq!(decode(Partition(7), &text), None, "{text}");
        }
        assert_eq!(decode(Partition(8), GOLDEN), None);
        assert_eq!(decode(Partition(7), ""), None);
    }
}
