//! Records by their LSN, and in order from one on.

use std::ops::RangeInclusive;

use bytes::Bytes;
use ombak_base::{Disk, DiskFile};

use super::batches::{Batches, Found, Owned};
use super::segments::{Segment, Segments};
use super::{LogError, Lsn, Place, StreamId};

/// How much is read before others may have the files.
const PIECE_BYTES: u64 = 1024 * 1024;

impl<D: Disk> Segments<D> {
    /// One record that was written.
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        let (segment, number) = self.place(lsn).ok_or(LogError::Gone { lsn })?;
        let found = record_of(segment, number, lsn);
        let found = found.map(|it| (it.record.stream, Bytes::copy_from_slice(&it.payload)));
        let offset = segment.batches[number].1;
        found.ok_or_else(|| LogError::Damaged { file: segment.path.clone(), offset, lsn })
    }

    /// The segment that has a record, if one does, and the number of its batch there.
    fn place(&self, lsn: Lsn) -> Option<(&Segment<D::File>, usize)> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= lsn);
        let segment = self.live.get(count.checked_sub(1)?)?;
        let count = segment.batches.partition_point(|(first, _)| *first <= lsn);
        Some((segment, count.checked_sub(1)?))
    }

    /// Where a record stands, for people; its batch's place if it can't be read any more.
    pub fn place_of(&self, lsn: Lsn) -> Place {
        let Some((segment, number)) = self.place(lsn) else {
            return Place { file: format!("({}, not in a file yet)", self.dir), offset: 0 };
        };
        let start = record_of(segment, number, lsn).map_or(0, |found| found.record.start as u64);
        Place { file: segment.path.clone(), offset: segment.batches[number].1 + start }
    }

    /// Calls `f` with each record that was written, from `from` on, until it fails. Damaged ones are left out.
    pub fn scan<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(Lsn, StreamId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.scan_places(from, |_, found| f(found.record.lsn, found.record.stream, &found.payload))
    }

    /// The same, with the segment, and the record as it was found there.
    pub fn scan_places<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(&Segment<D::File>, Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = Some(from);
        while let Some((segment, piece)) = next.and_then(|at| self.piece_from(at)) {
            let mut records = piece.batches.into_records().filter(|found| found.record.lsn >= from);
            records.try_for_each(|found| f(segment, found))?;
            next = piece.next;
        }
        Ok(())
    }

    /// Records from `from` up to and with `last`, as many as are read at once, of one segment. `None`: there are no batches that
    /// reach so far.
    pub fn piece(&self, from: Lsn, last: Lsn) -> Option<Piece> {
        let (_, piece) = self.piece_from(from)?;
        Some(Piece { wanted: from..=last, ..piece })
    }

    fn piece_from(&self, from: Lsn) -> Option<(&Segment<D::File>, Piece)> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= from);
        let segments = self.live.range(count.saturating_sub(1)..);
        segments.enumerate().find_map(|(i, segment)| {
            let first = segment.batches.partition_point(|(lsn, _)| *lsn <= from).saturating_sub(1);
            let after = self.live.get(count.saturating_sub(1) + i + 1);
            let after = after.map(|after| after.header.first_lsn);
            Some((segment, piece_of(segment, first, after)?))
        })
    }

    /// The records of the last batch that begins at or below `from`.
    pub fn piece_back(&self, from: Lsn) -> Option<PieceBack> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= from);
        self.live.range(..count).rev().find_map(|segment| {
            let count = segment.batches.partition_point(|(lsn, _)| *lsn <= from);
            let (first, _) = segment.batches[..count].last()?;
            let records = Batches::read(segment, count - 1..count).into_records();
            Some(PieceBack { records: records.map(Found::owned).collect(), first: *first })
        })
    }
}

fn record_of<F: DiskFile>(segment: &Segment<F>, number: usize, lsn: Lsn) -> Option<Found> {
    let mut records = Batches::read(segment, number..number + 1).into_records();
    records.find(|found| found.record.lsn == lsn)
}

/// Batches that were read together.
pub struct Piece {
    batches: Batches,
    /// Records that are not among them are left out.
    wanted: RangeInclusive<Lsn>,
    /// Where the next piece begins; `None`: there is none yet.
    pub next: Option<Lsn>,
}

impl Piece {
    /// The records, in order. Damaged ones are left out.
    pub fn into_records(self) -> Vec<Owned> {
        let records = self.batches.into_records().map(Found::owned);
        records.filter(|(lsn, ..)| self.wanted.contains(lsn)).collect()
    }
}

/// The records of a batch.
pub struct PieceBack {
    pub records: Vec<Owned>,
    /// Where the batch begins.
    pub first: Lsn,
}

/// Batches from the one of index `first` on, about as many as are to be read at once. `after` is the next segment's first
/// record.
fn piece_of<F: DiskFile>(segment: &Segment<F>, first: usize, after: Option<Lsn>) -> Option<Piece> {
    let (_, start) = *segment.batches.get(first)?;
    let batches = segment.batches[first..].iter();
    let past = first + batches.take_while(|(_, at)| *at < start + PIECE_BYTES).count();
    let next = segment.batches.get(past).map(|(lsn, _)| *lsn).or(after);
    let batches = Batches::read(segment, first..past);
    Some(Piece { batches, wanted: Lsn(0)..=Lsn(u64::MAX), next })
}
