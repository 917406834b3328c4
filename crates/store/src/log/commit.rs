//! What passes between a device and the writer, and what the commit log holds.
//!
//! A commit-log record is physical redo: "these bytes stand at this offset of this file of this vnode". Its stream is
//! the partition. Replaying it twice, or over bytes that are there already, changes nothing. Stamps are not in it:
//! they count within one life of a process, and the log's own order is the order of every shard's stamps.
//!
//! ```text
//!  0  u8   kind: 1 bytes, 2 end
//!  1  u32  file
//!  5  u32  offset
//!  9       the bytes (kind 1)
//! ```
//!
//! Kind 2 says "up to here, and nothing beyond, had been written when this was": it stands behind a checkpoint, so that
//! a vnode that was quiet since can prove that a damaged part of the log held nothing of its own.

use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{Partition, Stamp};

use super::compact::Moving;
use super::strand::Kind;
use super::tail::Position;

/// Bytes in front of a commit-log record's own.
pub(crate) const REDO_HEAD_BYTES: usize = 9;

const REDO_BYTES: u8 = 1;
const REDO_END: u8 = 2;

/// One record on its way to the log and the file.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) partition: Partition,
    pub(crate) file: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: Bytes,
    /// A value that goes to a file of its own first.
    pub(crate) large: Option<Box<LargeValue>>,
}

/// A value that is too large for the log.
#[derive(Debug)]
pub(crate) struct LargeValue {
    pub(crate) at: Position,
    pub(crate) bytes: Bytes,
}

/// Files of a vnode that are not needed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GivenUp {
    /// Those with records, before this one.
    Before(u32),
    /// The one with large values.
    Large(u32),
}

/// Everything that one shard stored in one loop turn. Opaque: it goes to the [`LogWriter`](super::LogWriter).
#[derive(Debug)]
pub struct LogCommit {
    pub(crate) appends: Vec<Append>,
    /// Files that are not needed once all of the above is durable.
    pub(crate) drops: Vec<(Partition, GivenUp)>,
    pub(crate) last: Stamp,
}

impl LogCommit {
    /// The stamp of the last store in it.
    pub fn last(&self) -> Stamp {
        self.last
    }
}

/// What a [`LogDevice`](super::LogDevice) hears from the writer.
#[derive(Debug)]
pub struct LogNotice<F>(pub(crate) Notice<F>);

#[derive(Debug)]
pub(crate) enum Notice<F> {
    /// Everything stamped up to here is durable.
    Durable(Stamp),
    /// Everything before `upto` can be read from files; `handle` is the one that `upto` lies in.
    Flushed { partition: Partition, kind: Kind, upto: Position, handle: Arc<F> },
    /// A job has read something that is to be moved.
    Read(Partition, Moving),
}

/// What a commit-log record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Redo {
    Bytes { file: u32, offset: u32, bytes: Bytes },
    End { file: u32, offset: u32 },
}

/// The head of a [`Redo::Bytes`], to stand in front of the bytes.
pub(crate) fn bytes_head(file: u32, offset: u32) -> [u8; REDO_HEAD_BYTES] {
    head(REDO_BYTES, file, offset)
}

/// The whole of a [`Redo::End`].
pub(crate) fn end_record(file: u32, offset: u32) -> [u8; REDO_HEAD_BYTES] {
    head(REDO_END, file, offset)
}

fn head(kind: u8, file: u32, offset: u32) -> [u8; REDO_HEAD_BYTES] {
    let mut out = [kind; REDO_HEAD_BYTES];
    out[1..5].copy_from_slice(&file.to_le_bytes());
    out[5..9].copy_from_slice(&offset.to_le_bytes());
    out
}

impl Redo {
    /// `None`: no version writes this.
    pub(crate) fn decode(record: &Bytes) -> Option<Redo> {
        let word = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
        let (file, offset) = (word(1)?, word(5)?);
        match *record.first()? {
            REDO_BYTES => {
                Some(Redo::Bytes { file, offset, bytes: record.slice(REDO_HEAD_BYTES..) })
            }
            REDO_END if record.len() == REDO_HEAD_BYTES => Some(Redo::End { file, offset }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
