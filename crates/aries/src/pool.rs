//! The buffer pool: a fixed number of frames, each of which holds a page.
//!
//! # What it promises
//!
//! - **Bounded memory.** A frame is made when it is first needed. When there are as many as there may be, a page that is
//!   wanted and not there takes the frame of one that is not wanted.
//! - **Steal**: a page may be written before the transaction that changed it has ended; **no-force**: none has to be
//!   written when a transaction commits. The two together are what makes it fast, and what recovery is for.
//! - **The write-ahead rule** stands in one place (`writing.rs`): before a page is written, the log is durable up to the
//!   page's LSN.
//! - **Torn pages are repaired**: see `double.rs`.
//! - **What is read is what was written last**, if the pool has written it: it remembers the checksums.
//!
//! # Latches
//!
//! A frame's latch is a reader-writer lock around the page in it, and it is the pin as well: a frame that is latched
//! is not given to another page. So a guard ([`PageRef`], [`PageMut`]) is all there is to hold. Nothing below waits
//! for a latch while it holds the pool's own locks, so whoever orders his latches (the tree: from the root down)
//! can't run into a deadlock.
//!
//! # Replacement
//!
//! A clock whose hand lowers a frame's heat and takes the first cold one. A page arrives cold, and every later access
//! warms it, up to three rounds of the hand. A scan touches each of its pages once, so they stay cold and take each
//! other's frames, and the working set stays.

mod double;
mod frame;
mod frames;
mod table;
mod writing;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ombak_base::planted;
use parking_lot::{Mutex, MutexGuard, RwLockWriteGuard};

use crate::error::Error;
use crate::log::Lsn;
use crate::manager::Managers;
use crate::named::{NamedFile, offset_of};
use crate::page::{self, PAGE_BYTES, Page, PageFault, PageId};
use crate::wal::Wal;

pub(crate) use double::{Copied, DoubleWrite, Kept};
pub use frame::{PageMut, PageRef};
pub(crate) use table::{InFile, PAGES_MAX};
pub(crate) use writing::Latched;

use frame::Frame;
use frames::Frames;
use table::{PageNumbers, PageTable};
use writing::Written;

/// The page file's name.
pub(crate) const PAGES_FILE: &str = "pages";
/// The file of the copies.
pub(crate) const DOUBLE_FILE: &str = "pages.double";
/// The page file grows by so many bytes.
const GROWTH_BYTES: u64 = 4 * 1024 * 1024;
/// The page of a frame that holds none.
const NONE: PageId = PageId(u32::MAX);
/// Locks that keep two threads from reading the same page at once.
const LOADERS: usize = 64;
/// Fewer frames than this can't hold what a single operation latches.
const FRAMES_MIN: usize = 32;

/// See the module.
pub(crate) struct Pool {
    file: NamedFile,
    log: Arc<dyn Wal>,
    /// Where the log ended when the pool was made.
    log_end: Lsn,
    identity: u64,
    /// Whose the pages are: they judge what is read.
    managers: Arc<Managers>,
    /// The hand takes those that have no memory yet in order, on its first round.
    frames: Frames,
    table: PageTable,
    /// The checksum of each page as it was written last since the pool was made; 0: it was not.
    sums: PageNumbers,
    /// What the file had of each page before that, as far as the restart's log says.
    in_file: Arc<InFile>,
    loaders: Box<[Mutex<()>]>,
    hand: AtomicUsize,
    written: Mutex<Written>,
    /// Bytes of the page file.
    length: AtomicU64,
    /// Pages below have all been made: none is blank.
    used: AtomicU32,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    reads: AtomicU64,
    writes: AtomicU64,
}

/// What a pool has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolUsage {
    /// Frames.
    pub frames: usize,
    /// Frames whose page has changes that the file does not have.
    pub dirty: usize,
    /// Pages read from the file.
    pub reads: u64,
    /// Pages written to it (each was written twice).
    pub writes: u64,
}

impl Pool {
    /// A pool of `frames` frames over a page file and that of the copies.
    pub(crate) fn new(
        frames: usize,
        (file, double): (NamedFile, NamedFile),
        identity: u64,
        log: Arc<dyn Wal>,
    ) -> Result<Pool, Error> {
        let (length, double) = (file.len()?, DoubleWrite::new(double, identity));
        Ok(Pool {
            file,
            log_end: log.durable(),
            log,
            identity,
            managers: Arc::default(),
            frames: Frames::new(frames.max(FRAMES_MIN)),
            table: PageTable::new(),
            sums: PageNumbers::new(),
            in_file: Arc::new(InFile::new()),
            loaders: (0..LOADERS).map(|_| Mutex::new(())).collect(),
            hand: AtomicUsize::new(0),
            written: Mutex::new(Written::new(double)),
            length: AtomicU64::new(length),
            used: AtomicU32::new(0),
            counters: Counters::default(),
        })
    }

    /// The same pool, which shows each page that it reads to its manager.
    pub(crate) fn shown_to(self, managers: Arc<Managers>) -> Pool {
        Pool { managers, ..self }
    }

    /// The same pool, which knows what the file must have.
    pub(crate) fn knowing(self, in_file: Arc<InFile>) -> Pool {
        Pool { in_file, ..self }
    }

    /// Latches a page for reading.
    pub(crate) fn read(&self, id: PageId) -> Result<PageRef<'_>, Error> {
        loop {
            if let Some(frame) = self.resident(id) {
                let page = frame.latch.read();
                if page.id() == id {
                    frame.touch();
                    return Ok(PageRef { page });
                }
            } else if let Some((page, _)) = self.load(id, Wanted::Contents)? {
                return Ok(PageRef { page: RwLockWriteGuard::downgrade(page) });
            }
        }
    }

    /// The same, if the page is in memory.
    pub(crate) fn read_resident(&self, id: PageId) -> Option<PageRef<'_>> {
        let frame = self.resident(id)?;
        let page = frame.latch.read();
        if page.id() != id {
            return None;
        }
        frame.touch();
        Some(PageRef { page })
    }

    /// Latches a page for writing.
    pub(crate) fn write(&self, id: PageId) -> Result<PageMut<'_>, Error> {
        self.latch(id, Wanted::Contents)
    }

    /// Latches a page for writing whose contents do not matter: they are not read.
    pub(crate) fn fresh(&self, id: PageId) -> Result<PageMut<'_>, Error> {
        self.latch(id, Wanted::Frame)
    }

    fn latch(&self, id: PageId, wanted: Wanted) -> Result<PageMut<'_>, Error> {
        loop {
            if let Some(frame) = self.resident(id) {
                let page = frame.latch.write();
                if page.id() == id {
                    frame.touch();
                    return Ok(PageMut { page, frame });
                }
            } else if let Some((page, frame)) = self.load(id, wanted)? {
                return Ok(PageMut { page, frame });
            }
        }
    }

    fn resident(&self, id: PageId) -> Option<&Frame> {
        self.table.get(id).map(|place| self.frames.get(place))
    }

    /// Brings a page in. `None`: somebody else did meanwhile.
    fn load(&self, id: PageId, wanted: Wanted) -> Result<Option<Loaded<'_>>, Error> {
        if id.0 >= PAGES_MAX {
            return Err(self.corrupt(id, "there is no such page"));
        }
        let _loading = self.loaders[id.0 as usize % LOADERS].lock();
        if self.table.get(id).is_some() {
            return Ok(None);
        }
        let (place, mut page) = self.vacate()?;
        let frame = self.frames.get(place);
        let read = match wanted {
            Wanted::Contents => self.read_page(id, &mut page),
            Wanted::Frame => {
                page.clear(id);
                Ok(())
            }
        };
        if let Err(error) = read {
            page.name(NONE);
            return Err(error);
        }
        frame.page.store(id.0, Ordering::Release);
        frame.heat.store(0, Ordering::Relaxed);
        self.table.set(id, Some(place));
        Ok(Some((page, frame)))
    }

    fn read_page(&self, id: PageId, page: &mut Page) -> Result<(), Error> {
        let bytes = page.bytes_mut();
        let read = self.file.read_at(bytes, offset_of(id))?;
        bytes[read..].fill(0);
        self.counters.reads.fetch_add(1, Ordering::Relaxed);
        let sound = page::unseal(page, id, self.identity);
        let sound =
            sound.and_then(|()| self.check_latest(page)).and_then(|()| self.check_log(page));
        sound.map_err(|fault| self.unreadable(id, fault))?;
        self.managers.check(page).map_err(|why| self.corrupt(id, why))
    }

    /// A page is not as it should be. That says nothing of the disk if this pool has written it, and a write or sync has failed since:
    /// the log has what the page lacks.
    fn unreadable(&self, page: PageId, fault: PageFault) -> Error {
        match self.usable() {
            Err(stopped) if self.sums.get(page) != 0 => stopped,
            _ => self.damaged(page, fault),
        }
    }

    /// A page can't be read.
    pub(crate) fn damaged(&self, page: PageId, fault: PageFault) -> Error {
        self.file.damaged(page, fault)
    }

    /// A page is sound, and can't be.
    pub(crate) fn corrupt(&self, page: PageId, why: &'static str) -> Error {
        self.file.corrupt(page, why)
    }

    /// Whether a page that was read is what was written last. A disk that loses a write leaves an older page, which is
    /// sound in itself. Of a write before the pool was made the restart's log may know.
    fn check_latest(&self, page: &Page) -> Result<(), PageFault> {
        let is_latest = match self.sums.get(page.id()) {
            // One that is blank is told as such.
            0 => page.lsn() >= self.in_file.least(page.id()) || page.is_blank(),
            written => written == page::u32_at(page.bytes(), 0),
        };
        if is_latest { Ok(()) } else { Err(PageFault::Outdated) }
    }

    /// What the file has of each page; before a page is read.
    pub(crate) fn in_file(&self) -> &InFile {
        &self.in_file
    }

    /// Whether the log has what is on a page that was written before the pool was made, and the page what must be on it.
    fn check_log(&self, page: &Page) -> Result<(), PageFault> {
        let is_older = self.sums.get(page.id()) == 0;
        if is_older && page.lsn() > self.log_end {
            return Err(PageFault::Ahead { lsn: page.lsn(), log: self.log_end });
        }
        let was_used = page.id().0 < self.used.load(Ordering::Relaxed);
        if was_used && page.is_blank() { Err(PageFault::Blank) } else { Ok(()) }
    }

    /// A frame that holds nothing any more, latched.
    fn vacate(&self) -> Result<(usize, RwLockWriteGuard<'_, Page>), Error> {
        let frames = self.frames.len();
        let enough = (frames / 4).clamp(1, double::BATCH_MAX);
        let mut dirty = Vec::new();
        let mut unwritten = None;
        for step in 0..frames * 8 {
            let place = self.hand.fetch_add(1, Ordering::Relaxed) % frames;
            let frame = self.frames.get(place);
            let swept = step % frames == frames - 1;
            if frame.cools() {
                if frame.rec_lsn.load(Ordering::Acquire) != 0 {
                    dirty.push(place);
                } else if let Some(page) = self.try_vacate(frame) {
                    return Ok((place, page));
                }
            }
            if dirty.len() >= enough || (swept && !dirty.is_empty()) {
                // Where nothing can be written any more, what is clean can still be given to others.
                unwritten = self.write_back(&dirty).err().or(unwritten);
                let vacant = |place: usize| Some((place, self.try_vacate(self.frames.get(place))?));
                if let Some(vacated) = dirty.drain(..).find_map(vacant) {
                    return Ok(vacated);
                }
            }
        }
        Err(unwritten.unwrap_or(Error::PoolExhausted { frames }))
    }

    fn try_vacate<'a>(&self, frame: &'a Frame) -> Option<RwLockWriteGuard<'a, Page>> {
        let mut page = frame.latch.try_write()?;
        if frame.rec_lsn.load(Ordering::Acquire) != 0 || frame.writing.load(Ordering::Acquire) {
            return None;
        }
        if page.id() != NONE {
            self.table.set(page.id(), None);
        }
        frame.page.store(NONE.0, Ordering::Release);
        page.name(NONE);
        Some(page)
    }

    /// Makes sure that page `id` fits into the file, so that writing it later can't fail for want of room.
    pub(crate) fn grow_to(&self, id: PageId) -> Result<(), Error> {
        let end = offset_of(id) + PAGE_BYTES as u64;
        if end <= self.length.load(Ordering::Acquire) {
            return Ok(());
        }
        if id.0 >= PAGES_MAX {
            return Err(Error::PagesFull { why: format!("{PAGES_MAX} pages") });
        }
        let mut written = self.usable()?;
        if end > self.length.load(Ordering::Acquire) {
            let steps = [end.next_multiple_of(GROWTH_BYTES), end];
            let grown = steps
                .into_iter()
                .find_map(|length| self.file.set_len(length).ok().map(|()| length));
            let Some(length) = grown else {
                return Err(Error::PagesFull { why: "the disk is full".to_string() });
            };
            // Before page 0 counts more pages: a file that is shorter than that was cut.
            if let Err(error) = self.file.sync() {
                written.failed = true;
                return Err(error);
            }
            self.length.store(length, Ordering::Release);
        }
        Ok(())
    }

    /// All pages below have been made, and redone.
    pub(crate) fn set_used(&self, count: u32) {
        self.used.store(count, Ordering::Relaxed);
    }

    /// What it has done so far.
    pub(crate) fn usage(&self) -> PoolUsage {
        let is_dirty = |(_, frame): &(usize, &Frame)| frame.rec_lsn.load(Ordering::Relaxed) != 0;
        let dirty = self.frames.made().filter(is_dirty).count();
        PoolUsage {
            frames: self.frames.len(),
            dirty,
            reads: self.counters.reads.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
        }
    }
}

type Loaded<'a> = (RwLockWriteGuard<'a, Page>, &'a Frame);

/// What of a page that is not in memory is asked for.
#[derive(Clone, Copy)]
enum Wanted {
    Contents,
    Frame,
}

#[cfg(test)]
mod tests;
