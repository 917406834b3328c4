//! The batch that waits for the next sync, in the very buffer that will be written.

use super::format::{self, BATCH_HEADER_BYTES, BatchHeader, RECORD_HEADER_BYTES};
use super::{BATCH_BYTES_MAX, Lsn, StreamId};
use crate::aligned::AlignedBuffer;

/// So much memory the buffer keeps between batches: what one takes, unless it has a larger record.
const BUFFER_BYTES: usize = BATCH_BYTES_MAX as usize;
/// So much it has at first. It grows.
const BUFFER_BYTES_FIRST: usize = 64 * 1024;

pub struct Batch {
    /// Header (filled in last), records.
    buffer: AlignedBuffer,
    lsn: Lsn,
    /// Where each record begins in the buffer.
    starts: Vec<u32>,
    /// So large it may grow, whatever the bound of others, for what was reserved.
    reserved: u64,
    incarnation: u64,
}

impl Batch {
    /// An empty batch whose first record will be `lsn`.
    pub fn new(lsn: Lsn, incarnation: u64) -> Batch {
        let mut buffer = AlignedBuffer::with_capacity(BUFFER_BYTES_FIRST);
        buffer.resize(BATCH_HEADER_BYTES);
        Batch { buffer, lsn, starts: Vec::new(), reserved: 0, incarnation }
    }

    /// The LSN of the first record, be it there yet or not.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// The LSN of the next record to be pushed.
    pub fn next_lsn(&self) -> Lsn {
        Lsn(self.lsn.0 + self.starts.len() as u64)
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes on disk as it is now.
    pub fn padded(&self) -> u64 {
        format::padded(self.buffer.len() as u64)
    }

    /// Bytes on disk with one more record of `payload` bytes.
    pub fn padded_with(&self, payload: u64) -> u64 {
        format::padded(self.buffer.len() as u64 + RECORD_HEADER_BYTES as u64 + payload)
    }

    /// Whether `payload` bytes more belong into this batch: it stays within `batch_max` bytes, has nothing else, or has room
    /// reserved.
    pub fn takes(&self, payload: u64, batch_max: u64) -> bool {
        self.is_empty() || self.padded_with(payload) <= batch_max.max(self.reserved)
    }

    /// From now on `payload` bytes more belong into this batch.
    pub fn reserve(&mut self, payload: u64) {
        self.reserved = self.reserved.max(self.padded_with(payload));
    }

    /// The largest payload that fits alone into a batch of `bytes` on disk.
    pub fn payload_max(bytes: u64) -> u64 {
        bytes - (BATCH_HEADER_BYTES + RECORD_HEADER_BYTES) as u64
    }

    /// The one copy that a record's bytes make on their way to the disk.
    pub fn push(&mut self, stream: StreamId, parts: &[&[u8]]) -> Lsn {
        let lsn = self.next_lsn();
        let header = format::record_header(self.incarnation, lsn, stream, parts);
        self.starts.push(self.buffer.len() as u32);
        self.buffer.extend(&header);
        parts.iter().for_each(|part| self.buffer.extend(part));
        lsn
    }

    /// The bytes to be written at `offset` of segment `sequence`: whole blocks.
    pub fn seal(&mut self, sequence: u64, offset: u64) -> &[u8] {
        let header = BatchHeader {
            sequence,
            lsn: self.lsn,
            incarnation: self.incarnation,
            records: self.starts.len() as u32,
            bytes: self.buffer.len() as u32,
        };
        self.buffer.as_mut_slice()[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode(offset));
        self.buffer.resize(header.padded() as usize);
        self.buffer.as_slice()
    }

    /// The record of this LSN, if it is in here. Takes as long as that record is, however many there are.
    pub fn record(&self, lsn: Lsn) -> Option<(StreamId, &[u8])> {
        let index = lsn.0.checked_sub(self.lsn.0)?;
        let start = *self.starts.get(index as usize)? as usize;
        let record = format::record_at(self.buffer.as_slice(), start, lsn, self.incarnation)?;
        Some((record.stream, &self.buffer.as_slice()[record.payload]))
    }

    /// Another, empty one.
    pub fn like(&self) -> Batch {
        Batch::new(self.next_lsn(), self.incarnation)
    }

    /// Makes it an empty batch whose first record will be `lsn`.
    pub fn restart(&mut self, lsn: Lsn) {
        self.clear();
        self.lsn = lsn;
    }

    /// Begins the next batch.
    pub fn clear(&mut self) {
        self.lsn = self.next_lsn();
        self.starts.clear();
        self.reserved = 0;
        self.buffer.reset(BUFFER_BYTES);
        self.buffer.resize(BATCH_HEADER_BYTES);
    }
}
