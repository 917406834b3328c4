//! The dirty page table of a restart.

use std::fmt;

use crate::log::Lsn;
use crate::page::PageId;

/// Pages of a chunk: 4 MiB of page file, 4 KiB of table.
const CHUNK: usize = 512;

/// Pages that may lack changes, and of each the first change that it may lack (paper: RecLSN). An array by page number,
/// because a restart asks for each change in the log: 8 bytes for each page of the parts of the page file that were changed,
/// for as long as the restart takes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DirtyPages {
    /// Ends with one that is there. 0: the page lacks nothing.
    chunks: Vec<Option<Box<[Lsn; CHUNK]>>>,
}

impl DirtyPages {
    /// From where on the page may lack changes; `None`: it lacks none.
    pub fn get(&self, page: PageId) -> Option<Lsn> {
        let (chunk, place) = place(page);
        let rec_lsn = self.chunks.get(chunk)?.as_ref()?[place];
        (rec_lsn != Lsn(0)).then_some(rec_lsn)
    }

    /// The page may lack this change, and those that were noted for it.
    pub fn note(&mut self, page: PageId, lsn: Lsn) {
        let (chunk, place) = place(page);
        if self.chunks.len() <= chunk {
            self.chunks.resize(chunk + 1, None);
        }
        let chunk = self.chunks[chunk].get_or_insert_with(|| Box::new([Lsn(0); CHUNK]));
        if chunk[place] == Lsn(0) || lsn < chunk[place] {
            chunk[place] = lsn;
        }
    }

    /// In the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (PageId, Lsn)> {
        let chunks = self.chunks.iter().enumerate();
        let chunks = chunks.filter_map(|(i, chunk)| Some((i * CHUNK, chunk.as_ref()?)));
        let pages = chunks.flat_map(|(first, chunk)| {
            chunk.iter().enumerate().map(move |(i, rec_lsn)| (PageId((first + i) as u32), *rec_lsn))
        });
        pages.filter(|(_, rec_lsn)| *rec_lsn != Lsn(0))
    }

    /// The first change that any page may lack.
    pub fn first(&self) -> Option<Lsn> {
        self.iter().map(|(_, rec_lsn)| rec_lsn).min()
    }
}

fn place(page: PageId) -> (usize, usize) {
    (page.0 as usize / CHUNK, page.0 as usize % CHUNK)
}

impl fmt::Debug for DirtyPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
