//! A file's bytes: sparse, so that preallocated segments cost nothing, and cheap to clone.

use std::sync::Arc;

/// What a crash keeps or loses as a whole.
pub const SECTOR_BYTES: usize = 512;

const PAGE_BYTES: usize = 4096;
const PAGE_SECTORS: u64 = (PAGE_BYTES / SECTOR_BYTES) as u64;

type Page = [u8; PAGE_BYTES];

/// Bytes with a length. A missing page is zeros; bytes past the end are zero, always.
#[derive(Clone, Default, Debug)]
pub struct Content {
    len: u64,
    pages: Vec<Option<Arc<Page>>>,
}

impl Content {
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Cuts, or extends with zeros.
    pub fn set_len(&mut self, len: u64) {
        self.pages.resize((len as usize).div_ceil(PAGE_BYTES), None);
        let tail = len as usize % PAGE_BYTES;
        if let (true, Some(Some(page))) = (tail > 0 && len < self.len, self.pages.last_mut()) {
            Arc::make_mut(page)[tail..].fill(0);
        }
        self.len = len;
    }

    /// Copies what is there; returns how much that was.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let len = (buffer.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        for (at, page, within, count) in pieces(offset as usize, len) {
            let target = &mut buffer[at..at + count];
            match &self.pages[page] {
                Some(page) => target.copy_from_slice(&page[within..within + count]),
                None => target.fill(0),
            }
        }
        len
    }

    /// Puts bytes, extending as needed.
    pub fn write(&mut self, data: &[u8], offset: u64) {
        let end = offset + data.len() as u64;
        if end > self.len && !data.is_empty() {
            self.set_len(end);
        }
        for (at, page, within, count) in pieces(offset as usize, data.len()) {
            let source = &data[at..at + count];
            let page = &mut self.pages[page];
            if page.is_none() && source.iter().all(|&byte| byte == 0) {
                continue;
            }
            let page = page.get_or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[within..within + count].copy_from_slice(source);
        }
    }

    /// Takes over one sector of `other`, extending as needed.
    pub fn copy_sector(&mut self, other: &Content, sector: u64) {
        let mut bytes = [0; SECTOR_BYTES];
        let offset = sector * SECTOR_BYTES as u64;
        let count = other.read(&mut bytes, offset);
        self.write(&bytes[..count], offset);
        let rest =
            self.len.saturating_sub(offset + count as u64).min((SECTOR_BYTES - count) as u64);
        self.write(&[0; SECTOR_BYTES][..rest as usize], offset + count as u64);
    }

    /// Takes over a page of `other`, which is as long. Behind the end there is nothing to be taken.
    pub fn share_page(&mut self, other: &Content, page: usize) {
        if let (Some(mine), Some(theirs)) = (self.pages.get_mut(page), other.pages.get(page)) {
            mine.clone_from(theirs);
        }
    }

    /// Whether a sector may hold anything but zeros.
    pub fn has_sector(&self, sector: u64) -> bool {
        let (page, _) = page_of(sector);
        self.pages.get(page).is_some_and(Option::is_some)
    }
}

/// Cuts a range at page borders: (offset in the range, page, offset in the page, length).
fn pieces(offset: usize, len: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = done;
        let within = (offset + at) % PAGE_BYTES;
        let count = (PAGE_BYTES - within).min(len - at);
        done += count;
        (count > 0).then_some((at, (offset + at) / PAGE_BYTES, within, count))
    })
}

/// The page that a sector is in, and all sectors of that page.
pub fn page_of(sector: u64) -> (usize, std::ops::Range<u64>) {
    let page = sector / PAGE_SECTORS;
    (page as usize, page * PAGE_SECTORS..(page + 1) * PAGE_SECTORS)
}

/// The sectors that a range of bytes touches.
pub fn sectors(offset: u64, len: u64) -> std::ops::Range<u64> {
    let sector = SECTOR_BYTES as u64;
    if len == 0 { 0..0 } else { offset / sector..(offset + len).div_ceil(sector) }
}
