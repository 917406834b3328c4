//! Room in the log: so much that everything that runs can be taken back.
//!
//! A log that is full when a transaction has to be taken back would be the end: compensation records need room. So a
//! change is only logged if what all transactions may still have to log to take themselves back fits as well.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::engine::Shared;
use crate::error::Error;
use crate::log::Lsn;
use crate::pool::Latched;
use crate::txn::TxnState;

/// What a record takes besides its change, at most: the heads of the record and of its compensation.
const HEADS_BYTES: u64 = 80;
/// What a sync takes, at least.
const SYNC_BYTES: i64 = 4096;
/// The log is looked at every so many parts of it.
const LOOKS: u64 = 128;
/// After so many looks what was logged is written: what waits for that takes room, and the log does not count it yet.
const LOOKS_UNWRITTEN: u64 = 4;
/// One of so many parts is nobody's: for batches that are not full, and for splits while taking back.
const MARGIN_PARTS: u64 = 8;
/// ... and in a small log so many segments: a start does not know of those that were given back since the last one was begun,
/// and must find one that it can go on in.
const MARGIN_SEGMENTS: u64 = 2;

/// See the module.
pub(crate) struct Room {
    /// Bytes that may be logged before the log is looked at again.
    credit: AtomicI64,
    /// Bytes that taking everything back may need.
    reserved: AtomicU64,
    /// Looks since the log was written.
    unwritten: AtomicU64,
}

impl Room {
    pub fn new() -> Room {
        Room {
            credit: AtomicI64::new(0),
            reserved: AtomicU64::new(0),
            unwritten: AtomicU64::new(0),
        }
    }

    /// Asks for room for a change of so many bytes, and to take it back. Whoever asks has pages latched.
    pub fn take(&self, shared: &Shared, txn: Option<&TxnState>, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64 + HEADS_BYTES;
        if self.credit.fetch_sub(bytes as i64, Ordering::Relaxed) < bytes as i64 {
            self.check(shared)?;
        }
        if let Some(txn) = txn {
            self.reserve(txn, bytes);
        }
        Ok(())
    }

    /// A change of so many bytes is in the log, and may still have to be taken back.
    pub fn keep(&self, txn: &TxnState, bytes: usize) {
        self.reserve(txn, bytes as u64 + HEADS_BYTES);
    }

    fn reserve(&self, txn: &TxnState, bytes: u64) {
        txn.reserved.fetch_add(bytes, Ordering::Relaxed);
        self.reserved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Looks at the log, if it is time, and takes a checkpoint, if it is. Whoever calls has no page latched: a checkpoint
    /// passes latched pages over, and the one page that everybody changes would keep the log from being used again.
    pub fn look(&self, shared: &Shared) -> Result<(), Error> {
        if self.credit.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        if self.unwritten.fetch_add(1, Ordering::Relaxed) >= LOOKS_UNWRITTEN {
            self.write(shared)?;
        }
        shared.checkpoint_if_due()?;
        let capacity = shared.log.capacity();
        let step = capacity / LOOKS;
        let margin = margin(shared);
        // Well before changes are refused.
        if self.is_short(shared, margin + capacity / MARGIN_PARTS) {
            shared.checkpoint_for_room(step, Latched::WaitFor)?;
        }
        if !self.is_short(shared, margin + step) {
            self.credit.store(step.max(1) as i64, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Everything that was logged is written, and so the log counts it.
    fn write(&self, shared: &Shared) -> Result<(), Error> {
        self.unwritten.store(0, Ordering::Relaxed);
        Ok(shared.log.force(Lsn(u64::MAX))?)
    }

    /// Something was synced.
    pub fn forced(&self) {
        self.credit.fetch_sub(SYNC_BYTES, Ordering::Relaxed);
    }

    /// The transaction has ended.
    pub fn give_back(&self, txn: &TxnState) {
        self.reserved.fetch_sub(txn.reserved.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    fn check(&self, shared: &Shared) -> Result<(), Error> {
        let margin = margin(shared);
        if self.is_short(shared, margin) {
            shared.checkpoint_for_room(shared.log.capacity() / LOOKS, Latched::PassOver)?;
        }
        if self.is_short(shared, margin) {
            return Err(Error::LogFull { oldest: shared.oldest_txn() });
        }
        Ok(())
    }

    /// Whether less than `margin` bytes of the log are nobody's. Only if it seems so, it is looked at closely, which waits for
    /// who writes.
    fn is_short(&self, shared: &Shared, margin: u64) -> bool {
        self.is_short_with(shared, shared.log.used_bytes_lately(), margin)
            && self.is_short_with(shared, shared.log.used_bytes(), margin)
    }

    fn is_short_with(&self, shared: &Shared, used: u64, margin: u64) -> bool {
        // Twice: a batch that takes things back may be no fuller than the one that did them.
        let undo = 2 * self.reserved.load(Ordering::Relaxed);
        used + undo + margin > shared.log.capacity()
    }
}

/// Bytes of the log that are kept free; at most half of it.
fn margin(shared: &Shared) -> u64 {
    let capacity = shared.log.capacity();
    let unwritten = 2 * (LOOKS_UNWRITTEN + 1) * (capacity / LOOKS);
    let segments = MARGIN_SEGMENTS * shared.log.record_bytes_max() + unwritten;
    segments.max(capacity / MARGIN_PARTS).min(capacity / 2)
}
