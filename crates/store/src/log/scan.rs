//! Reading a vnode's file record by record, and past what is damaged.
//!
//! Three things can be wrong. A *value* does not match its sum: its key is known, and the next record is where it
//! should be. A *head* or key does not: neither the key nor the length can be believed, so the search goes on byte by
//! byte until whole records come again (their sums contain their place, so nothing passes for one by chance), and the
//! bytes between are reported as lost, their keys unknown. The *end* comes in the middle of a record: likewise.

use bytes::Bytes;
use ombak_base::{DiskFile, Partition};

use super::header::{HEADER_BYTES, Header};
use super::record::{HEAD_BYTES, Head, Place, Pointer};
use super::window::Window;

/// A record that was found, its key trusted.
pub(crate) struct Seen {
    pub(crate) place: Place,
    /// Shares the piece of the file that was read: not to be kept.
    pub(crate) key: Bytes,
    pub(crate) tag: u64,
    pub(crate) len: usize,
    pub(crate) value_len: usize,
    pub(crate) is_removed: bool,
    pub(crate) is_pointer: bool,
    /// `None` when the value is not what was written.
    pub(crate) value: Option<Value>,
}

/// What a sound value is.
pub(crate) enum Value {
    Inline,
    Pointer(Pointer),
}

/// What a file holds, beside its records.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What the header says of the file before, if it is sound.
    pub(crate) previous_len: Option<u32>,
    /// Bytes that belong to no record, from and to.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Whether the file ends with a whole record, so that another can follow.
    pub(crate) ends_clean: bool,
}

/// Reads file number `file` of a partition, of `len` bytes, and hands every record to `visit`. What stands before `from`
/// is known: if that is not the beginning, neither is the header looked at.
pub(crate) fn scan<F: DiskFile>(
    partition: Partition,
    number: u32,
    file: &F,
    len: u64,
    from: u64,
    mut visit: impl FnMut(Seen),
) -> Found {
    let mut found = Found { ends_clean: true, ..Found::default() };
    if len == 0 {
        return found;
    }
    let mut window = Window::new(file, len);
    let mut at = from.max(HEADER_BYTES as u64);
    if from <= HEADER_BYTES as u64 {
        let header = Header::decode(window.get(0, HEADER_BYTES));
        let header = header.filter(|h| h.partition == partition && h.file == number);
        found.previous_len = header.map(|header| header.previous_len);
        if header.is_none() {
            found.gaps.push((0, at.min(len)));
            found.ends_clean = len >= at;
        }
    }
    while at < len {
        let place = Place { partition, file: number, offset: at as u32 };
        if let Some(seen) = examine(&mut window, place) {
            at += seen.len as u64;
            found.ends_clean = at <= len;
            visit(seen);
            continue;
        }
        let next = resynchronise(&mut window, place, len);
        found.gaps.push((at, next.unwrap_or(len)));
        found.ends_clean = next.is_some();
        at = next.unwrap_or(len);
    }
    found
}

/// The next place at which a whole, sound record begins.
fn resynchronise<F: DiskFile>(window: &mut Window<'_, F>, from: Place, len: u64) -> Option<u64> {
    (u64::from(from.offset) + 1..len).find(|at| {
        let place = Place { offset: *at as u32, ..from };
        examine(window, place).is_some_and(|seen| seen.value.is_some())
    })
}

/// The record at `place`; `None` if head and key cannot be believed.
pub(crate) fn examine<F: DiskFile>(window: &mut Window<'_, F>, place: Place) -> Option<Seen> {
    let offset = u64::from(place.offset);
    let head = Head::read(window.get(offset, HEAD_BYTES))?;
    let bytes = window.share(offset, head.record_len());
    let prefix = bytes.get(..head.prefix_len())?;
    if !head.is_true(place, prefix) {
        return None;
    }
    let value = &bytes[head.prefix_len()..];
    let sound = head.is_value(value);
    let pointer = if head.is_pointer() { Pointer::read(value) } else { None };
    Some(Seen {
        place,
        key: bytes.slice(HEAD_BYTES..head.prefix_len()),
        tag: head.tag,
        len: head.record_len(),
        value_len: value.len(),
        is_removed: head.is_removed(),
        is_pointer: head.is_pointer(),
        value: sound.then(|| pointer.map_or(Value::Inline, Value::Pointer)),
    })
}

#[cfg(test)]
mod tests;
