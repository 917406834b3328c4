//! The second pass of a restart: history is repeated, by several threads.
//!
//! A change is of one page, and what it does depends on nothing but that page and the record. So the pages are shared out: each
//! thread is shown all records in the order of the log, and does the changes of its own pages. Every page sees its changes in that
//! order, however far the others are.
//!
//! A change that its page can't lack, for it was written and synced before the checkpoint, is not done again: but the page must have it.
//! If it does not, when it is read now or later, the disk has lost a write ([`PageFault::Outdated`]). Of pages that lack nothing analysis has
//! noted the last change.

use std::num::NonZeroU32;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use ombak_base::planted;

use super::Shared;
use super::analysis::Analysis;
use super::restart::Restart;
use crate::error::Error;
use crate::log::{Lsn, Owned};
use crate::page::{PageFault, PageId};
use crate::physical;
use crate::txn::record::Change;
use crate::wal::STREAM;

/// Pieces of the log that wait for each thread: it is read ahead by so many, of about a MiB each.
pub(super) const AHEAD: usize = 2;

/// The pages of one thread: each that has its number modulo so many.
struct Share<'a> {
    engine: &'a Shared,
    analysis: &'a Analysis,
    number: u32,
    of: u32,
    redone: u64,
    skipped: u64,
}

impl Shared {
    /// Does every change again that the pages lack, with so many threads.
    pub(super) fn redo(
        &self,
        analysis: &Analysis,
        threads: NonZeroU32,
        restart: &mut Restart,
    ) -> Result<(), Error> {
        let Some(from) = analysis.redo_from() else { return Ok(()) };
        restart.redo_from = from;
        let of = threads.get();
        let share = |number| Share { engine: self, analysis, number, of, redone: 0, skipped: 0 };
        let done = match of {
            1 => vec![self.redo_alone(from, share(0))?],
            _ => self.redo_together(from, (0..of).map(share))?,
        };
        restart.redone = done.iter().map(|share| share.redone).sum();
        restart.skipped = done.iter().map(|share| share.skipped).sum();
        Ok(())
    }

    fn redo_alone<'a>(&self, from: Lsn, mut all: Share<'a>) -> Result<Share<'a>, Error> {
        self.log.pieces(from).try_for_each(|piece| all.redo(&piece.into_records()))?;
        Ok(all)
    }

    /// One thread reads, this one finds the records, and the others have a share each.
    fn redo_together<'a>(
        &self,
        from: Lsn,
        shares: impl Iterator<Item = Share<'a>>,
    ) -> Result<Vec<Share<'a>>, Error> {
        thread::scope(|scope| {
            let (mut readers, mut workers) = (Vec::new(), Vec::new());
            for share in shares {
                let (reader, pieces) = sync_channel(AHEAD);
                readers.push(reader);
                workers.push(scope.spawn(move || share.redo_all(pieces)));
            }
            let (read, pieces) = sync_channel(AHEAD);
            scope.spawn(move || self.log.pieces(from).try_for_each(|piece| read.send(piece)));
            for piece in pieces.iter().map(|piece| Arc::new(piece.into_records())) {
                // Whoever does not listen any more has failed, and says below why.
                if readers.iter().any(|reader| reader.send(piece.clone()).is_err()) {
                    break;
                }
            }
            drop((pieces, readers));
            let done = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
            done.collect()
        })
    }
}

impl Share<'_> {
    fn redo_all(mut self, pieces: Receiver<Arc<Vec<Owned>>>) -> Result<Self, Error> {
        pieces.iter().try_for_each(|piece| self.redo(&piece))?;
        Ok(self)
    }

    fn redo(&mut self, piece: &[Owned]) -> Result<(), Error> {
        for (lsn, stream, bytes) in piece {
            if *stream != STREAM {
                continue;
            }
            let record = self.engine.record(*lsn, bytes)?;
            let Some(change) = record.change().filter(|change| self.has(change.page)) else {
                continue;
            };
            if self.analysis.may_lack(change.page, *lsn) {
                self.redo_one(*lsn, change)?;
            } else {
                self.engine.pool.in_file().note(change.page, *lsn);
            }
        }
        Ok(())
    }

    /// Whether the page is one of the share's.
    fn has(&self, page: PageId) -> bool {
        page.0 % self.of == self.number
    }

    fn redo_one(&mut self, lsn: Lsn, change: Change<'_>) -> Result<(), Error> {
        let pool = &self.engine.pool;
        pool.grow_to(change.page)?;
        let anew = change.manager == physical::PHYSICAL && physical::is_format(change.bytes);
        let mut page = match pool.write(change.page) {
            Err(Error::Damaged { .. }) if anew => pool.fresh(change.page)?,
            page => page?,
        };
        if page.lsn() >= lsn && !planted!("redo without the page LSN") {
            self.skipped += 1;
            return Ok(());
        }
        if page.is_blank() && !anew {
            return Err(pool.damaged(change.page, PageFault::Blank));
        }
        self.redone += 1;
        page.mark_dirty(lsn);
        let manager = self.engine.manager(change.manager, lsn)?;
        let done = manager.redo(page.page_mut(), change.bytes);
        done.map_err(|why| self.engine.malformed(lsn, why))?;
        page.page_mut().set_lsn(lsn);
        Ok(())
    }
}
