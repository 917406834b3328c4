//! Writing pages back: what is changed is copied, written twice, and clean; and what is not durable yet is known.

use super::*;

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
    /// What stands side by side in the file is one write.
    fn runs(&self) -> impl Iterator<Item = (PageId, &[u8])> {
        let chunks = self.ids.chunk_by(|one, next| one.0 + 1 == next.0);
        chunks.scan(0, |start, run| {
            let bytes = &self.bytes[*start..*start + run.len() * PAGE_BYTES];
            *start += run.len() * PAGE_BYTES;
            Some((run[0], bytes))
        })
    }
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
            written.failed |= result.is_err();
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
        self.sync_pages(written)?;
        if !planted!("pages written once") {
            written.double.keep(&batch.ids, &batch.bytes, self.log.durable())?;
        }
        written.unsynced = batch.ids.iter().copied().zip(batch.rec_lsns.iter().copied()).collect();
        for (first, bytes) in batch.runs() {
            self.file.write_at(&[bytes], offset_of(first))?;
        }
        self.counters.writes.fetch_add(batch.ids.len() as u64, Ordering::Relaxed);
        Ok(())
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
