//! What a replica has on its disk: Ombak's commit log, the same for all contenders, or nothing.
//!
//! Each log has a thread that syncs. Whoever wants to know when all that was appended is durable leaves word; all who have
//! left word by the time it begins share one write and one sync.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::{Context, Result};
use ombak_aries::{LogError, Options, OsDisk, SharedLog, StreamId};

const STREAM: StreamId = StreamId(1);
/// As few as the log takes with ease, so that all are in use after a moment.
const OPTIONS: Options = Options { segment_bytes: 32 << 20, segments_max: 4 };

/// Called when all that was appended before is durable.
type Then = Box<dyn FnOnce() + Send>;

/// A replica's log.
#[derive(Clone)]
pub struct Journal(Option<Arc<Inner>>);

struct Inner {
    log: SharedLog<OsDisk>,
    asked: Sender<Then>,
    syncs: AtomicU64,
}

impl Journal {
    /// Keeps nothing; everything is durable at once.
    pub fn none() -> Journal {
        Journal(None)
    }

    /// A new one in a directory.
    pub fn create(dir: &Path) -> Result<Journal> {
        let dir = dir.to_str().context("the directory's name is no text")?;
        let (log, _) = SharedLog::open(OsDisk::open(dir)?, "wal", OPTIONS, |_, _, _| {})?;
        log.set_mark(STREAM, log.next_lsn());
        while log.tidy()? {}
        let (asked, from_replica) = channel();
        let inner = Arc::new(Inner { log, asked, syncs: AtomicU64::new(0) });
        let weak = Arc::downgrade(&inner);
        thread::spawn(move || {
            while let Some(waiting) = next(&from_replica) {
                let Some(inner) = weak.upgrade() else { return };
                inner.sync(waiting).expect("the log failed");
            }
        });
        Ok(Journal(Some(inner)))
    }

    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a record, whose bytes are these parts one after the other.
    pub fn append(&self, parts: &[&[u8]]) {
        if let Some(inner) = &self.0 {
            inner.log.append(STREAM, parts).expect("the log failed");
        }
    }

    /// Adds a record for some entries of a peer: a number for all of them, and each with its length.
    pub fn append_entries<'a>(&self, number: u64, entries: impl Iterator<Item = &'a [u8]>) {
        if !self.is_kept() {
            return;
        }
        let mut bytes = number.to_le_bytes().to_vec();
        for entry in entries {
            bytes.extend_from_slice(&(entry.len() as u32).to_le_bytes());
            bytes.extend_from_slice(entry);
        }
        self.append(&[&bytes]);
    }

    /// Whether something was appended that is not durable.
    pub fn is_dirty(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.log.durable().0 + 1 < inner.log.next_lsn().0)
    }

    /// Syncs, and then calls this, in another thread.
    pub fn sync(&self, then: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Some(inner) => inner.asked.send(Box::new(then)).expect("the log failed"),
            None => then(),
        }
    }

    /// How often it was synced.
    pub fn syncs(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.syncs.load(Ordering::Relaxed))
    }
}

/// All who wait, at least one. `None`: nobody will.
fn next(asked: &Receiver<Then>) -> Option<Vec<Then>> {
    let first = asked.recv().ok()?;
    Some(std::iter::once(first).chain(asked.try_iter()).collect())
}

impl Inner {
    fn sync(&self, waiting: Vec<Then>) -> Result<(), LogError> {
        let durable = self.log.sync()?;
        self.syncs.fetch_add(1, Ordering::Relaxed);
        waiting.into_iter().for_each(|then| then());
        self.log.set_mark(STREAM, durable);
        self.log.tidy()?;
        Ok(())
    }
}

/// Syncs those that have something to sync, at the same time, and waits for all. `false`: none had.
pub fn sync_all(journals: &[Journal]) -> bool {
    let dirty: Vec<_> = journals.iter().filter(|journal| journal.is_dirty()).collect();
    if dirty.is_empty() {
        return false;
    }
    let (done, all_done) = channel();
    for journal in &dirty {
        let done = done.clone();
        journal.sync(move || done.send(()).expect("somebody waits"));
    }
    dirty.iter().for_each(|_| all_done.recv().expect("a log failed"));
    true
}
