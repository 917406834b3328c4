//! The restart, in three passes. Names are the paper's.
//!
//! 1. **Analysis** reads the log forward: which transactions had not ended (the losers), and which pages may have changes
//!    that the page file lacks. The tables of the last whole checkpoint say how it was there.
//! 2. **Redo** repeats history: it does every change again whose LSN is above its page's, losers' and compensations too,
//!    so that the pages are as they were when the lights went out.
//! 3. **Undo** takes the losers back, last changes first, all of them in one sweep, and logs what it does as
//!    compensation records. A crash in the middle of it repeats these and goes on where it was: nothing is taken
//!    back twice.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ombak_base::Disk;

use super::analysis::{Analysis, analyse};
use super::files::{self, Files, join};
use super::unknown::Unknown;
use super::{Engine, EngineOptions, Shared, backup};
use crate::error::Error;
use crate::log::shared::SharedLog;
use crate::log::{Lsn, Options as LogOptions, ReadLog, Recovery};
use crate::manager::Managers;
use crate::page::{PAGE_BYTES, PageId};
use crate::pool::{InFile, Pool};
use crate::txn::record::{Record, State};
use crate::txn::{Prepared, Transaction, TxnId};
use crate::wal::Wal;

/// What a restart found and did.
#[derive(Default)]
pub struct Restart {
    /// What the log found.
    pub log: Recovery,
    /// Where the last whole checkpoint began; 0: there was none.
    pub checkpoint: Lsn,
    /// The first record that redo looked at.
    pub redo_from: Lsn,
    /// Changes that were done again.
    pub redone: u64,
    /// Changes that the pages had.
    pub skipped: u64,
    /// Transactions that had not ended, and were taken back.
    pub losers: Vec<TxnId>,
    /// Pages that were torn, and were put right from their copy.
    pub repaired: Vec<PageId>,
    /// Transactions that are prepared: each waits to be told.
    pub prepared: Vec<Prepared>,
}

/// See [`Engine::open`].
pub fn open<D: Disk>(
    disk: D,
    dir: &str,
    mut options: EngineOptions,
) -> Result<(Engine, Restart), Error> {
    let dir = dir.trim_matches('/');
    let restored = backup::pending(&disk, dir)?;
    options.log = long_enough(&disk, dir, options.log, restored)?;
    let managers = Arc::new(Managers::with(std::mem::take(&mut options.managers)));
    let unknown = Unknown::besides(&managers);
    let threads = options.redo_threads;
    let (analysis, log, in_file) = analyse(&disk, dir, options.log, restored, unknown, threads)?;
    check_log(log.recovery(), &analysis)?;
    files::look(&disk, dir, options.identity, &analysis, &log)?;
    // What is refused is refused before this.
    let mut restart = Restart { checkpoint: analysis.checkpoint, ..Restart::default() };
    let engine = take_up(&disk, dir, options, (managers, in_file), log, &mut restart)?;
    // Segments say what was needed when they were begun. A start may have to begin another, and all may be in use.
    engine.0.log.set_mark(analysis.needed_from());
    engine.repeat(analysis, threads, &mut restart)?;
    if restored.is_none() && restart.redone > 0 {
        engine.0.checkpoint_after_restart()?;
    } else {
        engine.0.checkpoint_all()?;
    }
    if restored.is_some() {
        backup::finish(&disk, dir)?;
    }
    Ok((engine, restart))
}

/// A log that was restored may be longer than it ever was at once, and what is taken back has to be logged.
fn long_enough<D: Disk>(
    disk: &D,
    dir: &str,
    log: LogOptions,
    restored: Option<Lsn>,
) -> Result<LogOptions, Error> {
    let segments = backup::segments(disk, &join(dir, "wal"))?;
    if restored.is_none() && segments <= log.segments_max {
        return Ok(log);
    }
    Ok(LogOptions { segments_max: log.segments_max.max(2 * segments + 4), ..log })
}

/// From here on the database is written to: an engine over its files, which knows nothing of what they lack.
fn take_up<D: Disk>(
    disk: &D,
    dir: &str,
    options: EngineOptions,
    (managers, in_file): (Arc<Managers>, Arc<InFile>),
    log: ReadLog<D>,
    restart: &mut Restart,
) -> Result<Engine, Error> {
    let (log, found) = log.take_up()?;
    restart.log = found;
    let log = SharedLog::from(log);
    if options.archived {
        log.keep_for_archive();
    }
    let Files { pages, double, identity, repaired } = Files::open(disk, dir, options.identity)?;
    restart.repaired = repaired;
    let log: Arc<dyn Wal> = Arc::new(log);
    let frames = (options.pool_bytes / PAGE_BYTES as u64) as usize;
    let pool = Pool::new(frames, (pages, double), identity, log.clone())?.knowing(in_file);
    Ok(Engine(Arc::new(Shared::new(log, pool, options, managers, identity))))
}

/// Whether the log has everything that the restart needs.
pub fn check_log(log: &Recovery, analysis: &Analysis) -> Result<(), Error> {
    let needed = analysis.needed_from();
    let lost =
        log.damaged.iter().find(|lost| lost.first_lsn < lost.next_lsn && lost.next_lsn > needed);
    lost.map_or(Ok(()), |lost| {
        Err(Error::LogDamaged {
            file: lost.file.clone(),
            offset: lost.offset,
            first: lost.first_lsn.0,
            next: lost.next_lsn.0,
        })
    })
}

impl Engine {
    /// The second pass and the third: afterwards it is as if nothing had happened.
    fn repeat(
        &self,
        analysis: Analysis,
        threads: NonZeroU32,
        restart: &mut Restart,
    ) -> Result<(), Error> {
        self.0.txns.start_at(analysis.next_txn);
        self.0.redo(&analysis, threads, restart)?;
        self.0.pool.set_used(self.0.pages()?);
        self.undo(analysis, restart)?;
        self.0.restarting.store(false, Ordering::Release);
        self.found()?;
        match self.find_dropped() {
            // Whoever looks for a name is told. Pages of dropped trees are not given back then.
            Err(Error::Damaged { .. } | Error::Corrupt { .. } | Error::LogFull { .. }) => Ok(()),
            found => found,
        }
    }

    /// Takes back all losers in one sweep: always the change that was done last.
    fn undo(&self, analysis: Analysis, restart: &mut Restart) -> Result<(), Error> {
        let mut losers = BTreeMap::new();
        for line in analysis.txns.into_values() {
            let (state, snapshot) = self.0.txns.adopt(&line);
            if line.state == State::Prepared {
                restart.prepared.push(self.adopt_prepared(state, snapshot)?);
                continue;
            }
            restart.losers.push(state.id);
            losers.insert((state.undo_next(), state.id), (state, snapshot));
        }
        while let Some(((undo_next, id), (state, snapshot))) = losers.pop_last() {
            if undo_next != Lsn(0) {
                self.0.undo_one(&state)?;
                losers.insert((state.undo_next(), id), (state, snapshot));
                continue;
            }
            self.0.end(&state)?;
            self.0.txns.leave(&state, snapshot);
        }
        Ok(())
    }

    /// A prepared transaction is given its locks again, and room in the log to be taken back.
    fn adopt_prepared(
        &self,
        state: Arc<crate::txn::TxnState>,
        snapshot: u64,
    ) -> Result<Prepared, Error> {
        let mut txn =
            Transaction { engine: self.clone(), state, snapshot, locks: Vec::new(), ended: false };
        let mut name = Vec::new();
        let (mut locks, mut unchanged) = (Vec::new(), Vec::new());
        let mut next = txn.state.link().prev;
        while next != Lsn(0) {
            let bytes = self.0.log.read(next)?;
            let record = self.0.record(next, &bytes)?;
            match &record {
                Record::Prepare { name: found, .. } => name = found.to_vec(),
                Record::Locked { names, .. } => unchanged.extend(names.iter()),
                Record::Update { change, .. } => {
                    locks.extend(
                        self.0.manager(change.manager, next)?.lock(change.page, change.bytes),
                    );
                    self.0.room.keep(&txn.state, change.bytes.len());
                }
                _ => {}
            }
            next = record.link().map_or(Lsn(0), |link| link.prev);
        }
        // The first change of each knows what was there before.
        for locked in locks.into_iter().rev() {
            if self.0.locks.acquire(&txn.state, &locked.name, None, self.0.waits)? {
                txn.locks.push(locked.name.clone());
            }
            self.0.locks.remember(&txn.state, &locked.name, || locked.before);
        }
        for name in unchanged {
            if self.0.locks.acquire(&txn.state, &name, None, self.0.waits)? {
                txn.locks.push(name);
            }
        }
        Ok(Prepared { txn: Some(txn), name })
    }
}
