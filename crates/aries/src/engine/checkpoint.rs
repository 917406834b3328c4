//! Fuzzy checkpoints: nobody stops, nothing has to be written that is not old.
//!
//! A checkpoint notes where it began, which transactions had not ended, and which pages had changes that the page file
//! has not. A restart needs nothing of the log before the oldest of these. What keeps that from reaching far back
//! is that pages which were already dirty at the checkpoint before are written first.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Shared;
use crate::error::Error;
use crate::log::Lsn;
use crate::pool::Latched;
use crate::scope::append;
use crate::txn::record::{Head, Tables};

/// When the next one is due, and where the last one was.
pub(crate) struct Checkpoints {
    bytes: u64,
    /// The log that was in use after the last one.
    used: AtomicU64,
    count: AtomicU64,
    /// Where the last one began.
    begun: Mutex<Lsn>,
    /// From where on records were needed besides it, if that was before it began: by a transaction or a page. Else 0.
    held_back: AtomicU64,
    /// Records from here on are needed for backups that are being taken.
    pinned: Mutex<Vec<Lsn>>,
}

impl Checkpoints {
    pub fn new(bytes: u64) -> Checkpoints {
        Checkpoints {
            bytes,
            used: AtomicU64::new(0),
            count: AtomicU64::new(0),
            begun: Mutex::default(),
            held_back: AtomicU64::new(0),
            pinned: Mutex::default(),
        }
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn pin(&self) -> Lsn {
        self.pinned.lock().iter().min().copied().unwrap_or(Lsn(u64::MAX))
    }
}

/// See [`Shared::pin_log`].
pub(crate) struct Pin<'a> {
    checkpoints: &'a Checkpoints,
    /// Records from here on stay.
    pub from: Lsn,
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut pinned = self.checkpoints.pinned.lock();
        if let Some(place) = pinned.iter().position(|lsn| *lsn == self.from) {
            pinned.swap_remove(place);
        }
    }
}

impl Shared {
    /// Takes one if so much was logged that it is time and nobody else takes one. Otherwise it costs next to nothing, and waits
    /// for nobody.
    pub fn checkpoint_if_due(&self) -> Result<(), Error> {
        if !self.is_checkpoint_due(self.log.used_bytes_lately()) {
            return Ok(());
        }
        let Some(mut begun) = self.checkpoints.begun.try_lock() else { return Ok(()) };
        if !self.is_checkpoint_due(self.log.used_bytes()) {
            return Ok(()); // Somebody else has taken one meanwhile.
        }
        let old = *begun;
        *begun = self.checkpoint(old, Latched::WaitFor)?;
        Ok(())
    }

    fn is_checkpoint_due(&self, used: u64) -> bool {
        let checkpoints = &self.checkpoints;
        let bytes = checkpoints.bytes.min(self.log.capacity() / 4);
        used > checkpoints.used.load(Ordering::Relaxed) + bytes
    }

    /// The log is short of room: takes one that gives back as much as can be, unless that was done a moment ago and what held the
    /// log back then still does. Who has
    /// pages latched waits for nobody.
    pub fn checkpoint_for_room(&self, step: u64, latched: Latched) -> Result<(), Error> {
        let begun = match latched {
            Latched::WaitFor => Some(self.checkpoints.begun.lock()),
            Latched::PassOver => self.checkpoints.begun.try_lock(),
        };
        let Some(mut begun) = begun else { return Ok(()) };
        let used = self.checkpoints.used.load(Ordering::Relaxed);
        if self.log.used_bytes() > used + step || self.has_let_go(latched)? {
            *begun = self.checkpoint(Lsn(u64::MAX), latched)?;
        }
        Ok(())
    }

    /// Whether what held the log back when the last one was taken does so no more.
    fn has_let_go(&self, latched: Latched) -> Result<bool, Error> {
        let held = Lsn(self.checkpoints.held_back.load(Ordering::Relaxed));
        if held == Lsn(0) {
            return Ok(false);
        }
        self.pool.flush_below(Lsn(held.0 + 1), latched)?;
        Ok(self.tables(Lsn(u64::MAX)).needed_from() > held)
    }

    /// Notes what the restart has done, and what is not written yet. Writing it is the next one's: that is due.
    pub fn checkpoint_after_restart(&self) -> Result<(), Error> {
        let mut begun = self.checkpoints.begun.lock();
        *begun = self.checkpoint(Lsn(0), Latched::WaitFor)?;
        self.checkpoints.used.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Takes one after which a restart has next to nothing to do.
    pub fn checkpoint_all(&self) -> Result<(), Error> {
        let mut begun = self.checkpoints.begun.lock();
        *begun = self.checkpoint(Lsn(u64::MAX), Latched::WaitFor)?;
        Ok(())
    }

    /// Writes the pages that have changes below `old`, then notes the rest. Answers where it began.
    fn checkpoint(&self, old: Lsn, latched: Latched) -> Result<Lsn, Error> {
        self.check_running()?;
        self.pool.flush_below(old, latched)?;
        let mut begin = Lsn(0);
        self.log.hold(&mut |end| {
            begin = append(end, &Head::begin_checkpoint(self.identity), &[])?;
            Ok(())
        })?;
        let mut tables = self.tables(begin);
        if tables.encode().len() as u64 > self.log.record_bytes_max() {
            self.pool.flush_below(Lsn(u64::MAX), latched)?;
            tables = self.tables(begin);
        }
        let encoded = tables.encode();
        let mut last = Lsn(0);
        self.log.hold(&mut |end| {
            last = end.append(&[&encoded])?;
            Ok(())
        })?;
        self.log.force(last)?;
        let needed = tables.needed_from();
        self.log.set_mark(needed.min(self.checkpoints.pin()));
        let held = if needed < begin { needed.0 } else { 0 };
        self.checkpoints.held_back.store(held, Ordering::Relaxed);
        self.checkpoints.used.store(self.log.used_bytes(), Ordering::Relaxed);
        self.checkpoints.count.fetch_add(1, Ordering::Relaxed);
        Ok(begin)
    }

    /// Keeps the log for a backup that begins now: from the answer on until it is dropped. Takes a checkpoint, so that the
    /// backup has one.
    pub fn pin_log(&self) -> Result<Pin<'_>, Error> {
        let mut begun = self.checkpoints.begun.lock();
        let mut next = Lsn(0);
        self.log.hold(&mut |end| {
            next = end.next_lsn();
            Ok(())
        })?;
        let (txns, _) = self.txns.lines();
        let from = txns.into_iter().map(|line| line.first).fold(next, Lsn::min);
        self.checkpoints.pinned.lock().push(from);
        let pin = Pin { checkpoints: &self.checkpoints, from };
        *begun = self.checkpoint(*begun, Latched::WaitFor)?;
        Ok(pin)
    }

    fn tables(&self, begin: Lsn) -> Tables {
        let pages = self.pool.dirty_pages();
        let (txns, next_txn) = self.txns.lines();
        Tables { begin, next_txn, txns, pages }
    }
}

impl Tables {
    /// A restart needs records from here on.
    pub fn needed_from(&self) -> Lsn {
        let pages = self.pages.iter().map(|(_, rec_lsn)| *rec_lsn);
        let txns = self.txns.iter().map(|line| line.first);
        pages.chain(txns).fold(self.begin, Lsn::min)
    }
}
