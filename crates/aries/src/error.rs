//! Why the engine refused.

use std::io;

use crate::log::archive::ArchiveError;
use crate::log::{LogError, Lsn, Place};
use crate::page::{PageFault, PageId};
use crate::txn::TxnId;
use crate::txn::record::NoRecord;

/// Why something could not be done. What it left behind is said at each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The commit log failed. After a failed sync nothing can be made durable any more: open the engine anew.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log could not be archived, or not be restored.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A backup can't be brought to a time before it was complete. Nothing was changed: take an earlier backup.
    #[error("the backup reaches back to record {}, not to {}", .earliest.0, .until.0)]
    TooEarly {
        /// What was asked for.
        until: Lsn,
        /// The earliest that can be had.
        earliest: Lsn,
    },
    /// The disk failed, elsewhere than in the log.
    #[error("{place}: {source}")]
    Io {
        /// The file.
        place: String,
        /// What the disk said.
        source: io::Error,
    },
    /// A page can't be read. Nothing was changed; other pages can be. Restore it from a backup and the log's archive.
    #[error("{file} is damaged at offset {offset} ({page}): {fault}; {}", .fault.lost())]
    Damaged {
        /// The page file.
        file: String,
        /// Bytes from its start.
        offset: u64,
        /// The page.
        page: PageId,
        /// What is wrong with it.
        fault: PageFault,
    },
    /// The log lost records that it had promised to keep, and that are needed. Nothing was changed.
    #[error("{file} is damaged at offset {offset}: records {first} up to {} are lost", .next.saturating_sub(1))]
    LogDamaged {
        /// The segment.
        file: String,
        /// Bytes from its start.
        offset: u64,
        /// The first lost record.
        first: u64,
        /// The first one that is not.
        next: u64,
    },
    /// A file is of another kind, database or version. Nothing was changed, and nothing is lost.
    #[error("{file} at offset {offset}: {why}; nothing was changed")]
    Foreign {
        /// Which file; a directory, if it is one that there should be.
        file: String,
        /// Bytes from its start, where that was found.
        offset: u64,
        /// What it is instead.
        why: String,
    },
    /// There is something already where a backup or a database was to be put. Nothing was changed: take another directory.
    #[error("{dir}: {why}; nothing was changed")]
    Occupied {
        /// The directory.
        dir: String,
        /// What is there.
        why: &'static str,
    },
    /// A record whose checksum holds and that can't be understood, or does not fit the page.
    #[error("{file} at offset {offset}: record {} can't be used: {why}; what it did is lost", .lsn.0)]
    Malformed {
        /// The segment.
        file: String,
        /// Where the record begins, in bytes from the segment's start.
        offset: u64,
        /// Which.
        lsn: Lsn,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A record of a kind that this software does not know. Nothing was changed, and nothing is lost: newer software reads it.
    #[error("record {} was written by newer software: kind {kind} at {file}:{offset}; nothing was changed", .lsn.0)]
    Newer {
        /// The segment.
        file: String,
        /// Where the record begins, in bytes from the segment's start.
        offset: u64,
        /// Which.
        lsn: Lsn,
        /// Its kind.
        kind: u8,
    },
    /// Bytes of a resource manager that contradict themselves, on a page whose checksum holds. Other pages can be read.
    #[error(
        "{file} at offset {offset}: {page} contradicts itself: {why}; what is on it can't be relied on"
    )]
    Corrupt {
        /// The page file.
        file: String,
        /// Where the page begins, in bytes from the file's start.
        offset: u64,
        /// Where.
        page: PageId,
        /// How.
        why: &'static str,
    },
    /// Every frame of the pool is latched, or can't be written: the pool is too small for so many threads.
    #[error("all {frames} frames of the buffer pool are in use: give it more")]
    PoolExhausted {
        /// How many there are.
        frames: usize,
    },
    /// The log is filled by what running transactions may have to take back. Nothing was changed: end the oldest one.
    #[error("the log is full of what may have to be undone; the oldest transaction is {oldest:?}")]
    LogFull {
        /// Whose records reach back farthest, if it is a transaction's.
        oldest: Option<TxnId>,
    },
    /// The page file has reached its bound, or the disk is full. Nothing was changed.
    #[error("no room for another page: {why}")]
    PagesFull {
        /// What was reached.
        why: String,
    },
    /// The key is locked by another transaction, and waiting was not wanted, or is in vain: that one could not be ended, or its
    /// [`Prepared`](crate::Prepared) was dropped, and it keeps its locks until a restart. Nothing was changed.
    #[error("locked by {holder:?}")]
    Locked {
        /// Who holds it.
        holder: TxnId,
    },
    /// To wait would close a circle of transactions that wait for each other. Nothing was changed; roll back.
    #[error("deadlock: {holder:?} waits for this transaction")]
    Deadlock {
        /// Who holds what was wanted.
        holder: TxnId,
    },
    /// Another transaction changed the key after this one's snapshot. Nothing was changed; roll back and try again.
    #[error("changed by a transaction that committed after this one began")]
    Conflict,
    /// A key, value, or item that is too large, ever. Nothing was changed.
    #[error("{what} of {bytes} bytes: at most {bytes_max} fit")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The tree was dropped. Nothing was changed.
    #[error("the tree that began at {root} was dropped")]
    Dropped {
        /// Its first page.
        root: PageId,
    },
    /// The name is taken by a structure of another kind, or is none.
    #[error("{name:?}: {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Something went wrong after a change was logged, so that memory is no longer what the log says. Open the
    /// engine anew: a restart makes it so.
    #[error("stopped after a failure ({why}): open it anew")]
    Stopped {
        /// The failure.
        why: String,
    },
}

/// Whether it says that the disk is full, or what may be had of it.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Error {
    pub(crate) fn io(place: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let place = place.into();
        move |source| Error::Io { place, source }
    }

    /// A record can't be used.
    pub(crate) fn malformed(place: Place, lsn: Lsn, why: &'static str) -> Error {
        Error::Malformed { file: place.file, offset: place.offset, lsn, why }
    }

    /// Bytes that should be a record are none of this version.
    pub(crate) fn unread(place: Place, lsn: Lsn, found: NoRecord) -> Error {
        match found {
            NoRecord::Newer { kind } => {
                Error::Newer { file: place.file, offset: place.offset, lsn, kind }
            }
            NoRecord::Malformed => {
                Error::malformed(place, lsn, "it is not what a record of its kind is")
            }
        }
    }
}
