//! The buffer pool by itself: pages in bounded memory, for who has a log and a recovery of his own.
//!
//! It brings what transactions need of pages, and no transactions: latches, replacement, the write-ahead rule, pages that are written
//! twice so that a torn one is put right, checksums, and the dirty page table. What stays with you are four rules:
//!
//! 1. Latch a page ([`BufferPool::write`]), append the record of what you are going to do to it, and do that under the record's
//!    LSN ([`BufferPool::change`]).
//! 2. At a start, do again every record of your log whose LSN is above its page's.
//! 3. The log may lose what is below the oldest LSN of [`BufferPool::dirty_pages`], asked while nobody is between a record and its
//!    change; or everything below what you had before a [`BufferPool::flush`].
//! 4. A change that may be torn apart by a crash (two pages, one record each) is yours to make whole: that is what the layers above do.
//!
//! ```
//! use ombak_aries::{BufferOptions, BufferPool, Lsn, Options, OsDisk, PageId, SharedLog, StreamId};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! const SLOTS: StreamId = StreamId(1);
//! // A record: page, slot, and the byte that goes there.
//! let set = |record: &[u8], page: &mut ombak_aries::Page| page.body_mut()[usize::from(record[1])] = record[2];
//! let open = || -> Result<_, Box<dyn std::error::Error>> {
//!     let disk = OsDisk::open(path)?;
//!     let (log, _) = SharedLog::open(disk.clone(), "wal", Options::default(), |_, _, _| {})?;
//!     let (pool, _) = BufferPool::open(&disk, "", BufferOptions::default(), log.clone())?;
//!     log.scan(Lsn(0), |lsn, _, record| {
//!         let mut page = pool.write(PageId(record[0].into()))?;
//!         if page.lsn() < lsn {
//!             pool.change(&mut page, lsn, |page| set(record, page));
//!         }
//!         Ok::<(), ombak_aries::Error>(())
//!     })?;
//!     Ok((log, pool))
//! };
//! let (log, pool) = open()?;
//! let record = [3, 5, 42];
//! let mut page = pool.write(PageId(3))?;
//! let lsn = log.append(SLOTS, &[&record])?;
//! pool.change(&mut page, lsn, |page| set(&record, page));
//! drop(page);
//! log.force(lsn)?; // acknowledged; the page itself was never written
//! drop((log, pool));
//!
//! let (log, pool) = open()?;
//! assert_eq!(pool.read(PageId(3))?.body()[5], 42);
//! let end = log.next_lsn();
//! pool.flush()?;
//! log.set_mark(SLOTS, end); // the log's files are used again
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

use ombak_base::Disk;

use crate::engine::{open_pair, repair};
use crate::error::Error;
use crate::log::shared::SharedLog;
use crate::log::{Lsn, Place};
use crate::named::NamedFile;
use crate::page::{PAGE_BYTES, Page, PageId};
use crate::pool::{DoubleWrite, Kept, Latched, PageMut, PageRef, Pool, PoolUsage};

/// How a pool is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferOptions {
    /// A number of your own that tells these pages from others, 0 if you have none. Pages written under another are refused.
    pub identity: u64,
    /// Memory for pages, in bytes.
    pub bytes: u64,
}

impl Default for BufferOptions {
    /// 64 MiB.
    fn default() -> BufferOptions {
        BufferOptions { identity: 0, bytes: 64 * 1024 * 1024 }
    }
}

/// See the module's documentation.
pub struct BufferPool(Pool);

impl BufferPool {
    /// Opens the files `pages` and `pages.double` in the directory `dir` of `disk` (`""`: the disk itself), or makes them. Also gives
    /// the pages that were torn and were put right. The log is the one that the changes of these pages stand in; one that ends
    /// before them is refused ([`Error::LogDamaged`]). A page that was never changed is blank, and has LSN 0.
    pub fn open<D: Disk>(
        disk: &D,
        dir: &str,
        options: BufferOptions,
        log: SharedLog<D>,
    ) -> Result<(BufferPool, Vec<PageId>), Error> {
        let dir = dir.trim_matches('/');
        let (pages, double) = open_pair(disk, dir)?;
        let BufferOptions { identity, bytes } = options;
        let mut repaired = Vec::new();
        if let Some((kept, copies)) = DoubleWrite::read(&double)? {
            check(&double, &kept, identity, &log)?;
            repaired = repair(&pages, identity, &copies)?;
        }
        let frames = (bytes / PAGE_BYTES as u64) as usize;
        let pool = Pool::new(frames, (pages, double), identity, Arc::new(log))?;
        Ok((BufferPool(pool), repaired))
    }

    /// Latches a page for reading. Others may read it as well.
    pub fn read(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        self.0.read(id)
    }

    /// Latches a page for writing, and makes sure that the file has room for it. Who latches several does so in one order.
    pub fn write(&self, id: PageId) -> Result<PageMut<'_>, Error> {
        self.0.grow_to(id)?;
        self.0.write(id)
    }

    /// Does to a page of this pool what the record at `lsn` says. The page is not written before the log is durable up to there.
    ///
    /// # Panics
    ///
    /// If the page has a later change already.
    pub fn change(&self, page: &mut PageMut<'_>, lsn: Lsn, change: impl FnOnce(&mut Page)) {
        assert!(page.lsn() < lsn, "{lsn:?} comes before {:?}, which is on it", page.lsn());
        page.mark_dirty(lsn);
        change(page.page_mut());
        page.page_mut().set_lsn(lsn);
    }

    /// The pages with changes that are not durable in the file, and the first such change of each, or a little before.
    pub fn dirty_pages(&self) -> Vec<(PageId, Lsn)> {
        self.0.dirty_pages()
    }

    /// Writes every changed page, and makes it durable there. Waits for whoever has one latched.
    pub fn flush(&self) -> Result<(), Error> {
        self.0.flush_below(Lsn(u64::MAX), Latched::WaitFor)
    }

    /// What it holds and has done.
    pub fn usage(&self) -> PoolUsage {
        self.0.usage()
    }
}

/// Whether the copies are of this database, and the log has what was durable when they were kept.
fn check<D: Disk>(
    double: &NamedFile,
    kept: &Kept,
    identity: u64,
    log: &SharedLog<D>,
) -> Result<(), Error> {
    if kept.identity != identity {
        let why = format!("it is of database {}, not {identity}", kept.identity);
        return Err(double.foreign(Kept::IDENTITY, why));
    }
    let end = log.durable();
    if kept.durable <= end {
        return Ok(());
    }
    let Place { file, offset } = log.end();
    Err(Error::LogDamaged { file, offset, first: end.0 + 1, next: kept.durable.0 + 1 })
}

#[cfg(test)]
mod tests;
