//! Writing pages back: what is changed is copied, written twice, and clean; and what is not durable yet is known.

use std::ops::Range;

use super::*;
use crate::log::LogError;

/// How often a flush comes back to pages that were latched: whoever changes a page all the time must not hold it up.
const FLUSH_TRIES: usize = 8;

/// What has been written, and not synced.
pub struct Written {
    pub(super) double: DoubleWrite,
    /// Pages of the last batch, and the first change of each that is not durable in place.
    pub(super) unsynced: Vec<(PageId, Lsn)>,
    /// A write or sync failed: what is durable is not known.
    pub(super) failed: bool,
}

impl Written {
    pub fn new(double: DoubleWrite) -> Written {
        Written { double, unsynced: Vec::new(), failed: false }
    }
}

/// What a flush does with a page that somebody has latched for writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Latched {
    PassOver,
    WaitFor,
}

/// Pages that are written together.
#[derive(Default)]
struct Batch {
    places: Vec<usize>,
    ids: Vec<PageId>,
    rec_lsns: Vec<Lsn>,
    bytes: Vec<u8>,
    /// The highest LSN of them.
    lsn: Lsn,
}

impl Batch {
    /// Of some of the pages: what stands side by side in the file is one write.
    fn runs(&self, part: Range<usize>) -> impl Iterator<Item = (PageId, &[u8])> {
        let chunks = self.ids[part.clone()].chunk_by(|one, next| one.0 + 1 == next.0);
        chunks.scan(part.start * PAGE_BYTES, |start, run| {
            let bytes = &self.bytes[*start..*start + run.len() * PAGE_BYTES];
            *start += run.len() * PAGE_BYTES;
            Some((run[0], bytes))
        })
    }
}

/// A log without room is none: not one page was written then, and all may be tried again.
fn is_failure(error: &Error) -> bool {
    !matches!(error, Error::Log(LogError::Full))
}

impl Pool {
    /// Writes changed pages to the file. Those that are latched for writing are passed over.
    pub(super) fn write_back(&self, places: &[usize]) -> Result<(), Error> {
        let mut written = self.usable()?;
        for places in places.chunks(double::BATCH_MAX) {
            let batch = self.gather(places);
            if batch.ids.is_empty() {
                continue;
            }
            let result = self.write_batch(&mut written, &batch);
            written.failed |= result.as_ref().is_err_and(is_failure);
            for (place, rec_lsn) in batch.places.iter().zip(&batch.rec_lsns) {
                let frame = self.frames.get(*place);
                if result.is_err() {
                    // Whatever is in the file now: it is in memory, and stays there.
                    frame.rec_lsn.store(rec_lsn.0, Ordering::Release);
                }
                frame.writing.store(false, Ordering::Release);
            }
            result?;
        }
        Ok(())
    }

    /// Copies and seals the changed ones among some pages, in order of their place in the file, and calls them clean.
    fn gather(&self, places: &[usize]) -> Batch {
        let mut places = places.to_vec();
        places.sort_by_key(|place| self.frames.get(*place).page.load(Ordering::Acquire));
        let mut batch = Batch::default();
        for place in places {
            let frame = self.frames.get(place);
            let Some(page) = frame.latch.try_read() else { continue };
            let rec_lsn = Lsn(frame.rec_lsn.load(Ordering::Acquire));
            if rec_lsn == Lsn(0) {
                continue;
            }
            frame.writing.store(true, Ordering::Release);
            frame.rec_lsn.store(0, Ordering::Release);
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(page.bytes());
            page::seal(&mut batch.bytes[start..], self.identity);
            self.sums.set(page.id(), page::u32_at(&batch.bytes, start));
            batch.ids.push(page.id());
            batch.rec_lsns.push(rec_lsn);
            batch.places.push(place);
            batch.lsn = batch.lsn.max(page.lsn());
        }
        batch
    }

    fn write_batch(&self, written: &mut Written, batch: &Batch) -> Result<(), Error> {
        // The write-ahead rule.
        if !planted!("a page before its log") {
            self.log.force(batch.lsn)?;
        }
        let (mut done, mut at_once) = (0, batch.ids.len());
        while done < batch.ids.len() {
            let part = done..batch.ids.len().min(done + at_once);
            match self.write_part(written, batch, part.clone())? {
                true => done = part.end,
                false => at_once = at_once.div_ceil(2),
            }
        }
        Ok(())
    }

    /// Writes some of the pages, twice. `false`: their copies have no room, and nothing was written in place. Fewer may have.
    fn write_part(
        &self,
        written: &mut Written,
        batch: &Batch,
        part: Range<usize>,
    ) -> Result<bool, Error> {
        self.sync_pages(written)?;
        let ids = &batch.ids[part.clone()];
        let bytes = &batch.bytes[part.start * PAGE_BYTES..part.end * PAGE_BYTES];
        if !planted!("pages written once")
            && !written.double.keep(ids, bytes, self.log.durable())?
        {
            return Ok(false);
        }
        let rec_lsns = batch.rec_lsns[part.clone()].iter().copied();
        written.unsynced = ids.iter().copied().zip(rec_lsns).collect();
        for (first, bytes) in batch.runs(part) {
            self.file.write_at(&[bytes], offset_of(first))?;
        }
        self.counters.writes.fetch_add(ids.len() as u64, Ordering::Relaxed);
        Ok(true)
    }

    fn sync_pages(&self, written: &mut Written) -> Result<(), Error> {
        if !written.unsynced.is_empty() {
            self.file.sync()?;
            written.unsynced.clear();
        }
        Ok(())
    }

    pub(super) fn usable(&self) -> Result<MutexGuard<'_, Written>, Error> {
        let written = self.written.lock();
        if written.failed {
            let why = format!("{}: a page could not be written", self.file.path());
            return Err(Error::Stopped { why });
        }
        Ok(written)
    }

    /// Writes the pages whose first unwritten change is below `lsn`, and makes durable what was written. Pages that are
    /// latched for writing are passed over, or waited for: only by who has none latched.
    pub(crate) fn flush_below(&self, lsn: Lsn, latched: Latched) -> Result<(), Error> {
        for _ in 0..FLUSH_TRIES {
            let places = self.changed_below(lsn);
            self.write_back(&places)?;
            let passed_over = self.changed_below(lsn);
            if passed_over.is_empty() || latched == Latched::PassOver {
                break;
            }
            passed_over.iter().for_each(|place| drop(self.frames.get(*place).latch.read()));
        }
        let mut written = self.usable()?;
        let synced = self.sync_pages(&mut written);
        // A second try may succeed over pages that were thrown away.
        written.failed |= synced.is_err();
        synced
    }

    fn changed_below(&self, lsn: Lsn) -> Vec<usize> {
        let old = |(_, frame): &(usize, &Frame)| {
            (1..lsn.0).contains(&frame.rec_lsn.load(Ordering::Acquire))
        };
        self.frames.made().filter(old).map(|(place, _)| place).collect()
    }

    /// The pages whose changes are not all durable in the file, and the first such change of each, or a little before:
    /// the dirty page table.
    pub(crate) fn dirty_pages(&self) -> Vec<(PageId, Lsn)> {
        // While nothing is being written, so that no page is in neither list.
        let written = self.written.lock();
        let mut dirty = written.unsynced.clone();
        let forgets = planted!("a checkpoint forgets a dirty page");
        for (_, frame) in self.frames.made().skip(usize::from(forgets)) {
            let rec_lsn = Lsn(frame.rec_lsn.load(Ordering::Acquire));
            if rec_lsn != Lsn(0) {
                dirty.push((PageId(frame.page.load(Ordering::Acquire)), rec_lsn));
            }
        }
        dirty
    }
}
