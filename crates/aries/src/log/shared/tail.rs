//! The end of the log, where records are appended, and what still fits behind it.

use super::*;
use crate::log::format::RECORD_HEADER_BYTES;

/// What still fits into the log, so that appending need not look at the files.
#[derive(Clone, Copy, Default)]
pub struct Room {
    /// Bytes of the current segment.
    current: u64,
    /// Segments besides.
    segments: u64,
    /// What a new one holds.
    segment_bytes: u64,
}

impl Room {
    /// What fits into the files as they are.
    pub fn of<D: Disk>(files: &Segments<D>) -> Room {
        let taken = (files.live.len() + files.out) as u64;
        let segments = u64::from(files.files_max).saturating_sub(taken);
        Room { current: files.room(), segments, segment_bytes: files.bytes - BLOCK }
    }

    pub fn fits(self, padded: u64) -> bool {
        padded <= self.current || (self.segments > 0 && padded <= self.segment_bytes)
    }

    pub fn take(&mut self, padded: u64) {
        if padded > self.current {
            self.segments = self.segments.saturating_sub(1);
            self.current = self.segment_bytes;
        }
        self.current = self.current.saturating_sub(padded);
    }
}

/// The end of the log, held: nobody else appends.
pub struct Tail<'a, D: Disk> {
    pub(super) log: &'a Inner<D>,
    pub(super) end: MutexGuard<'a, End>,
}

impl<D: Disk> Tail<'_, D> {
    /// The LSN that the next record will get.
    pub fn next_lsn(&self) -> Lsn {
        self.end.batch.next_lsn()
    }

    /// Afterwards so many records of so many bytes in total can be appended, all in one batch. May write what waits, and
    /// lets others append before it returns.
    pub fn reserve(&mut self, records: usize, bytes: u64) -> Result<(), LogError> {
        let bytes = bytes + (records.saturating_sub(1) * RECORD_HEADER_BYTES) as u64;
        let bytes_max = self.log.record_bytes_max;
        if bytes > bytes_max {
            return Err(LogError::TooLarge { bytes, bytes_max });
        }
        let batch_max = BATCH_BYTES_MAX.min(self.end.room.segment_bytes);
        loop {
            if self.end.turns.is_poisoned() {
                return Err(LogError::Poisoned);
            }
            let padded = self.end.batch.padded_with(bytes);
            let whole = self.end.batch.takes(bytes, batch_max);
            if whole && self.has_room(padded) {
                self.end.batch.reserve(bytes);
                return Ok(());
            }
            if self.end.turns.is_leading() {
                self.log.written.wait(&mut self.end);
            } else if whole {
                return Err(LogError::Full);
            } else {
                self.log.lead(&mut self.end)?;
            }
        }
    }

    /// Looks at the files if it must: segments that are not needed any more may not have been counted yet. While somebody
    /// writes, they can't be: then `false` says nothing.
    fn has_room(&mut self, padded: u64) -> bool {
        if !self.end.room.fits(padded) && !self.end.turns.is_leading() {
            let low_water = self.end.low_water();
            let mut files = self.log.files.lock();
            files.reclaim(low_water);
            let room = self.log.room(&files, low_water);
            self.end.set_room(room);
        }
        self.end.room.fits(padded)
    }

    /// Appends a record: see [`SharedLog::append`].
    pub fn append(&mut self, stream: StreamId, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.reserve(1, bytes)?;
        let end = &mut *self.end;
        let lsn = end.batch.push(stream, parts);
        end.streams.note(stream, lsn);
        Ok(lsn)
    }
}
