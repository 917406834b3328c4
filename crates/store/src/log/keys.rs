//! `<n>.keys`: what the file of records `<n>.data` holds, without the values, so that a start need not read them.
//!
//! ```text
//!  0  8 bytes  "ombak-ks"
//!  8  u32      version of this format
//! 12  u32      partition
//! 16  u32      number of the file
//! 20  u32      length of the file
//! 24  u32      length of the file before it, from its header
//! 28           for each record, in order:
//!                varint  length of the record, and two bits for what it is: 0 value, 1 pointer, 2 removed
//!                varint  so many bytes of its key are those of the key before
//!                varint  so many bytes follow, and the bytes
//!                u64     tag, unless removed
//!                20 bytes  where the large value is, if it is a pointer
//!        u32   crc of the above
//! ```
//!
//! It is made when the file takes no more records, and never synced: one that is not whole, or belongs to a file of
//! another length, is passed over, and the records are read. Where records are small there is none: to read them takes
//! hardly longer, and it would cost disk space.

use std::io::ErrorKind::{QuotaExceeded, StorageFull};
use std::io::{self, IoSlice};

use bytes::{BufMut, Bytes};
use ombak_base::{Disk, DiskFile, OpenMode, Partition, Reader, put_varint};

use super::header::HEADER_BYTES;
use super::read::read_full;
use super::record::{self, POINTER_BYTES, Place, Pointer};
use super::scan::{Seen, Value};
use super::strand::directory;

const MAGIC: &[u8; 8] = b"ombak-ks";
const VERSION: u32 = 1;
const HEAD_BYTES: usize = 28;

const VALUE: u64 = 0;
const POINTER: u64 = 1;
const REMOVED: u64 = 2;

/// A list is at most such a part of its file.
const PART: u64 = 8;
/// So much may be listed before that is asked.
const GRACE_BYTES: u64 = 4 * 1024;

/// What these files' names end with.
pub(crate) const SUFFIX: &str = "keys";

/// Where the list of a file is.
pub(crate) fn path(partition: Partition, file: u32) -> String {
    format!("{}/{file}.{SUFFIX}", directory(partition))
}

/// The list of a file whose records are read one after the other.
#[derive(Debug, Default)]
pub(crate) struct KeyList {
    entries: Vec<u8>,
    last_key: Bytes,
    /// Bytes of the records.
    listed: u64,
    /// Records are too small, or one of them is damaged.
    is_vain: bool,
}

impl KeyList {
    /// Adds the next record.
    pub(crate) fn push(&mut self, seen: &Seen) {
        self.listed += seen.len as u64;
        let entries = self.entries.len() as u64;
        self.is_vain |= seen.value.is_none() || entries > GRACE_BYTES + self.listed / PART;
        if self.is_vain {
            self.entries = Vec::new();
            return;
        }
        let kind = match seen.value {
            _ if seen.is_removed => REMOVED,
            Some(Value::Pointer(_)) => POINTER,
            _ => VALUE,
        };
        let out = &mut self.entries;
        put_varint(out, (seen.len as u64) << 2 | kind);
        let shared = common(&self.last_key, &seen.key);
        put_varint(out, shared as u64);
        put_varint(out, (seen.key.len() - shared) as u64);
        out.extend_from_slice(&seen.key[shared..]);
        if !seen.is_removed {
            out.extend_from_slice(&seen.tag.to_le_bytes());
        }
        if let Some(Value::Pointer(pointer)) = &seen.value {
            pointer.put(out);
        }
        self.last_key = seen.key.clone();
    }

    /// Whether nothing will come of it.
    pub(crate) fn is_vain(&self) -> bool {
        self.is_vain
    }

    /// Nothing shall come of it.
    pub(crate) fn give_up(&mut self) {
        self.is_vain = true;
    }

    /// Writes the list of a file that has been read to its end; not if that would be too long, or the disk is full.
    pub(crate) fn write<D: Disk>(&self, disk: &D, of: ListOf) -> io::Result<()> {
        if self.is_vain || self.entries.len() as u64 * PART > of.len {
            return Ok(());
        }
        match self.try_write(disk, of) {
            Err(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => Ok(()),
            other => other,
        }
    }

    fn try_write<D: Disk>(&self, disk: &D, of: ListOf) -> io::Result<()> {
        let bytes = self.encode(of);
        let file = disk.open(&path(of.partition, of.file), OpenMode::Cached)?;
        file.set_len(0)?;
        file.write_at(&[IoSlice::new(&bytes)], 0)
    }

    fn encode(&self, of: ListOf) -> Vec<u8> {
        let mut out = of.head();
        out.extend_from_slice(&self.entries);
        let crc = crc32fast::hash(&out);
        out.put_u32_le(crc);
        out
    }
}

/// Which file a list is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ListOf {
    pub(crate) partition: Partition,
    pub(crate) file: u32,
    pub(crate) len: u64,
    pub(crate) previous_len: u32,
}

impl ListOf {
    fn head(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for word in [VERSION, self.partition.0, self.file, self.len as u32, self.previous_len] {
            out.put_u32_le(word);
        }
        out
    }
}

/// What a file holds: the length of the file before it, and its records in order.
pub(crate) type Listed = (u32, Vec<Seen>);

/// Reads the list of a file of this length; `None` if there is none that can be believed.
pub(crate) fn read<D: Disk>(disk: &D, partition: Partition, file: u32, len: u64) -> Option<Listed> {
    let list = disk.open(&path(partition, file), OpenMode::Read).ok()?;
    let bytes_max = HEAD_BYTES as u64 + len / PART + 4;
    let list_len = list.len().ok().filter(|list_len| *list_len <= bytes_max)?;
    let mut bytes = vec![0; list_len as usize];
    let read = read_full(&mut bytes, 0, |buffer, offset| list.read_at(buffer, offset)).ok()?;
    bytes.truncate(read);
    decode(partition, file, len, Bytes::from(bytes))
}

/// Reads what [`KeyList::encode`] wrote, if it is of this file. The records must fill the file.
pub(crate) fn decode(partition: Partition, file: u32, len: u64, bytes: Bytes) -> Option<Listed> {
    let body = bytes.slice(..bytes.len().checked_sub(4)?);
    let crc = u32::from_le_bytes(bytes[body.len()..].try_into().ok()?);
    let previous_len = u32::from_le_bytes(body.get(HEAD_BYTES - 4..HEAD_BYTES)?.try_into().ok()?);
    let of = ListOf { partition, file, len, previous_len };
    if crc32fast::hash(&body) != crc || body[..HEAD_BYTES] != of.head() {
        return None;
    }
    let mut reader = Reader::new(body.slice(HEAD_BYTES..));
    let mut seen = Vec::new();
    let mut at = HEADER_BYTES as u64;
    let mut key = Vec::new();
    while reader.remaining() > 0 {
        let offset = u32::try_from(at).ok()?;
        let next = entry(&mut reader, Place { partition, file, offset }, &mut key)?;
        at += next.len as u64;
        if at > len {
            return None;
        }
        seen.push(next);
    }
    (at == len).then_some((previous_len, seen))
}

/// The next entry; `key` is the one before, and becomes this one's.
fn entry(reader: &mut Reader, place: Place, key: &mut Vec<u8>) -> Option<Seen> {
    let len_and_kind = reader.varint().ok()?;
    let (len, kind) = (len_and_kind >> 2, len_and_kind & 3);
    let shared = usize::try_from(reader.varint().ok()?).ok()?;
    if shared > key.len() || kind > REMOVED {
        return None;
    }
    key.truncate(shared);
    let more = usize::try_from(reader.varint().ok()?).ok()?;
    key.extend_from_slice(&reader.take(more).ok()?);
    let value_len = usize::try_from(len).ok()?.checked_sub(record::HEAD_BYTES + key.len())?;
    let tag = if kind == REMOVED { 0 } else { reader.u64().ok()? };
    let value = match kind {
        POINTER => Value::Pointer(Pointer::read(&reader.take(POINTER_BYTES).ok()?)?),
        _ => Value::Inline,
    };
    Some(Seen {
        place,
        key: Bytes::copy_from_slice(key),
        tag,
        len: len as usize,
        value_len,
        is_removed: kind == REMOVED,
        is_pointer: kind == POINTER,
        value: Some(value),
    })
}

fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
