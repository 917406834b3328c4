use std::io;

use super::Lsn;

/// Why the log refused, and what state that left.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Every segment is in use (or the disk is full and none can be made). Nothing was changed, what was
    /// appended before still waits: raise a mark, then try again.
    #[error("the commit log is full: raise a mark or allow more segments")]
    Full,
    /// The record is larger than a segment holds. Nothing was changed; it will never fit.
    #[error("a record of {bytes} bytes is larger than the {bytes_max} that fit into a segment")]
    TooLarge {
        /// Its payload.
        bytes: u64,
        /// The largest payload.
        bytes_max: u64,
    },
    /// A segment was written by a newer version of this software. Nothing on the disk was changed.
    #[error(
        "{file} at offset 8: it has log format version {version}, newer than this software knows; nothing was changed"
    )]
    Version {
        /// The segment.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The disk failed. From `open`: there is no log, and what is on the disk is as recoverable as before.
    /// From `append` or `sync`: the log is poisoned; which of the records that were not durable
    /// have reached the disk is decided by the next `open`. From `tidy`: the log is unharmed.
    #[error("the commit log's disk failed at {place}: {source}")]
    Io {
        /// The file or directory.
        place: String,
        /// What the disk said.
        source: io::Error,
    },
    /// The record is not in the log: its segment was used again, or it was never appended.
    #[error("record {} is not in the log", .lsn.0)]
    Gone {
        /// Which.
        lsn: Lsn,
    },
    /// The record was durable, and can't be read any more.
    #[error("{file} is damaged at offset {offset}: record {}, of the batch there, is lost", .lsn.0)]
    Damaged {
        /// The segment.
        file: String,
        /// Where its batch begins.
        offset: u64,
        /// Which.
        lsn: Lsn,
    },
    /// An earlier write or sync failed, so nothing can become durable any more. Open the log anew.
    #[error("the commit log is poisoned: an earlier write or sync failed")]
    Poisoned,
}

impl LogError {
    pub(super) fn io(place: impl Into<String>) -> impl FnOnce(io::Error) -> LogError {
        let place = place.into();
        move |source| LogError::Io { place, source }
    }
}
