//! Batches that stand one after the other in a segment, read at once. Their records share the memory that they were read into.

use std::ops::Range;

use bytes::Bytes;
use ombak_base::DiskFile;

use super::format::{self, BLOCK, BatchHeader, RecordAt};
use super::reader::SegmentReader;
use super::segments::Segment;
use super::{Lsn, StreamId};

/// A record, in memory that it shares with others.
pub type Owned = (Lsn, StreamId, Bytes);

/// Batches as they stand there, not looked at yet.
pub struct Batches {
    /// What stands from the first one on.
    bytes: Bytes,
    /// Where each begins in the segment.
    places: Vec<u64>,
    sequence: u64,
    segment_end: u64,
}

/// A record, and its batch's place in the segment.
pub struct Found {
    pub at: u64,
    pub record: RecordAt,
    pub payload: Bytes,
}

impl Batches {
    /// Those of a segment with these numbers, counted from its first. A block that can't be read is seen as zeros.
    pub fn read<F: DiskFile>(segment: &Segment<F>, numbers: Range<usize>) -> Batches {
        let places = segment.batches[numbers.clone()].iter().map(|(_, at)| *at).collect();
        let after = segment.batches.get(numbers.end).map(|(_, at)| *at);
        let mut batches = Batches {
            bytes: Bytes::new(),
            places,
            sequence: segment.header.sequence,
            segment_end: segment.header.bytes,
        };
        if let (Some(first), Some(last)) = (batches.places.first(), batches.places.last()) {
            let mut reader = SegmentReader::narrow(&segment.file, segment.header.bytes);
            let after = after.unwrap_or_else(|| {
                last + reader.find_at(*last).map_or(BLOCK, |header| header.padded())
            });
            batches.bytes = Bytes::from_owner(reader.into_bytes(*first, after - first));
        }
        batches
    }

    /// The sound records of those batches that still stand there.
    pub fn into_records(self) -> impl Iterator<Item = Found> {
        (0..self.places.len()).flat_map(move |number| self.records_of(number))
    }

    fn records_of(&self, number: usize) -> Vec<Found> {
        let at = self.places[number];
        let bytes = self.bytes.slice((at - self.places[0]) as usize..);
        let header = BatchHeader::decode(&bytes, at, self.segment_end);
        let Some(header) = header.filter(|header| header.sequence == self.sequence) else {
            return Vec::new();
        };
        let sound = format::records(&bytes, &header).filter(|record| record.sound);
        let found = sound.map(|record| {
            let payload = bytes.slice(record.payload.clone());
            Found { at, record, payload }
        });
        found.collect()
    }
}

impl Found {
    pub fn owned(self) -> Owned {
        (self.record.lsn, self.record.stream, self.payload)
    }
}
