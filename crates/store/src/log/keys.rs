//! Lists of keys: what files of records hold, without the values, so that a start need not read the records.
//!
//! A list consists of *sections*, one behind the other in a file `<k>.keys` of the vnode, which has those of the files of
//! records number 16 k to 16 k + 15. A section is about a stretch of one file:
//!
//! ```text
//!  0  4 bytes  "oks1"
//!  4  u32      bytes of the entries
//!  8  u32      partition
//! 12  u32      number of the file of records
//! 16  u32      where the stretch begins
//! 20  u32      where it ends
//! 24  u32      length of the file before, from the header of this one
//! 28           for each record of the stretch, in order:
//!                varint  length of the record, and two bits for what it is: 0 value, 1 pointer, 2 removed
//!                varint  so many bytes of its key are those of the key before
//!                varint  so many bytes follow, and the bytes
//!                u64     tag, unless removed
//!                20 bytes  where the large value is, if it is a pointer
//!        u32   crc of the above
//! ```
//!
//! Lists are never synced. One that a crash has spoilt is good up to the first section that is not whole; what it does not
//! list is read. Where records are small there are no lists: to read the records takes hardly longer, and lists would cost
//! disk space.

use bytes::{BufMut, Bytes};
use ombak_base::{Partition, Reader, put_varint};

use super::header::HEADER_BYTES;
use super::packed::common;
use super::record::{self, POINTER_BYTES, Place, Pointer};
use super::scan::{Seen, Value};

const MAGIC: &[u8; 4] = b"oks1";
const HEAD_BYTES: usize = 28;
const CRC_BYTES: usize = 4;

const VALUE: u64 = 0;
const POINTER: u64 = 1;
const REMOVED: u64 = 2;

/// A list is at most such a part of the records.
const PART: u64 = 16;
/// So much may be listed before that is asked.
const GRACE_BYTES: u64 = 4 * 1024;

/// What a section is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stretch {
    pub(crate) partition: Partition,
    pub(crate) file: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) previous_len: u32,
}

impl Stretch {
    /// Nothing yet of a file.
    pub(crate) fn begin(partition: Partition, file: u32, previous_len: u32) -> Stretch {
        let from = HEADER_BYTES as u32;
        Stretch { partition, file, from, to: from, previous_len }
    }
}

/// What is known of one record that is to be listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) tag: u64,
    pub(crate) len: usize,
    pub(crate) is_removed: bool,
    pub(crate) pointer: Option<Pointer>,
}

/// A section that is being made.
#[derive(Debug)]
pub(crate) struct Section {
    stretch: Stretch,
    entries: Vec<u8>,
    last_key: Vec<u8>,
    /// Records are too small, or something is wrong with one: no more of this file is listed.
    is_vain: bool,
}

impl Section {
    /// One without records, which begins where `stretch` ends.
    pub(crate) fn behind(stretch: Stretch) -> Section {
        let stretch = Stretch { from: stretch.to, ..stretch };
        Section { stretch, entries: Vec::new(), last_key: Vec::new(), is_vain: false }
    }

    pub(crate) fn stretch(&self) -> Stretch {
        self.stretch
    }

    /// Bytes of the entries.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// Adds the record that follows.
    pub(crate) fn push(&mut self, record: Listed<'_>) {
        self.stretch.to += record.len as u32;
        let listed = u64::from(self.stretch.to - self.stretch.from);
        if self.is_vain || self.bytes() as u64 > GRACE_BYTES + listed / PART {
            return self.give_up();
        }
        let kind = match record.pointer {
            _ if record.is_removed => REMOVED,
            Some(_) => POINTER,
            None => VALUE,
        };
        let out = &mut self.entries;
        put_varint(out, (record.len as u64) << 2 | kind);
        let shared = common(&self.last_key, record.key);
        put_varint(out, shared as u64);
        put_varint(out, (record.key.len() - shared) as u64);
        out.extend_from_slice(&record.key[shared..]);
        if !record.is_removed {
            out.extend_from_slice(&record.tag.to_le_bytes());
        }
        if let Some(pointer) = record.pointer {
            pointer.put(out);
        }
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&record.key[shared..]);
    }

    /// The header of the file says this of the one before.
    pub(crate) fn is_of(&mut self, previous_len: u32) {
        self.stretch.previous_len = previous_len;
    }

    /// No more of this file is listed.
    pub(crate) fn give_up(&mut self) {
        self.is_vain = true;
        self.entries = Vec::new();
    }

    /// The section as it is written; `None` if it is not worth it. What is added from now on comes behind it.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        let Stretch { partition, file, from, to, previous_len } = self.stretch;
        if self.entries.is_empty() || self.bytes() as u64 * PART > u64::from(to - from) {
            self.give_up();
            return None;
        }
        let mut out = Vec::with_capacity(HEAD_BYTES + self.bytes() + CRC_BYTES);
        out.extend_from_slice(MAGIC);
        for word in [self.bytes() as u32, partition.0, file, from, to, previous_len] {
            out.put_u32_le(word);
        }
        out.extend_from_slice(&self.entries);
        out.put_u32_le(crc32fast::hash(&out));
        self.entries.clear();
        self.last_key.clear();
        self.stretch.from = to;
        Some(out)
    }
}

/// A section that was read, with its records.
pub(crate) type Read = (Stretch, Vec<Seen>);

/// The sections at the front of a list, up to the first that is not whole, or not of this vnode; and where they end.
pub(crate) fn decode(partition: Partition, list: &Bytes) -> (Vec<Read>, u64) {
    let mut sections = Vec::new();
    let mut at = 0;
    while let Some((section, len)) = section(partition, &list.slice(at..)) {
        sections.push(section);
        at += len;
    }
    (sections, at as u64)
}

/// The section at the front, and its length.
fn section(partition: Partition, bytes: &Bytes) -> Option<(Read, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let body = HEAD_BYTES.checked_add(word(4)? as usize)?;
    let is_whole = word(body)? == crc32fast::hash(&bytes[..body]);
    if !is_whole || bytes[..4] != *MAGIC || word(8)? != partition.0 {
        return None;
    }
    let (file, from, to, previous_len) = (word(12)?, word(16)?, word(20)?, word(24)?);
    let stretch = Stretch { partition, file, from, to, previous_len };
    let records = entries(stretch, bytes.slice(HEAD_BYTES..body))?;
    Some(((stretch, records), body + CRC_BYTES))
}

/// The records, which must fill the stretch.
fn entries(stretch: Stretch, entries: Bytes) -> Option<Vec<Seen>> {
    let Stretch { partition, file, from, to, .. } = stretch;
    let mut reader = Reader::new(entries);
    let (mut at, mut key, mut records) = (u64::from(from), Vec::new(), Vec::new());
    while reader.remaining() > 0 {
        let offset = u32::try_from(at).ok().filter(|offset| *offset < to)?;
        let next = entry(&mut reader, Place { partition, file, offset }, &mut key)?;
        at += next.len as u64;
        records.push(next);
    }
    (at == u64::from(to)).then_some(records)
}

/// The next entry; `key` is the one before, and becomes this one's.
fn entry(reader: &mut Reader, place: Place, key: &mut Vec<u8>) -> Option<Seen> {
    let len_and_kind = reader.varint().ok()?;
    let (len, kind) = (usize::try_from(len_and_kind >> 2).ok()?, len_and_kind & 3);
    let shared = usize::try_from(reader.varint().ok()?).ok()?;
    if shared > key.len() || kind > REMOVED {
        return None;
    }
    key.truncate(shared);
    let more = usize::try_from(reader.varint().ok()?).ok()?;
    key.extend_from_slice(&reader.take(more).ok()?);
    let value_len = len.checked_sub(record::HEAD_BYTES + key.len())?;
    let tag = if kind == REMOVED { 0 } else { reader.u64().ok()? };
    let value = match kind {
        POINTER => Value::Pointer(Pointer::read(&reader.take(POINTER_BYTES).ok()?)?),
        _ => Value::Inline,
    };
    Some(Seen {
        place,
        key: Bytes::copy_from_slice(key),
        tag,
        len,
        value_len,
        is_removed: kind == REMOVED,
        is_pointer: kind == POINTER,
        value: Some(value),
    })
}

#[cfg(test)]
mod tests;
