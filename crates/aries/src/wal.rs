//! What the layers above ask of the log, whatever disk is below it.

use bytes::Bytes;
use ombak_base::Disk;

use crate::log::archive::{Archive, ArchiveError};
use crate::log::shared::{SharedLog, Tail};
use crate::log::{LogError, Lsn, Piece, Place, StreamId};

/// The stream in which the engine's records stand.
pub const STREAM: StreamId = StreamId(1);

/// A log that threads share, without its type of disk.
pub trait Wal: Send + Sync {
    /// Calls `f` with the end of the log. What it appends is consecutive, and what it does besides happens before
    /// anybody else appends.
    fn hold(
        &self,
        f: &mut dyn FnMut(&mut dyn WalEnd) -> Result<(), LogError>,
    ) -> Result<(), LogError>;
    /// Blocks until everything up to `lsn` is durable.
    fn force(&self, lsn: Lsn) -> Result<(), LogError>;
    /// Everything up to here is durable.
    fn durable(&self) -> Lsn;
    /// The record at `lsn`, if it is the engine's.
    fn read(&self, lsn: Lsn) -> Result<Bytes, LogError>;
    /// Where a record stands, for people.
    fn place_of(&self, lsn: Lsn) -> Place;
    /// See [`SharedLog::pieces`].
    fn pieces(&self, from: Lsn) -> Box<dyn Iterator<Item = Piece> + '_>;
    /// Nothing below `lsn` is needed any more.
    fn set_mark(&self, lsn: Lsn);
    /// One piece of what would otherwise delay a sync; `false`: nothing is left.
    fn tidy(&self) -> Result<bool, LogError>;
    /// Bytes that can't be used again yet.
    fn used_bytes(&self) -> u64;
    /// See [`SharedLog::used_bytes_lately`].
    fn used_bytes_lately(&self) -> u64;
    /// See [`SharedLog::written_bytes`].
    fn written_bytes(&self) -> u64;
    /// The bound of [`used_bytes`](Wal::used_bytes).
    fn capacity(&self) -> u64;
    /// The largest record.
    fn record_bytes_max(&self) -> u64;
    /// See [`SharedLog::archive`].
    fn archive(&self, archive: &Archive) -> Result<bool, ArchiveError>;
    /// See [`SharedLog::archive_durable`].
    fn archive_durable(&self, archive: &Archive) -> Result<Lsn, ArchiveError>;
    /// See [`SharedLog::copy_from`].
    fn copy_from(&self, from: Lsn, archive: &Archive) -> Result<Lsn, ArchiveError>;
}

/// The end of the log, held.
pub trait WalEnd {
    /// The LSN that the next record will get.
    fn next_lsn(&self) -> Lsn;
    /// Afterwards so many records of so many bytes in total can be appended.
    fn reserve(&mut self, records: usize, bytes: u64) -> Result<(), LogError>;
    /// Appends one.
    fn append(&mut self, parts: &[&[u8]]) -> Result<Lsn, LogError>;
}

impl<D: Disk> Wal for SharedLog<D> {
    fn hold(
        &self,
        f: &mut dyn FnMut(&mut dyn WalEnd) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        f(&mut SharedLog::hold(self))
    }

    fn force(&self, lsn: Lsn) -> Result<(), LogError> {
        SharedLog::force(self, lsn)
    }

    fn durable(&self) -> Lsn {
        SharedLog::durable(self)
    }

    fn read(&self, lsn: Lsn) -> Result<Bytes, LogError> {
        match SharedLog::read(self, lsn)? {
            (STREAM, bytes) => Ok(bytes),
            _ => Err(LogError::Gone { lsn }),
        }
    }

    fn place_of(&self, lsn: Lsn) -> Place {
        SharedLog::place_of(self, lsn)
    }

    fn pieces(&self, from: Lsn) -> Box<dyn Iterator<Item = Piece> + '_> {
        Box::new(SharedLog::pieces(self, from))
    }

    fn set_mark(&self, lsn: Lsn) {
        SharedLog::set_mark(self, STREAM, lsn);
    }

    fn tidy(&self) -> Result<bool, LogError> {
        SharedLog::tidy(self)
    }

    fn used_bytes(&self) -> u64 {
        SharedLog::used_bytes(self)
    }

    fn used_bytes_lately(&self) -> u64 {
        SharedLog::used_bytes_lately(self)
    }

    fn written_bytes(&self) -> u64 {
        SharedLog::written_bytes(self)
    }

    fn capacity(&self) -> u64 {
        SharedLog::capacity(self)
    }

    fn record_bytes_max(&self) -> u64 {
        SharedLog::record_bytes_max(self)
    }

    fn archive(&self, archive: &Archive) -> Result<bool, ArchiveError> {
        SharedLog::archive(self, archive)
    }

    fn archive_durable(&self, archive: &Archive) -> Result<Lsn, ArchiveError> {
        SharedLog::archive_durable(self, archive)
    }

    fn copy_from(&self, from: Lsn, archive: &Archive) -> Result<Lsn, ArchiveError> {
        SharedLog::copy_from(self, from, archive)
    }
}

impl<D: Disk> WalEnd for Tail<'_, D> {
    fn next_lsn(&self) -> Lsn {
        Tail::next_lsn(self)
    }

    fn reserve(&mut self, records: usize, bytes: u64) -> Result<(), LogError> {
        Tail::reserve(self, records, bytes)
    }

    fn append(&mut self, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        Tail::append(self, STREAM, parts)
    }
}
