//! A file, read from front to back in large pieces, by a recovery that must get past what it cannot read.

use bytes::Bytes;
use ombak_base::DiskFile;
use ombak_base::limits::BLOCK_BYTES;

use super::read::read_full;

const WINDOW_BYTES: usize = 1024 * 1024;

/// Sees a file as one long slice. A block that the disk cannot read is zeros, which are no record.
pub(crate) struct Window<'a, F> {
    file: &'a F,
    len: u64,
    /// So much is read at once.
    bytes: usize,
    /// What `buffer` begins with.
    at: u64,
    buffer: Bytes,
}

impl<'a, F: DiskFile> Window<'a, F> {
    pub(crate) fn new(file: &'a F, len: u64) -> Window<'a, F> {
        Window::sized(file, len, WINDOW_BYTES)
    }

    /// One that reads so many bytes at once.
    pub(crate) fn sized(file: &'a F, len: u64, bytes: usize) -> Window<'a, F> {
        Window { file, len, bytes, at: 0, buffer: Bytes::new() }
    }

    /// The bytes from `offset` on: `len`, or as many as there are.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> &[u8] {
        let len = (self.len.saturating_sub(offset)).min(len as u64) as usize;
        let end = self.at + self.buffer.len() as u64;
        if offset < self.at || offset + len as u64 > end {
            self.fill(offset, len.max(self.bytes));
        }
        let start = (offset - self.at) as usize;
        &self.buffer[start..start + len]
    }

    /// Whether what stands before `end` is there without another read.
    pub(crate) fn reaches(&self, end: u64) -> bool {
        end.min(self.len) <= self.at + self.buffer.len() as u64
    }

    /// As [`get`](Window::get), sharing the piece that was read.
    pub(crate) fn share(&mut self, offset: u64, len: usize) -> Bytes {
        let len = self.get(offset, len).len();
        let start = (offset - self.at) as usize;
        self.buffer.slice(start..start + len)
    }

    fn fill(&mut self, offset: u64, len: usize) {
        let len = (self.len - offset).min(len as u64) as usize;
        let mut buffer = vec![0; len];
        let file = self.file;
        let read = read_full(&mut buffer, offset, |part, at| file.read_at(part, at));
        if read.is_err() {
            self.fill_by_blocks(&mut buffer, offset);
        }
        self.at = offset;
        self.buffer = Bytes::from(buffer);
    }

    fn fill_by_blocks(&self, buffer: &mut [u8], mut at: u64) {
        let file = self.file;
        for block in buffer.chunks_mut(BLOCK_BYTES) {
            if read_full(block, at, |part, at| file.read_at(part, at)).is_err() {
                block.fill(0);
            }
            at += block.len() as u64;
        }
    }
}
