//! The restart, in three passes. Names are the paper's.
//!
//! 1. **Analysis** reads the log forward: which transactions had not ended (the losers), and which pages may have changes
//!    that the page file lacks. The tables of the last whole checkpoint say how it was there.
//! 2. **Redo** repeats history: it does every change again whose LSN is above its page's, losers' and compensations too,
//!    so that the pages are as they were when the lights went out.
//! 3. **Undo** takes the losers back, last changes first, all of them in one sweep, and logs what it does as
//!    compensation records. A crash in the middle of it repeats these and goes on where it was: nothing is taken
//!    back twice.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ombak_base::Disk;

use super::files::{self, Files, join};
use super::{Engine, EngineOptions, Shared, backup};
use crate::error::Error;
use crate::log::shared::SharedLog;
use crate::log::{Lsn, Options as LogOptions, Place, ReadLog, Recovery, Replayed};
use crate::page::{PAGE_BYTES, PageId};
use crate::pool::Pool;
use crate::txn::record::{NoRecord, Record, State, Tables, TxnLine};
use crate::txn::{Prepared, Transaction, TxnId};
use crate::wal::{STREAM, Wal};

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

/// What analysis knows.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Analysis {
    /// Where the last whole checkpoint began; 0: none.
    pub checkpoint: Lsn,
    /// Of the database, if a checkpoint said so.
    pub identity: Option<u64>,
    /// Transactions that have not ended.
    pub txns: BTreeMap<TxnId, TxnLine>,
    /// Pages that may lack changes, from the first such change on.
    pub pages: BTreeMap<PageId, Lsn>,
    /// No transaction had this number, or one above.
    pub next_txn: u64,
    /// Transactions that ended since the checkpoint began.
    ended: BTreeSet<TxnId>,
    /// Every page may lack changes from here on, whatever checkpoints say: the page file is an older one, from a backup.
    pub all_from: Option<Lsn>,
}

impl Analysis {
    fn note(&mut self, lsn: Lsn, record: &Record<'_>) {
        if let Some(change) = record.change() {
            self.pages.entry(change.page).or_insert(lsn);
        }
        let Some(link) = record.link() else { return };
        self.next_txn = self.next_txn.max(link.txn.0.saturating_add(1));
        if matches!(record, Record::Commit(_) | Record::End(_)) {
            self.txns.remove(&link.txn);
            self.ended.insert(link.txn);
            return;
        }
        // What is not undone leads to the one before it.
        let new = TxnLine {
            txn: link.txn,
            state: State::Active,
            first: lsn,
            last: lsn,
            undo_next: link.prev,
        };
        let line = self.txns.entry(link.txn).or_insert(new);
        line.last = lsn;
        match record {
            Record::Update { .. } => line.undo_next = lsn,
            Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
                line.undo_next = *undo_next;
            }
            Record::Prepare { .. } => line.state = State::Prepared,
            Record::Rollback(_) => line.state = State::RollingBack,
            _ => {}
        }
    }

    /// What was seen since a checkpoint began, and what it found then.
    fn merge(&mut self, tables: Tables) {
        for line in tables.txns {
            if self.ended.contains(&line.txn) {
                continue;
            }
            match self.txns.get_mut(&line.txn) {
                // Seen since: only where it began is not known.
                Some(known) => known.first = known.first.min(line.first),
                None => drop(self.txns.insert(line.txn, line)),
            }
        }
        for (page, rec_lsn) in tables.pages {
            let known = self.pages.entry(page).or_insert(rec_lsn);
            *known = rec_lsn.min(*known);
        }
        self.next_txn = self.next_txn.max(tables.next_txn);
        self.checkpoint = tables.begin;
    }

    /// The first record that redo looks at.
    pub fn redo_from(&self) -> Option<Lsn> {
        self.all_from.or_else(|| self.pages.values().min().copied())
    }

    /// Whether the page may lack the change.
    pub(super) fn may_lack(&self, page: PageId, lsn: Lsn) -> bool {
        self.all_from.is_some() || self.pages.get(&page).is_some_and(|rec_lsn| lsn >= *rec_lsn)
    }
}

/// Analysis while the log is read: what is known since the checkpoint before, and since the one that has begun.
#[derive(Clone, Default)]
pub struct Analyst {
    whole: Analysis,
    since: Option<(Lsn, Analysis)>,
    /// The first record that can't be understood, and where it stands.
    unread: Option<(Lsn, NoRecord, Place)>,
}

impl Analyst {
    /// The next record of the engine's stream.
    pub fn read(&mut self, lsn: Lsn, bytes: &[u8], place: impl FnOnce() -> Place) {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(found) => {
                self.unread.get_or_insert_with(|| (lsn, found, place()));
                return;
            }
        };
        match record {
            Record::BeginCheckpoint { identity } => {
                self.whole.identity = Some(identity);
                let since = Analysis { identity: Some(identity), ..Analysis::default() };
                self.since = Some((lsn, since));
            }
            Record::EndCheckpoint(tables) => {
                if let Some((begin, mut since)) =
                    self.since.take_if(|(begin, _)| *begin == tables.begin)
                {
                    since.merge(tables);
                    since.checkpoint = begin;
                    self.whole = since;
                }
            }
            record => {
                self.whole.note(lsn, &record);
                if let Some((_, since)) = &mut self.since {
                    since.note(lsn, &record);
                }
            }
        }
    }

    /// What it comes to.
    pub fn done(self) -> Result<Analysis, Error> {
        match self.unread {
            Some((lsn, found, place)) => Err(Error::unread(place, lsn, found)),
            None => Ok(self.whole),
        }
    }
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
    let (analysis, log) = analyse(&disk, dir, options.log, restored)?;
    check_log(log.recovery(), &analysis)?;
    files::look(&disk, dir, options.identity, &analysis, &log)?;
    // What is refused is refused before this.
    let mut restart = Restart { checkpoint: analysis.checkpoint, ..Restart::default() };
    let threads = options.redo_threads;
    let engine = take_up(&disk, dir, options, log, &mut restart)?;
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

/// The first pass. The log is as it was.
fn analyse<D: Disk>(
    disk: &D,
    dir: &str,
    options: LogOptions,
    restored: Option<Lsn>,
) -> Result<(Analysis, ReadLog<D>), Error> {
    let mut analyst = Analyst::default();
    let log = ReadLog::read(disk.clone(), &join(dir, "wal"), options, |record: Replayed<'_>| {
        let Replayed { stream, lsn, payload, file, offset } = record;
        if stream == STREAM {
            analyst.read(lsn, &payload, || Place { file: file.to_string(), offset });
        }
    })?;
    Ok((Analysis { all_from: restored, ..analyst.done()? }, log))
}

/// From here on the database is written to: an engine over its files, which knows nothing of what they lack.
fn take_up<D: Disk>(
    disk: &D,
    dir: &str,
    options: EngineOptions,
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
    let pool = Pool::new(frames, (pages, double), identity, log.clone())?;
    Ok(Engine(Arc::new(Shared::new(log, pool, options, identity))))
}

/// Whether the log has everything that the restart needs.
pub fn check_log(log: &Recovery, analysis: &Analysis) -> Result<(), Error> {
    let firsts = analysis.txns.values().map(|line| line.first);
    let needed = firsts.chain(analysis.redo_from()).fold(analysis.checkpoint, Lsn::min);
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
