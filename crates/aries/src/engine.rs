//! The engine: log, pool, transactions and resource managers, put together.

mod analysis;
mod backup;
mod checkpoint;
mod dirty;
mod files;
mod meta;
mod redo;
mod restart;
mod unknown;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ombak_base::Disk;
use parking_lot::Mutex;

use crate::error::Error;
use crate::log::{Lsn, Options as LogOptions};
use crate::manager::{Managers, ResourceManager};
use crate::page::{ManagerId, PageId};
use crate::pool::{Pool, PoolUsage};
use crate::room::Room;
use crate::scope::Scope;
use crate::tree::{Dropped, Ghosts};
use crate::txn::locks::{Locks, Waits};
use crate::txn::record::Record;
use crate::txn::table::TxnTable;
use crate::txn::{Transaction, TxnId};
use crate::wal::Wal;

use checkpoint::Checkpoints;

pub(crate) use analysis::{Analysis, Analyst};
pub use backup::Backup;
pub(crate) use files::{open_pair, repair};
pub(crate) use meta::{Meta, check as check_page, count as page_count, taken as page_taken};
pub use restart::Restart;
pub(crate) use restart::check_log;

/// More would wait for who reads the log.
const REDO_THREADS_MAX: NonZeroU32 = NonZeroU32::new(4).expect("it is not 0");

/// How an engine is set up.
pub struct EngineOptions {
    /// A number of your own that tells this database from others, 0 if you have none. Fixed when the database is made;
    /// opened with another, it is refused.
    pub identity: u64,
    /// Memory for pages, in bytes.
    pub pool_bytes: u64,
    /// How large the log is.
    pub log: LogOptions,
    /// A checkpoint is due after so many bytes of log: what a restart has to read is about twice that.
    pub checkpoint_bytes: u64,
    /// No part of the log is used again before [`Engine::archive`] has copied it.
    pub archived: bool,
    /// What a transaction does when another has the lock.
    pub waits: Waits,
    /// Threads that repeat history at a restart, for as long as that takes. With 1, whoever opens the engine does all of it; with
    /// more, another reads the log for them, and for analysis.
    pub redo_threads: NonZeroU32,
    /// Structures besides this crate's.
    pub managers: Vec<Box<dyn ResourceManager>>,
}

impl Default for EngineOptions {
    /// 64 MiB of pages, 1 GiB of log, a checkpoint each 64 MiB; and as many threads as there are cores, up to four.
    fn default() -> EngineOptions {
        EngineOptions {
            identity: 0,
            pool_bytes: 64 * 1024 * 1024,
            log: LogOptions::default(),
            checkpoint_bytes: 64 * 1024 * 1024,
            archived: false,
            waits: Waits::Block,
            redo_threads: cores().min(REDO_THREADS_MAX),
            managers: Vec::new(),
        }
    }
}

/// As far as the system says.
fn cores() -> NonZeroU32 {
    let cores = thread::available_parallelism().ok();
    cores.and_then(|cores| NonZeroU32::try_from(cores).ok()).unwrap_or(NonZeroU32::MIN)
}

/// A transactional storage engine in a directory of a [`Disk`]. Clones are handles of the same one, for any number of
/// threads. It has none of its own, but while it is opened: call [`tidy`](Engine::tidy) when there is time.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Shared>);

/// What all handles share.
pub(crate) struct Shared {
    pub log: Arc<dyn Wal>,
    pub pool: Pool,
    pub txns: TxnTable,
    pub locks: Locks,
    pub waits: Waits,
    pub room: Room,
    pub checkpoints: Checkpoints,
    pub ghosts: Ghosts,
    pub dropped: Dropped,
    pub identity: u64,
    managers: Arc<Managers>,
    /// Between a restart's redo and the end of its undo: what others hold is not known.
    pub restarting: AtomicBool,
    stopped: AtomicBool,
    why_stopped: Mutex<String>,
}

/// What an engine holds and has done since it was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EngineUsage {
    /// The buffer pool.
    pub pool: PoolUsage,
    /// Transactions that run, or are prepared.
    pub running: usize,
    /// Bytes of log that can't be used again yet.
    pub log_used_bytes: u64,
    /// The bound of that.
    pub log_bytes_max: u64,
    /// Bytes written to the log since it was opened: see [`SharedLog::written_bytes`](crate::SharedLog::written_bytes).
    pub log_written_bytes: u64,
    /// Checkpoints since it was opened.
    pub checkpoints: u64,
}

impl Engine {
    /// Opens the engine in the directory `dir` of `disk` (`""`: the disk itself), or makes it, and recovers: what was
    /// committed is there, what was not is not. Nothing else may have it open.
    ///
    /// Its files are `pages`, `pages.double`, and the directory `wal`. If they are not those of one database, or not of this
    /// version, or cut short, it is refused before anything is changed. A page or record that can't be used may be found later,
    /// by redo or undo; then open it again once that is mended: it begins anew.
    pub fn open<D: Disk>(
        disk: D,
        dir: &str,
        options: EngineOptions,
    ) -> Result<(Engine, Restart), Error> {
        restart::open(disk, dir, options)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Transaction {
        let (state, snapshot) = self.0.txns.begin();
        Transaction { engine: self.clone(), state, snapshot, locks: Vec::new(), ended: false }
    }

    /// Makes everything durable that was committed, lazily or not.
    pub fn sync(&self) -> Result<(), Error> {
        let mut last = Lsn(0);
        self.0.log.hold(&mut |end| {
            last = Lsn(end.next_lsn().0 - 1);
            Ok(())
        })?;
        self.force(last)
    }

    /// Everything committed by records up to here is durable.
    pub fn durable(&self) -> Lsn {
        self.0.log.durable()
    }

    /// Makes everything durable up to a record: see [`Transaction::commit_lazily`].
    pub fn force(&self, lsn: Lsn) -> Result<(), Error> {
        if self.0.log.durable() < lsn {
            self.0.log.force(lsn)?;
            self.0.room.forced();
        }
        Ok(())
    }

    /// Does a piece of what would otherwise hold up a commit: a checkpoint that is due, the next segment of the log.
    /// `false`: nothing is left to do.
    pub fn tidy(&self) -> Result<bool, Error> {
        self.0.checkpoint_if_due()?;
        Ok(self.clear_ghosts()? || self.free_dropped()? || self.0.log.tidy()?)
    }

    /// Takes a checkpoint now, after writing all changed pages: a restart has next to nothing to do. Before closing, if
    /// there is time.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.0.checkpoint_all()
    }

    /// What it holds and has done.
    pub fn usage(&self) -> EngineUsage {
        EngineUsage {
            pool: self.0.pool.usage(),
            running: self.0.txns.running(),
            log_used_bytes: self.0.log.used_bytes(),
            log_bytes_max: self.0.log.capacity(),
            log_written_bytes: self.0.log.written_bytes(),
            checkpoints: self.0.checkpoints.count(),
        }
    }

    /// What a structure says of a page that contradicts itself, or another: names the file, and where the page stands.
    pub fn corrupt(&self, page: PageId, why: &'static str) -> Error {
        self.0.pool.corrupt(page, why)
    }

    pub(crate) fn single(&self) -> Scope<'_> {
        Scope::single(&self.0)
    }
}

impl Shared {
    fn new(
        log: Arc<dyn Wal>,
        pool: Pool,
        options: EngineOptions,
        managers: Arc<Managers>,
        identity: u64,
    ) -> Shared {
        Shared {
            checkpoints: Checkpoints::new(options.checkpoint_bytes),
            log,
            pool: pool.shown_to(managers.clone()),
            txns: TxnTable::new(1),
            locks: Locks::new(),
            waits: options.waits,
            room: Room::new(),
            ghosts: Ghosts::default(),
            dropped: Dropped::default(),
            identity,
            managers,
            restarting: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            why_stopped: Mutex::default(),
        }
    }

    /// The resource manager of a record.
    pub fn manager(&self, id: ManagerId, lsn: Lsn) -> Result<&dyn ResourceManager, Error> {
        let refused = || unknown::refusal(id, lsn, self.log.place_of(lsn));
        self.managers.find(id).ok_or_else(refused)
    }

    /// Reads a record that the log has given.
    pub fn record<'a>(&self, lsn: Lsn, bytes: &'a [u8]) -> Result<Record<'a>, Error> {
        Record::decode(bytes).map_err(|found| Error::unread(self.log.place_of(lsn), lsn, found))
    }

    /// A record can't be used.
    pub fn malformed(&self, lsn: Lsn, why: &'static str) -> Error {
        Error::malformed(self.log.place_of(lsn), lsn, why)
    }

    /// Whether losers may not have been taken back yet.
    pub fn is_restarting(&self) -> bool {
        self.restarting.load(Ordering::Acquire)
    }

    /// Memory is not what the log says any more.
    pub fn stop(&self, why: &str) {
        let mut first = self.why_stopped.lock();
        if !self.stopped.swap(true, Ordering::AcqRel) {
            *first = why.to_string();
        }
    }

    pub fn check_running(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(Error::Stopped { why: self.why_stopped.lock().clone() });
        }
        Ok(())
    }

    /// Whose records reach back farthest.
    pub fn oldest_txn(&self) -> Option<TxnId> {
        let (lines, _) = self.txns.lines();
        lines.into_iter().min_by_key(|line| line.first).map(|line| line.txn)
    }
}

#[cfg(test)]
pub(crate) mod tests;
