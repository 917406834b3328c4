//! The commit log: its public face. The bytes are in `format`, the files in `segments`, what happens at
//! the start in `recover`.

mod ahead;
pub(crate) mod archive;
mod batch;
mod batches;
mod error;
mod format;
#[doc(hidden)]
pub mod fuzz;
mod lookup;
mod reader;
mod recover;
mod segments;
pub(crate) mod shared;
mod streams;
pub(crate) mod view;

use std::fmt;
use std::num::NonZeroU32;

use bytes::Bytes;
use ombak_base::Disk;

pub(crate) use batches::Owned;
pub use error::LogError;
pub(crate) use lookup::Piece;
pub(crate) use recover::{Replayed, file_number, sync_dirs};

use batch::Batch;
use format::BLOCK;
use recover::Found;
use segments::Segments;
use streams::Streams;

/// A batch is not gathered beyond so many bytes, except for one record that is larger alone.
const BATCH_BYTES_MAX: u64 = 4 * 1024 * 1024;
const SEGMENT_BYTES_MIN: u64 = 2 * BLOCK;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// One of the independent sequences of records that share the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StreamId(pub u32);

/// A record's position in the log: records are counted from 1, over all streams, through restarts and
/// recycled segments. The number of a record that was ever durable is never given to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream{}", self.0)
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lsn{}", self.0)
    }
}

/// How large the log is. May change from one opening to the next; what is there stays readable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes of a segment, rounded up to blocks, from 8 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// Segment files, spare ones included; at least 2. Together they bound the log.
    pub segments_max: u32,
}

impl Default for Options {
    /// 64 segments of 16 MiB.
    fn default() -> Options {
        Options { segment_bytes: 16 * 1024 * 1024, segments_max: 64 }
    }
}

impl Options {
    fn within_bounds(self) -> Options {
        let bytes = self.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        Options { segment_bytes: format::padded(bytes), segments_max: self.segments_max.max(2) }
    }
}

/// What was found when the log was opened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Recovery {
    /// Records replayed.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// The LSN that the next record will get: all replayed ones are below.
    pub end: Lsn,
    /// Where a batch ended before its end, if one did: the process or the machine stopped during the last
    /// write. Nothing that `sync` had answered for is missing.
    pub torn_tail: Option<Place>,
    /// What can no longer be read although it was durable, in order of the log; lost headers come first.
    pub damaged: Vec<Damage>,
}

/// A place on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The segment's path.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
}

/// A piece of the log that was durable and cannot be read. Records from `first_lsn` up to but without
/// `next_lsn` are lost; none if the two are equal (a segment's header that could be inferred).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The segment's path. In brackets: which file is missing.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// The first record that is lost.
    pub first_lsn: Lsn,
    /// The first record behind that is not.
    pub next_lsn: Lsn,
}

/// A write-ahead log in a directory of its own.
///
/// # Who calls what, when
///
/// [`open`](CommitLog::open) replays what is there. Then any number of [`append`](CommitLog::append) and one
/// [`sync`](CommitLog::sync), again and again; after `sync` answers, all that was appended before is durable.
/// Once a stream's records are safe elsewhere, [`set_mark`](CommitLog::set_mark) says so, and their segments
/// are used again. [`tidy`](CommitLog::tidy) whenever there is time. One thread owns the log; who waits for a
/// record to be durable waits for that thread to say so.
pub struct CommitLog<D: Disk> {
    segments: Segments<D>,
    batch: Batch,
    streams: Streams,
    poisoned: bool,
}

impl<D: Disk> CommitLog<D> {
    /// Opens the log in the directory `dir` of `disk` (`""`: the disk itself), or creates it, and hands every
    /// whole record to `replay`, in order: those below a mark that was set before as well, until their
    /// segment is used again. What was replayed is durable. A record's bytes share the memory of its batch:
    /// copy what is kept for long.
    ///
    /// Files of other names are left alone. Nothing else may have the log open.
    pub fn open(
        disk: D,
        dir: &str,
        options: Options,
        mut replay: impl FnMut(StreamId, Lsn, Bytes),
    ) -> Result<(Self, Recovery), LogError> {
        let replay = |record: Replayed<'_>| replay(record.stream, record.lsn, record.payload);
        ReadLog::read(disk, dir, options, NonZeroU32::MIN, replay)?.take_up()
    }

    /// Adds a record, whose payload is `parts` one after the other, to the batch that the next `sync` writes.
    /// It is copied once, into the buffer that is written.
    ///
    /// A batch that grew large is synced here already, so this may take as long as a `sync` and fail like one.
    pub fn append(&mut self, stream: StreamId, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        self.check_usable()?;
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        self.make_room(bytes)?;
        let lsn = self.batch.push(stream, parts);
        self.streams.note(stream, lsn);
        Ok(lsn)
    }

    /// Afterwards, until the next `sync`, so many records of so many payload bytes in total can be appended: none of them
    /// finds the log full, and none is written before all are, so that after a crash in between there is none of them or
    /// a first part of them, and no other record among them. May sync what waits. After [`LogError::Full`] and
    /// [`LogError::TooLarge`] (all together don't fit into a segment) nothing is reserved; what waited still waits.
    pub fn reserve(&mut self, records: usize, bytes: u64) -> Result<(), LogError> {
        self.check_usable()?;
        let headers = (records.saturating_sub(1) * format::RECORD_HEADER_BYTES) as u64;
        let bytes = bytes.saturating_add(headers);
        self.make_room(bytes)?;
        self.batch.reserve(bytes);
        Ok(())
    }

    /// One record by its LSN, be it durable or waiting for the next `sync`. One that is durable costs a read of its
    /// batch, and is not in the log any more once its segment was used again ([`LogError::Gone`]).
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        match self.batch.record(lsn) {
            Some((stream, payload)) => Ok((stream, Bytes::copy_from_slice(payload))),
            None if lsn >= self.batch.lsn() => Err(LogError::Gone { lsn }),
            None => self.segments.read(lsn),
        }
    }

    /// Calls `f` with each durable record of all streams from `from` on, in order, until it fails. The first may be a later
    /// one, where segments were used again; damaged ones are left out.
    pub fn scan<E>(
        &self,
        from: Lsn,
        f: impl FnMut(Lsn, StreamId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.segments.scan(from, f)
    }

    /// Makes everything appended so far durable, by one write and one sync, and answers the LSN up to which
    /// (inclusive) all is. After any error but [`LogError::Full`] the log is poisoned.
    pub fn sync(&mut self) -> Result<Lsn, LogError> {
        self.check_usable()?;
        if !self.batch.is_empty() {
            self.write_batch()?;
        }
        Ok(self.durable())
    }

    /// The stream needs no record below `lsn` any more. Segments wholly below what all streams need are used
    /// again. A stream that has set no mark needs all its records; a mark is forgotten when the log is closed.
    pub fn set_mark(&mut self, stream: StreamId, lsn: Lsn) {
        self.streams.set_mark(stream, lsn);
    }

    /// Does a bounded piece of what would otherwise delay a `sync`: zeroes a spare segment, removes one too
    /// many. `false`: nothing is left to do. After an error the log is as good as before.
    pub fn tidy(&mut self) -> Result<bool, LogError> {
        self.check_usable()?;
        self.segments.reclaim(self.streams.low_water());
        self.segments.tidy()
    }

    /// The LSN up to which (inclusive) everything is durable; 0 when there is nothing.
    pub fn durable(&self) -> Lsn {
        Lsn(self.batch.lsn().0 - 1)
    }

    /// The LSN that the next record will get.
    pub fn next_lsn(&self) -> Lsn {
        self.batch.next_lsn()
    }

    /// Bytes that the next `sync` will write; 0 when nothing was appended.
    pub fn pending_bytes(&self) -> u64 {
        if self.batch.is_empty() { 0 } else { self.batch.padded() }
    }

    /// Bytes of segments that hold what some stream still needs, the current one up to its end.
    pub fn used_bytes(&self) -> u64 {
        self.segments.used_bytes(self.streams.low_water())
    }

    /// The bound of `used_bytes`. A good time to raise marks is well before it is reached.
    pub fn capacity(&self) -> u64 {
        self.segments.bytes * u64::from(self.segments.files_max)
    }

    /// The stream that reaches back farthest, and from which LSN: raising its mark frees segments, raising
    /// another's does not.
    pub fn oldest_needed(&self) -> Option<(StreamId, Lsn)> {
        self.streams.oldest()
    }

    /// The largest payload of a record.
    pub fn record_bytes_max(&self) -> u64 {
        Batch::payload_max(self.segments.bytes - BLOCK)
    }

    fn check_usable(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    /// Afterwards the batch, with a record of `bytes` more, fits into the current segment or the next one,
    /// and there is a next one.
    fn make_room(&mut self, bytes: u64) -> Result<(), LogError> {
        let bytes_max = self.record_bytes_max();
        if bytes > bytes_max {
            return Err(LogError::TooLarge { bytes, bytes_max });
        }
        let batch_max = BATCH_BYTES_MAX.min(self.segments.bytes - BLOCK);
        if !self.batch.takes(bytes, batch_max) {
            self.write_batch()?;
        }
        if self.batch.padded_with(bytes) > self.segments.room() {
            self.segments.reclaim(self.streams.low_water());
            if !self.segments.can_roll() {
                return Err(LogError::Full);
            }
        }
        Ok(())
    }

    fn write_batch(&mut self) -> Result<(), LogError> {
        let written = self.try_write_batch();
        self.poisoned = !matches!(written, Ok(()) | Err(LogError::Full));
        written
    }

    fn try_write_batch(&mut self) -> Result<(), LogError> {
        self.segments.write(&mut self.batch, self.streams.low_water())?;
        self.batch.clear();
        Ok(())
    }
}

/// A log that has been read, and not been changed yet: for who has to see first whether it is the right one.
pub(crate) struct ReadLog<D: Disk> {
    segments: Segments<D>,
    found: Found,
}

impl<D: Disk> ReadLog<D> {
    /// See [`CommitLog::open`]. With more threads than one, another reads the files ahead.
    pub fn read(
        disk: D,
        dir: &str,
        options: Options,
        threads: NonZeroU32,
        replay: impl FnMut(Replayed<'_>),
    ) -> Result<ReadLog<D>, LogError> {
        let mut segments = Segments::new(disk, dir, options.within_bounds());
        let found = recover::recover(&mut segments, threads, replay)?;
        Ok(ReadLog { segments, found })
    }

    /// What was found.
    pub fn recovery(&self) -> &Recovery {
        &self.found.recovery
    }

    /// Where it ends; `None`: there is no log.
    pub fn end(&self) -> Option<Place> {
        let tail = self.found.tail.as_ref()?;
        let segment = self.segments.live.back()?;
        Some(Place { file: segment.path.clone(), offset: tail.end })
    }

    /// Makes durable what was replayed, and goes on behind it.
    pub fn take_up(mut self) -> Result<(CommitLog<D>, Recovery), LogError> {
        recover::take_up(&mut self.segments, &self.found)?;
        let ReadLog { segments, found: Found { streams, recovery, .. } } = self;
        let batch = Batch::new(recovery.end, segments.incarnation);
        Ok((CommitLog { segments, batch, streams, poisoned: false }, recovery))
    }
}

#[cfg(test)]
mod tests;
