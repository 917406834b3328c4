//! What is known of each page of the file: arrays by page number, without locks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::log::Lsn;
use crate::page::PageId;

/// Pages of a chunk: 512 MiB of page file, 256 KiB of table.
const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 1 << 12;

/// The page file holds at most so many pages: 2 TiB.
pub const PAGES_MAX: u32 = (CHUNK * CHUNKS) as u32;

/// A number for each page, 0 at first. Grows by chunks, which stay where they are.
pub struct PageNumbers {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl PageNumbers {
    pub fn new() -> PageNumbers {
        PageNumbers { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    pub fn get(&self, page: PageId) -> u32 {
        let chunk = self.chunks.get(page.0 as usize / CHUNK).and_then(OnceLock::get);
        chunk.map_or(0, |chunk| chunk[page.0 as usize % CHUNK].load(Ordering::Acquire))
    }

    /// Pages from [`PAGES_MAX`] on have none.
    pub fn set(&self, page: PageId, number: u32) {
        let Some(chunk) = self.chunks.get(page.0 as usize / CHUNK) else { return };
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
        chunk[page.0 as usize % CHUNK].store(number, Ordering::Release);
    }
}

/// Which frame holds a page.
pub struct PageTable(PageNumbers);

impl PageTable {
    pub fn new() -> PageTable {
        PageTable(PageNumbers::new())
    }

    /// The frame that holds the page, or did a moment ago.
    pub fn get(&self, page: PageId) -> Option<usize> {
        (self.0.get(page) as usize).checked_sub(1)
    }

    /// Says where the page is from now on.
    pub fn set(&self, page: PageId, frame: Option<usize>) {
        self.0.set(page, frame.map_or(0, |frame| frame as u32 + 1));
    }
}

/// The last change of each page that the page file must have, as the log says that a restart reads.
pub struct InFile {
    /// The first record that was noted, less one.
    base: OnceLock<Lsn>,
    /// What is to be added to it; 0: nothing is known.
    last: PageNumbers,
}

impl InFile {
    pub fn new() -> InFile {
        InFile { base: OnceLock::new(), last: PageNumbers::new() }
    }

    /// The file has this change of a page, and what others noted of it is older. A log of more than four thousand million records
    /// is looked at as far as they go.
    pub fn note(&self, page: PageId, lsn: Lsn) {
        let Lsn(base) = self.base.get_or_init(|| Lsn(lsn.0.saturating_sub(1)));
        self.last.set(page, u32::try_from(lsn.0.saturating_sub(*base)).unwrap_or(u32::MAX));
    }

    /// It may lack even what was noted.
    pub fn forget(&self, page: PageId) {
        self.last.set(page, 0);
    }

    /// The page's LSN in the file is not below this.
    pub fn least(&self, page: PageId) -> Lsn {
        match (self.base.get(), self.last.get(page)) {
            (None, _) | (_, 0) => Lsn(0),
            (Some(base), number) => Lsn(base.0 + u64::from(number)),
        }
    }
}
