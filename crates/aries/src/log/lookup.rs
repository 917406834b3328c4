//! Records by their LSN, and in order from one on.

use bytes::Bytes;
use ombak_base::{Disk, DiskFile};

use super::format::{self, RecordAt};
use super::reader::SegmentReader;
use super::segments::{Segment, Segments};
use super::{LogError, Lsn, Place, StreamId};
use crate::aligned::AlignedBuffer;

/// How much is read before others may have the files.
const PIECE_BYTES: u64 = 1024 * 1024;

impl<D: Disk> Segments<D> {
    /// One record that was written.
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        let (segment, at) = self.place(lsn).ok_or(LogError::Gone { lsn })?;
        let mut reader = SegmentReader::narrow(&segment.file, segment.header.bytes);
        let found = records(&mut reader, segment, at).into_iter().find(|(other, ..)| *other == lsn);
        let found = found.map(|(_, stream, payload)| (stream, Bytes::copy_from_slice(&payload)));
        found.ok_or_else(|| LogError::Damaged { file: segment.path.clone(), offset: at, lsn })
    }

    /// The segment and the batch that have a record, if any do.
    fn place(&self, lsn: Lsn) -> Option<(&Segment<D::File>, u64)> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= lsn);
        let segment = self.live.get(count.checked_sub(1)?)?;
        let count = segment.batches.partition_point(|(first, _)| *first <= lsn);
        segment.batches.get(count.checked_sub(1)?).map(|(_, at)| (segment, *at))
    }

    /// Where a record stands, for people; its batch's place if it can't be read any more.
    pub fn place_of(&self, lsn: Lsn) -> Place {
        let Some((segment, at)) = self.place(lsn) else {
            return Place { file: format!("({}, not in a file yet)", self.dir), offset: 0 };
        };
        let mut reader = SegmentReader::narrow(&segment.file, segment.header.bytes);
        let records = batch(&mut reader, segment, at).map_or(Vec::new(), |(_, records)| records);
        let start = records.iter().find(|record| record.lsn == lsn).map_or(0, |it| it.start);
        Place { file: segment.path.clone(), offset: at + start as u64 }
    }

    /// Calls `f` with each record that was written, from `from` on, until it fails. Damaged ones are left out.
    pub fn scan<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(Lsn, StreamId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.scan_places(from, |_, _, record, payload| f(record.lsn, record.stream, payload))
    }

    /// The same, with the segment, where the record's batch stands in it, and where the record stands in that.
    pub fn scan_places<E>(
        &self,
        from: Lsn,
        mut f: impl FnMut(&Segment<D::File>, u64, &RecordAt, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let first =
            self.live.partition_point(|segment| segment.header.first_lsn <= from).saturating_sub(1);
        for segment in self.live.range(first.min(self.live.len())..) {
            let mut reader = SegmentReader::new(&segment.file, segment.header.bytes);
            let first = segment.batches.partition_point(|(lsn, _)| *lsn <= from).saturating_sub(1);
            for (_, at) in &segment.batches[first..] {
                let Some((bytes, places)) = batch(&mut reader, segment, *at) else { continue };
                for record in places.iter().filter(|record| record.lsn >= from) {
                    f(segment, *at, record, &bytes[record.payload.clone()])?;
                }
            }
        }
        Ok(())
    }

    /// Records from `from` on, as many as are read at once, of one segment. Damaged ones are left out. `None`: there are
    /// no batches that reach so far. `window` is memory to read through.
    pub fn piece(&self, from: Lsn, window: &mut AlignedBuffer) -> Option<Piece> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= from);
        let segments = self.live.range(count.saturating_sub(1)..);
        segments.enumerate().find_map(|(i, segment)| {
            let first = segment.batches.partition_point(|(lsn, _)| *lsn <= from).saturating_sub(1);
            let next = self.live.get(count.saturating_sub(1) + i + 1);
            piece_of(segment, first, next.map(|next| next.header.first_lsn), window)
        })
    }

    /// The records of the last batch that begins at or below `from`.
    pub fn piece_back(&self, from: Lsn) -> Option<PieceBack> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= from);
        self.live.range(..count).rev().find_map(|segment| {
            let count = segment.batches.partition_point(|(lsn, _)| *lsn <= from);
            let (first, at) = segment.batches[..count].last()?;
            let mut reader = SegmentReader::narrow(&segment.file, segment.header.bytes);
            Some(PieceBack { records: records(&mut reader, segment, *at), first: *first })
        })
    }
}

/// A record, in memory that it shares with others.
pub type Owned = (Lsn, StreamId, Bytes);

/// Records that were read together.
pub struct Piece {
    pub records: Vec<Owned>,
    /// Where the next piece begins; `None`: there is none yet.
    pub next: Option<Lsn>,
}

/// The records of a batch.
pub struct PieceBack {
    pub records: Vec<Owned>,
    /// Where the batch begins.
    pub first: Lsn,
}

/// Batches from the one of index `first` on, about as many as a reader reads at once. `after` is the next segment's first
/// record.
fn piece_of<F: DiskFile>(
    segment: &Segment<F>,
    first: usize,
    after: Option<Lsn>,
    window: &mut AlignedBuffer,
) -> Option<Piece> {
    let (_, start) = *segment.batches.get(first)?;
    let batches = segment.batches[first..].iter();
    let count = batches.take_while(|(_, at)| *at < start + PIECE_BYTES).count();
    let lent = std::mem::replace(window, AlignedBuffer::with_capacity(0));
    let past = segment.batches.get(first + count);
    let bytes = past.map_or(PIECE_BYTES, |(_, past)| past - start);
    let mut reader =
        SegmentReader::through(&segment.file, segment.header.bytes, lent).reading(bytes);
    let mut found = Vec::new();
    for (_, at) in &segment.batches[first..first + count] {
        found.append(&mut records(&mut reader, segment, *at));
    }
    *window = reader.into_window();
    Some(Piece { records: found, next: past.map(|(lsn, _)| *lsn).or(after) })
}

/// The sound records of a batch, all in one piece of memory.
fn records<F: DiskFile>(
    reader: &mut SegmentReader<'_, F>,
    segment: &Segment<F>,
    at: u64,
) -> Vec<Owned> {
    let Some((bytes, places)) = batch(reader, segment, at) else { return Vec::new() };
    let owned = |record: RecordAt| (record.lsn, record.stream, bytes.slice(record.payload));
    places.into_iter().map(owned).collect()
}

/// A batch, and where its sound records stand in it; `None`: there is none.
fn batch<F: DiskFile>(
    reader: &mut SegmentReader<'_, F>,
    segment: &Segment<F>,
    at: u64,
) -> Option<(Bytes, Vec<RecordAt>)> {
    let sequence = segment.header.sequence;
    let header = reader.find_at(at).filter(|header| header.sequence == sequence)?;
    let bytes = Bytes::copy_from_slice(reader.batch_bytes(at, &header));
    let places = format::records(&bytes, &header).filter(|record| record.sound).collect();
    Some((bytes, places))
}
