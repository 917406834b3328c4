//! The writer's part in listing keys: see [`keys`](super::keys).
//!
//! What fails here is none of the store: without a list, the next start reads records.

use std::collections::BTreeMap;
use std::io::ErrorKind::{QuotaExceeded, StorageFull};
use std::io::{self, IoSlice};

use bytes::Bytes;
use ombak_base::{Disk, DiskFile, OpenMode, Partition};

use super::header::{HEADER_BYTES, Header};
use super::keys::{self, Listed, Read, Section, Stretch};
use super::read::read_full;
use super::record::{HEAD_BYTES, Head, Pointer};
use super::scan::{Seen, Value};
use super::strand::directory;
use super::tail::Position;

/// What these files' names end with.
pub(crate) const SUFFIX: &str = "keys";
/// So many files of records share a list: to create a file is dear.
const FILES_IN_LIST: u32 = 16;
/// A section is written when its entries are as long.
const SECTION_BYTES: usize = 16 * 1024;
/// A longer list is not read.
const LIST_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Which list has a file of records.
pub(crate) fn list_of(file: u32) -> u32 {
    file / FILES_IN_LIST
}

/// Whether all that is in a list is about files of records before `first`.
pub(crate) fn is_over(list: u32, first: u32) -> bool {
    list < list_of(first)
}

/// Lists one vnode's keys as its records are put into files.
#[derive(Debug)]
pub(crate) struct Lister {
    partition: Partition,
    /// The list that was last written to, and where it ends.
    end: (u32, u64),
    section: Section,
}

impl Lister {
    /// For a vnode without files.
    pub(crate) fn new(partition: Partition) -> Lister {
        let section = Section::behind(Stretch::begin(partition, 0, 0));
        Lister { partition, end: (0, 0), section }
    }

    /// These records, which touch, are in the file now.
    pub(crate) fn flushed<'a, D: Disk>(
        &mut self,
        disk: &D,
        pieces: impl Iterator<Item = &'a (Position, Bytes)>,
    ) {
        for ((file, offset), bytes) in pieces {
            if *offset == 0 {
                self.write(disk);
                let previous_len = Header::decode(bytes).map_or(0, |header| header.previous_len);
                self.section = Section::behind(Stretch::begin(self.partition, *file, previous_len));
            }
            let begin = if *offset == 0 { HEADER_BYTES } else { 0 };
            self.record(*file, offset + begin as u64, &bytes[begin..]);
        }
        if self.section.bytes() >= SECTION_BYTES {
            self.write(disk);
        }
    }

    fn record(&mut self, file: u32, offset: u64, bytes: &[u8]) {
        let Stretch { file: listing, to, .. } = self.section.stretch();
        let head = Head::read(bytes).filter(|head| head.record_len() == bytes.len());
        let Some(head) = head.filter(|_| (listing, u64::from(to)) == (file, offset)) else {
            return self.section.give_up();
        };
        let value = &bytes[head.prefix_len()..];
        self.section.push(Listed {
            key: &bytes[HEAD_BYTES..head.prefix_len()],
            tag: head.tag,
            len: bytes.len(),
            is_removed: head.is_removed(),
            pointer: if head.is_pointer() { Pointer::read(value) } else { None },
        });
    }

    /// Appends what is listed to the file's list.
    fn write<D: Disk>(&mut self, disk: &D) {
        let list = list_of(self.section.stretch().file);
        let Some(bytes) = self.section.take() else { return };
        let (last, end) = self.end;
        let end = if list == last { end } else { 0 };
        match append(disk, self.partition, list, end, &bytes) {
            Ok(()) => self.end = (list, end + bytes.len() as u64),
            Err(_) => self.section.give_up(),
        }
    }
}

fn path(partition: Partition, list: u32) -> String {
    format!("{}/{list}.{SUFFIX}", directory(partition))
}

/// Writes a section at the end of a list, and cuts off what a crash may have left behind it.
fn append<D: Disk>(
    disk: &D,
    partition: Partition,
    list: u32,
    end: u64,
    section: &[u8],
) -> io::Result<()> {
    let file = disk.open(&path(partition, list), OpenMode::Cached)?;
    if file.len()? > end {
        file.set_len(end)?;
    }
    file.write_at(&[IoSlice::new(section)], end)
}

/// A vnode's lists, as a start reads them.
pub(crate) struct Lists {
    partition: Partition,
    /// Of each file of records, in the order in which they were written.
    sections: BTreeMap<u32, Vec<Read>>,
    /// Where each list ends.
    ends: BTreeMap<u32, u64>,
}

impl Lists {
    /// Reads all of them, as far as they are whole.
    pub(crate) fn read<D: Disk>(disk: &D, partition: Partition) -> io::Result<Lists> {
        let mut lists = Lists { partition, sections: BTreeMap::new(), ends: BTreeMap::new() };
        for name in disk.list(&directory(partition))? {
            let Some((number, SUFFIX)) = name.split_once('.') else { continue };
            let Ok(number) = number.parse() else { continue };
            let bytes = read(disk, &path(partition, number)).unwrap_or_default();
            let (sections, end) = keys::decode(partition, &bytes);
            lists.ends.insert(number, end);
            for section in sections {
                lists.sections.entry(section.0.file).or_default().push(section);
            }
        }
        Ok(lists)
    }

    /// What is listed of a file of this length, without a gap from its beginning; `visit` sees the records.
    pub(crate) fn take(&mut self, file: u32, len: u64, mut visit: impl FnMut(Seen)) -> Stretch {
        let mut known = Stretch::begin(self.partition, file, 0);
        for (stretch, records) in self.sections.remove(&file).unwrap_or_default() {
            if stretch.from == known.to && u64::from(stretch.to) <= len {
                records.into_iter().for_each(&mut visit);
                known = Stretch { from: known.from, ..stretch };
            }
        }
        known
    }

    /// Adds a section that was made of records that a start had to read. If there is no room for it, they are read again.
    pub(crate) fn add<D: Disk>(&mut self, disk: &D, mut section: Section) -> io::Result<()> {
        let list = list_of(section.stretch().file);
        let end = self.ends.get(&list).copied().unwrap_or(0);
        let Some(bytes) = section.take() else { return Ok(()) };
        match append(disk, self.partition, list, end, &bytes) {
            Ok(()) => {
                self.ends.insert(list, end + bytes.len() as u64);
                Ok(())
            }
            Err(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// For what is written from now on: behind `section`, of the last file.
    pub(crate) fn lister(self, section: Section) -> Lister {
        let list = list_of(section.stretch().file);
        let end = self.ends.get(&list).copied().unwrap_or(0);
        Lister { partition: self.partition, end: (list, end), section }
    }
}

fn read<D: Disk>(disk: &D, path: &str) -> io::Result<Bytes> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()?.min(LIST_BYTES_MAX) as usize];
    let len = read_full(&mut bytes, 0, |buffer, offset| file.read_at(buffer, offset))?;
    bytes.truncate(len);
    Ok(Bytes::from(bytes))
}

/// A record that a start has read, to be listed.
pub(crate) fn listed(seen: &Seen) -> Option<Listed<'_>> {
    let pointer = match seen.value.as_ref()? {
        Value::Pointer(pointer) => Some(*pointer),
        Value::Inline => None,
    };
    Some(Listed {
        key: &seen.key,
        tag: seen.tag,
        len: seen.len,
        is_removed: seen.is_removed,
        pointer,
    })
}
