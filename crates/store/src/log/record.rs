//! One record of a vnode's file, byte for byte.
//!
//! ```text
//!  0  u32  crc of place and head and key   (place = partition, file, offset: not written, only summed)
//!  4  u32  crc of the value
//!  8  u32  value bytes (24 bits) · kind (8 bits: 1 value, 2 pointer, 3 removed)
//! 12  u32  key bytes
//! 16  u64  tag
//! 24       key, then value
//! ```
//!
//! Two sums, because they answer two questions. While the first one is right, the key and both lengths can be
//! trusted: a damaged value costs one key, whose name is known, and the next record is where it should be. The place
//! is part of the first sum, so a record that turns up elsewhere (a misdirected write, an older file restored, a
//! value that holds a copy of a store) is never taken for one of this file. No kind is 0, so zeros are no record.

use bytes::{BufMut, Bytes, BytesMut};
use crc32fast::Hasher;
use ombak_base::Partition;

/// Bytes in front of the key.
pub(crate) const HEAD_BYTES: usize = 24;
/// The longest key: a type, a bucket and a key at their limits, and room for a service's own prefix.
pub(crate) const KEY_BYTES_MAX: usize = 128 * 1024;
/// The longest value within a record.
pub(crate) const VALUE_BYTES_MAX: usize = 1024 * 1024;
/// An encoded [`Pointer`].
pub(crate) const POINTER_BYTES: usize = 20;

const KIND_VALUE: u32 = 1;
const KIND_POINTER: u32 = 2;
const KIND_REMOVED: u32 = 3;

/// Where a record stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) partition: Partition,
    pub(crate) file: u32,
    pub(crate) offset: u32,
}

/// Where a large value stands, and its sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pointer {
    pub(crate) file: u32,
    pub(crate) len: u32,
    pub(crate) offset: u64,
    pub(crate) crc: u32,
}

/// What a record says about its key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Value(Bytes),
    Pointer(Pointer),
    Removed,
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) key: Bytes,
    pub(crate) tag: u64,
    pub(crate) body: Body,
}

/// The first [`HEAD_BYTES`], of which only a sum over head *and key* says whether they are true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    head_crc: u32,
    value_crc: u32,
    kind: u32,
    pub(crate) tag: u64,
    pub(crate) key_len: usize,
    value_len: usize,
}

impl Head {
    /// `None`: no record begins like this.
    pub(crate) fn read(bytes: &[u8]) -> Option<Head> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let lower = word(8)?;
        let head = Head {
            head_crc: word(0)?,
            value_crc: word(4)?,
            kind: lower >> 24,
            tag: u64::from_le_bytes(bytes.get(16..HEAD_BYTES)?.try_into().ok()?),
            key_len: word(12)? as usize,
            value_len: (lower & 0xff_ffff) as usize,
        };
        head.is_plausible().then_some(head)
    }

    fn is_plausible(&self) -> bool {
        let value_fits = match self.kind {
            KIND_VALUE => self.value_len <= VALUE_BYTES_MAX,
            KIND_POINTER => self.value_len == POINTER_BYTES,
            KIND_REMOVED => self.value_len == 0,
            _ => false,
        };
        value_fits && self.key_len <= KEY_BYTES_MAX
    }

    /// Bytes of head and key.
    pub(crate) fn prefix_len(&self) -> usize {
        HEAD_BYTES + self.key_len
    }

    /// Bytes of the whole record.
    pub(crate) fn record_len(&self) -> usize {
        self.prefix_len() + self.value_len
    }

    /// Whether head and key are what was written at `place`. `prefix` has [`prefix_len`](Head::prefix_len) bytes.
    pub(crate) fn is_true(&self, place: Place, prefix: &[u8]) -> bool {
        prefix.len() == self.prefix_len() && head_crc(place, &prefix[4..]) == self.head_crc
    }

    /// Whether `value` is what was written.
    pub(crate) fn is_value(&self, value: &[u8]) -> bool {
        value.len() == self.value_len && crc32fast::hash(value) == self.value_crc
    }

    /// Whether the record removes its key.
    pub(crate) fn is_removed(&self) -> bool {
        self.kind == KIND_REMOVED
    }

    /// Whether the value is elsewhere.
    pub(crate) fn is_pointer(&self) -> bool {
        self.kind == KIND_POINTER
    }
}

impl Pointer {
    pub(crate) fn put(&self, out: &mut impl BufMut) {
        out.put_u32_le(self.file);
        out.put_u32_le(self.len);
        out.put_u64_le(self.offset);
        out.put_u32_le(self.crc);
    }

    /// Reads what `put` wrote.
    pub(crate) fn read(bytes: &[u8]) -> Option<Pointer> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let offset = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        Some(Pointer { file: word(0)?, len: word(4)?, offset, crc: word(16)? })
    }

    /// Where the value ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(u64::from(self.len))
    }
}

/// Bytes that a record of these parts takes.
pub(crate) fn record_len(key: &[u8], body: &Body) -> usize {
    HEAD_BYTES + key.len() + body_len(body)
}

fn body_len(body: &Body) -> usize {
    match body {
        Body::Value(value) => value.len(),
        Body::Pointer(_) => POINTER_BYTES,
        Body::Removed => 0,
    }
}

/// Appends the record. Key and value must be within their limits.
pub(crate) fn encode(out: &mut BytesMut, place: Place, key: &[u8], tag: u64, body: &Body) {
    let kind = match body {
        Body::Value(_) => KIND_VALUE,
        Body::Pointer(_) => KIND_POINTER,
        Body::Removed => KIND_REMOVED,
    };
    let start = out.len();
    out.put_u64_le(0);
    out.put_u32_le(body_len(body) as u32 | kind << 24);
    out.put_u32_le(key.len() as u32);
    out.put_u64_le(tag);
    out.put_slice(key);
    let value_at = out.len();
    match body {
        Body::Value(value) => out.put_slice(value),
        Body::Pointer(pointer) => pointer.put(out),
        Body::Removed => {}
    }
    let value_crc = crc32fast::hash(&out[value_at..]);
    out[start + 4..start + 8].copy_from_slice(&value_crc.to_le_bytes());
    let head_crc = head_crc(place, &out[start + 4..value_at]);
    out[start..start + 4].copy_from_slice(&head_crc.to_le_bytes());
}

/// Reads exactly one record and checks all of it; `None` if anything is wrong.
pub(crate) fn decode(place: Place, bytes: &Bytes) -> Option<Record> {
    let head = Head::read(bytes)?;
    if bytes.len() != head.record_len() || !head.is_true(place, &bytes[..head.prefix_len()]) {
        return None;
    }
    let value = bytes.slice(head.prefix_len()..);
    if !head.is_value(&value) {
        return None;
    }
    let body = match head.kind {
        KIND_VALUE => Body::Value(value),
        KIND_POINTER => Body::Pointer(Pointer::read(&value)?),
        _ => Body::Removed,
    };
    Some(Record { key: bytes.slice(HEAD_BYTES..head.prefix_len()), tag: head.tag, body })
}

fn head_crc(place: Place, rest: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&place.partition.0.to_le_bytes());
    hasher.update(&place.file.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests;
