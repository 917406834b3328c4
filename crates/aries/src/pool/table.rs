//! Which frame holds a page: an array by page number, without locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::page::PageId;

/// Pages of a chunk: 512 MiB of page file, 256 KiB of table.
const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 1 << 12;

/// The page file holds at most so many pages: 2 TiB.
pub const PAGES_MAX: u32 = (CHUNK * CHUNKS) as u32;

/// Grows by chunks, which stay where they are. Four bytes for each page of the file.
pub struct PageTable {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl PageTable {
    pub fn new() -> PageTable {
        PageTable { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    /// The frame that holds the page, or did a moment ago.
    pub fn get(&self, page: PageId) -> Option<usize> {
        let chunk = self.chunks.get(page.0 as usize / CHUNK)?.get()?;
        let frame = chunk[page.0 as usize % CHUNK].load(Ordering::Acquire);
        (frame as usize).checked_sub(1)
    }

    /// Says where the page is from now on. Pages from [`PAGES_MAX`] on are nowhere.
    pub fn set(&self, page: PageId, frame: Option<usize>) {
        let Some(chunk) = self.chunks.get(page.0 as usize / CHUNK) else { return };
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
        let frame = frame.map_or(0, |frame| frame as u32 + 1);
        chunk[page.0 as usize % CHUNK].store(frame, Ordering::Release);
    }
}
