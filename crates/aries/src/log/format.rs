//! Version 1 of the bytes on disk. Pure functions; integers are little-endian.
//!
//! ```text
//! segment  = header block, then batches, each at a multiple of 4096
//! header   = "OMBAKLOG" version:u32 crc:u32 sequence:u64 first_lsn:u64 oldest:u64 oldest_lsn:u64
//!            incarnation:u64 bytes:u64, zeros to 512          crc over these 512 bytes without itself
//! batch    = "OBAT" crc:u32 sequence:u64 lsn:u64 incarnation:u64 records:u32 bytes:u32, then the
//!            records, then zeros to the block's end           crc over the batch's offset and the header
//! record   = crc:u32 len:u32 stream:u32 payload               crc over incarnation, LSN and the rest
//! ```
//!
//! A checksum covers more than the bytes beside it: *where* they must stand (a batch: segment sequence and
//! offset) and *when* they were written (a record: incarnation and LSN). So whatever an earlier life of
//! the file or of the process left there does not pass for something written since.
//!
//! All of a segment header, and all of a batch header, lies in one 512-byte sector, which disks write
//! whole or not at all: a rewritten header is the old one or the new one.

use std::ops::Range;

use crc32fast::Hasher;
use ombak_base::limits::BLOCK_BYTES;
use ombak_base::planted;

use super::{Lsn, StreamId};

pub const BLOCK: u64 = BLOCK_BYTES as u64;
/// The version that this code writes.
pub const VERSION: u32 = 1;
pub const BATCH_HEADER_BYTES: usize = 40;
pub const RECORD_HEADER_BYTES: usize = 12;

const SEGMENT_MAGIC: [u8; 8] = *b"OMBAKLOG";
const BATCH_MAGIC: [u8; 4] = *b"OBAT";
pub const HEADER_BYTES: usize = 512;
/// Numbers at or above are invalid, so that adding to them cannot overflow.
const NUMBER_END: u64 = 1 << 62;

/// Rounds up to whole blocks.
pub fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK)
}

/// What the first block of a segment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Grows by one with every segment begun, recycled or new.
    pub sequence: u64,
    /// The LSN of the first record in it.
    pub first_lsn: Lsn,
    /// The sequence of the oldest segment that was needed when this was written; those below are spare.
    pub oldest: u64,
    /// The first LSN of that segment.
    pub oldest_lsn: Lsn,
    /// How many times the log had been opened.
    pub incarnation: u64,
    /// Where the segment ends.
    pub bytes: u64,
}

/// Why a block is no segment header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoHeader {
    /// All zeros: never written.
    Blank,
    /// Something else.
    Invalid,
    /// Sound, and of a version that this code does not know.
    Version(u32),
}

impl SegmentHeader {
    /// The header in its sector.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[..8].copy_from_slice(&SEGMENT_MAGIC);
        put_u32(&mut out, 8, VERSION);
        let Lsn(first_lsn) = self.first_lsn;
        let Lsn(oldest_lsn) = self.oldest_lsn;
        let numbers =
            [self.sequence, first_lsn, self.oldest, oldest_lsn, self.incarnation, self.bytes];
        for (i, number) in numbers.into_iter().enumerate() {
            put_u64(&mut out, 16 + 8 * i, number);
        }
        let crc = header_crc(&out);
        put_u32(&mut out, 12, crc);
        out
    }

    /// Magic, version and checksum stand where they do in every version, so that a newer one is told
    /// from a damaged one.
    pub fn decode(block: &[u8]) -> Result<SegmentHeader, NoHeader> {
        let sector = &block[..HEADER_BYTES];
        if sector.iter().all(|&byte| byte == 0) {
            return Err(NoHeader::Blank);
        }
        if sector[..8] != SEGMENT_MAGIC || u32_at(sector, 12) != header_crc(sector) {
            return Err(NoHeader::Invalid);
        }
        let number = |i: usize| u64_at(sector, 16 + 8 * i);
        match u32_at(sector, 8) {
            VERSION => {}
            newer => return Err(NoHeader::Version(newer)),
        }
        let header = SegmentHeader {
            sequence: number(0),
            first_lsn: Lsn(number(1)),
            oldest: number(2),
            oldest_lsn: Lsn(number(3)),
            incarnation: number(4),
            bytes: number(5),
        };
        if header.is_sane() { Ok(header) } else { Err(NoHeader::Invalid) }
    }

    fn is_sane(&self) -> bool {
        let numbers = [self.sequence, self.first_lsn.0, self.incarnation, self.bytes];
        numbers.iter().all(|number| (1..NUMBER_END).contains(number))
            && self.oldest <= self.sequence
            && self.oldest_lsn <= self.first_lsn
            && self.bytes.is_multiple_of(BLOCK)
    }
}

fn header_crc(sector: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&sector[..12]);
    hasher.update(&sector[16..]);
    hasher.finalize()
}

/// What stands in front of the records of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchHeader {
    /// The segment's sequence.
    pub sequence: u64,
    /// The LSN of the first record.
    pub lsn: Lsn,
    /// Of the process that wrote it.
    pub incarnation: u64,
    /// How many records follow.
    pub records: u32,
    /// Bytes of header and records, without the padding.
    pub bytes: u32,
}

impl BatchHeader {
    /// The header of a batch that stands at `offset` of its segment.
    pub fn encode(&self, offset: u64) -> [u8; BATCH_HEADER_BYTES] {
        let mut out = [0; BATCH_HEADER_BYTES];
        out[..4].copy_from_slice(&BATCH_MAGIC);
        put_u64(&mut out, 8, self.sequence);
        put_u64(&mut out, 16, self.lsn.0);
        put_u64(&mut out, 24, self.incarnation);
        put_u32(&mut out, 32, self.records);
        put_u32(&mut out, 36, self.bytes);
        let crc = batch_crc(&out, offset);
        put_u32(&mut out, 4, crc);
        out
    }

    /// The header at the start of `block`, if there is one that belongs at `offset` of a segment that
    /// ends at `end`.
    pub fn decode(block: &[u8], offset: u64, end: u64) -> Option<BatchHeader> {
        if block[..4] != BATCH_MAGIC || u32_at(block, 4) != batch_crc(block, offset) {
            return None;
        }
        let header = BatchHeader::fields(block);
        let least =
            BATCH_HEADER_BYTES as u64 + u64::from(header.records) * RECORD_HEADER_BYTES as u64;
        let numbers = [header.sequence, header.lsn.0, header.incarnation, header.records.into()];
        let sane = numbers.iter().all(|number| (1..NUMBER_END).contains(number))
            && u64::from(header.bytes) >= least
            && offset + header.padded() <= end;
        sane.then_some(header)
    }

    /// Whether `block` was meant to be the header of batch `lsn` in segment `sequence`, although it does
    /// not decode: two of the three marks are enough, so that no single damaged field hides it.
    pub fn is_trace(block: &[u8], sequence: u64, lsn: Lsn) -> bool {
        let header = BatchHeader::fields(block);
        let marks = [block[..4] == BATCH_MAGIC, header.sequence == sequence, header.lsn == lsn];
        marks.iter().filter(|mark| **mark).count() >= 2
    }

    fn fields(block: &[u8]) -> BatchHeader {
        BatchHeader {
            sequence: u64_at(block, 8),
            lsn: Lsn(u64_at(block, 16)),
            incarnation: u64_at(block, 24),
            records: u32_at(block, 32),
            bytes: u32_at(block, 36),
        }
    }

    /// Bytes on disk.
    pub fn padded(&self) -> u64 {
        padded(self.bytes.into())
    }

    /// The LSN after the last record's.
    pub fn next_lsn(&self) -> Lsn {
        Lsn(self.lsn.0 + u64::from(self.records))
    }
}

fn batch_crc(header: &[u8], offset: u64) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&header[8..BATCH_HEADER_BYTES]);
    hasher.finalize()
}

/// The twelve bytes in front of a record's payload.
pub fn record_header(
    incarnation: u64,
    lsn: Lsn,
    stream: StreamId,
    parts: &[&[u8]],
) -> [u8; RECORD_HEADER_BYTES] {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = [0; RECORD_HEADER_BYTES];
    put_u32(&mut out, 4, len as u32);
    put_u32(&mut out, 8, stream.0);
    let crc = record_crc(incarnation, lsn, &out, parts);
    put_u32(&mut out, 0, crc);
    out
}

fn record_crc(incarnation: u64, lsn: Lsn, header: &[u8], parts: &[&[u8]]) -> u32 {
    let mut seed = [0; 24];
    put_u64(&mut seed, 0, incarnation);
    put_u64(&mut seed, 8, lsn.0);
    seed[16..].copy_from_slice(&header[4..RECORD_HEADER_BYTES]);
    let mut hasher = Hasher::new();
    hasher.update(&seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// A place in a batch where a record stands, or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordAt {
    /// Its LSN, by its place in the batch.
    pub lsn: Lsn,
    /// Where it begins in the batch.
    pub start: usize,
    /// Which stream.
    pub stream: StreamId,
    /// Where its payload stands in the batch.
    pub payload: Range<usize>,
    /// Whether the checksum holds. If not, the rest of this is what the bytes claim.
    pub sound: bool,
}

/// The records of a batch, in order. Goes on behind a damaged one, as far as its length leads to where
/// the next could be; ends early where it does not.
pub fn records<'a>(
    batch: &'a [u8],
    header: &'a BatchHeader,
) -> impl Iterator<Item = RecordAt> + 'a {
    let batch = &batch[..batch.len().min(header.bytes as usize)];
    let mut start = BATCH_HEADER_BYTES;
    (0..u64::from(header.records)).map_while(move |i| {
        let record = record_at(batch, start, Lsn(header.lsn.0 + i), header.incarnation)?;
        start = record.payload.end;
        Some(record)
    })
}

/// The record that begins at `start` of a batch, if that holds a whole one.
pub fn record_at(batch: &[u8], start: usize, lsn: Lsn, incarnation: u64) -> Option<RecordAt> {
    let header = batch.get(start..start + RECORD_HEADER_BYTES)?;
    let payload = start + RECORD_HEADER_BYTES;
    let payload = payload..payload.checked_add(u32_at(header, 4) as usize)?;
    let bytes = batch.get(payload.clone())?;
    let sound = u32_at(header, 0) == record_crc(incarnation, lsn, header, &[bytes])
        || planted!("a torn record is accepted");
    Some(RecordAt { lsn, start, stream: StreamId(u32_at(header, 8)), payload, sound })
}

fn put_u32(out: &mut [u8], at: usize, value: u32) {
    out[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut [u8], at: usize, value: u64) {
    out[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests;
