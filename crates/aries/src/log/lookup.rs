//! Records by their LSN, and in order from one on.

use bytes::Bytes;
use ombak_base::{Disk, DiskFile};

use super::format::{self, BatchHeader, RecordAt};
use super::reader::SegmentReader;
use super::segments::{Segment, Segments};
use super::{LogError, Lsn, StreamId};

impl<D: Disk> Segments<D> {
    /// One record that was written.
    pub fn read(&self, lsn: Lsn) -> Result<(StreamId, Bytes), LogError> {
        let (segment, at) = self.place(lsn).ok_or(LogError::Gone { lsn })?;
        let mut reader = SegmentReader::narrow(&segment.file, segment.header.bytes);
        let mut found = None;
        each(&mut reader, segment, at, |record, payload| {
            if record.lsn == lsn {
                found = Some((record.stream, Bytes::copy_from_slice(payload)));
            }
        });
        found.ok_or_else(|| LogError::Damaged { file: segment.path.clone(), offset: at, lsn })
    }

    /// The segment and the batch that have a record, if any do.
    fn place(&self, lsn: Lsn) -> Option<(&Segment<D::File>, u64)> {
        let count = self.live.partition_point(|segment| segment.header.first_lsn <= lsn);
        let segment = self.live.get(count.checked_sub(1)?)?;
        let count = segment.batches.partition_point(|(first, _)| *first <= lsn);
        segment.batches.get(count.checked_sub(1)?).map(|(_, at)| (segment, *at))
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
                let mut result = Ok(());
                each(&mut reader, segment, *at, |record, payload| {
                    if record.lsn >= from && result.is_ok() {
                        result = f(segment, *at, record, payload);
                    }
                });
                result?;
            }
        }
        Ok(())
    }
}

/// The sound records of a batch.
fn each<F: DiskFile>(
    reader: &mut SegmentReader<'_, F>,
    segment: &Segment<F>,
    at: u64,
    mut f: impl FnMut(&RecordAt, &[u8]),
) {
    let sequence = segment.header.sequence;
    let Some((found, header)) = reader.find(at, |header: &BatchHeader| header.sequence == sequence)
    else {
        return;
    };
    if found != at {
        return;
    }
    let bytes = reader.batch_bytes(at, &header);
    for record in format::records(bytes, &header).filter(|record| record.sound) {
        f(&record, &bytes[record.payload.clone()]);
    }
}
