//! Reads a segment that may be damaged anywhere.

use std::io;

use ombak_base::DiskFile;

use super::Lsn;
use super::ahead::Ahead;
use super::format::{self, BLOCK, BatchHeader};
use crate::aligned::AlignedBuffer;

/// How much is read at once.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// One segment's blocks, through a window that moves forward.
pub struct SegmentReader<'a, F: ?Sized> {
    file: &'a F,
    /// Where the segment ends, a multiple of the block size.
    end: u64,
    window: AlignedBuffer,
    window_start: u64,
    /// Bytes that are read at once.
    at_once: u64,
    /// What another thread reads of the segment.
    ahead: Option<Ahead>,
    /// The last block that could not be read. It is seen as zeros.
    failed: Option<(u64, io::Error)>,
}

impl<'a, F: DiskFile + ?Sized> SegmentReader<'a, F> {
    pub fn new(file: &'a F, end: u64) -> SegmentReader<'a, F> {
        SegmentReader {
            file,
            end,
            window: AlignedBuffer::with_capacity(0),
            window_start: 0,
            at_once: WINDOW_BYTES,
            ahead: None,
            failed: None,
        }
    }

    /// For who wants a single batch: reads no further ahead than that.
    pub fn narrow(file: &'a F, end: u64) -> SegmentReader<'a, F> {
        SegmentReader { at_once: BLOCK, ..SegmentReader::new(file, end) }
    }

    /// Takes from another thread what that has read.
    pub fn behind(self, ahead: Ahead) -> SegmentReader<'a, F> {
        SegmentReader { ahead: Some(ahead), ..self }
    }

    /// The error of a read at or behind `offset`, if there was one. It says where.
    pub fn failed_from(&mut self, offset: u64) -> Option<io::Error> {
        let (at, error) = self.failed.take_if(|(at, _)| *at >= offset)?;
        Some(io::Error::new(error.kind(), format!("offset {at}: {error}")))
    }

    /// The first block, of which there may be nothing.
    pub fn header_block(&mut self) -> &[u8] {
        self.load(0, BLOCK)
    }

    /// A batch as it stands there.
    pub fn batch_bytes(&mut self, offset: u64, header: &BatchHeader) -> &[u8] {
        self.load(offset, header.bytes.into())
    }

    /// So many bytes from `offset` on, both multiples of the block size.
    pub fn into_bytes(mut self, offset: u64, len: u64) -> AlignedBuffer {
        self.fill(offset, len);
        self.window.resize(len as usize);
        self.window
    }

    /// The batch header at `offset`, if one is there.
    pub fn find_at(&mut self, offset: u64) -> Option<BatchHeader> {
        let end = self.end;
        (offset < end).then(|| BatchHeader::decode(self.load(offset, BLOCK), offset, end))?
    }

    /// The first batch header at or behind `offset`, and its place, that is `wanted`.
    pub fn find(
        &mut self,
        offset: u64,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Option<(u64, BatchHeader)> {
        let end = self.end;
        (offset..end).step_by(BLOCK as usize).find_map(|at| {
            let header = BatchHeader::decode(self.load(at, BLOCK), at, end)?;
            wanted(&header).then_some((at, header))
        })
    }

    /// Whether a batch was to stand at `offset`, and is not whole.
    pub fn is_trace(&mut self, offset: u64, sequence: u64, lsn: Lsn) -> bool {
        offset < self.end && BatchHeader::is_trace(self.load(offset, BLOCK), sequence, lsn)
    }

    fn load(&mut self, offset: u64, len: u64) -> &[u8] {
        let loaded = self.window_start..=self.window_start + self.window.len() as u64;
        if !(loaded.contains(&offset) && loaded.contains(&(offset + len))) {
            self.fill(offset, format::padded(len));
        }
        let from = (offset - self.window_start) as usize;
        &self.window.as_slice()[from..from + len as usize]
    }

    /// The window moves to `offset`. What it had from there on is not read again.
    fn fill(&mut self, offset: u64, len: u64) {
        let kept = self.move_to(offset);
        self.window.resize_for_overwrite(kept);
        while self.window_end() < offset + len {
            let next = self.window_end();
            match self.ahead.as_mut().and_then(|ahead| ahead.next(next)) {
                Some(piece) => self.window.extend(piece.as_slice()),
                None => self.read_on(offset + len),
            }
        }
    }

    fn window_end(&self) -> u64 {
        self.window_start + self.window.len() as u64
    }

    /// Reads what stands behind the window, at least up to `needed`.
    fn read_on(&mut self, needed: u64) {
        let (from, kept) = (self.window_end(), self.window.len());
        let to = self.end.min(from + self.at_once).max(needed);
        self.window.resize_for_overwrite((to - self.window_start) as usize);
        let read = &mut self.window.as_mut_slice()[kept..];
        if let Ok(bytes) = self.file.read_at(read, from) {
            return read[bytes..].fill(0);
        }
        read.fill(0);
        let blocks = read.chunks_mut(BLOCK as usize);
        for (block, at) in blocks.zip((from..).step_by(BLOCK as usize)) {
            if let Err(error) = self.file.read_at(block, at) {
                block.fill(0);
                self.failed = Some((at, error));
            }
        }
    }

    /// How much of the window is there already when it begins at `offset`, a multiple of the block size.
    fn move_to(&mut self, offset: u64) -> usize {
        let gone = offset.checked_sub(self.window_start).map(|gone| gone as usize);
        let kept = gone.and_then(|gone| Some((gone, self.window.len().checked_sub(gone)?)));
        let (gone, kept) = kept.unwrap_or((0, 0));
        self.window.as_mut_slice().copy_within(gone..gone + kept, 0);
        self.window_start = offset;
        kept
    }
}
