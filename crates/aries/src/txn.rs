//! Transactions: begin, change, commit or take back; savepoints; two-phase commit.

pub(crate) mod locks;
pub(crate) mod record;
pub(crate) mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use ombak_base::planted;

use crate::engine::{Engine, Shared};
use crate::error::Error;
use crate::log::Lsn;
use crate::page::{ManagerId, PageId};
use crate::pool::{PageMut, PageRef};
use crate::scope::{Purpose, Scope, append};

pub use locks::LockName;

use record::{Head, Link, LockNames, Record, State, TxnLine};

/// A transaction's number. It is never given to another in the same log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TxnId(pub u64);

impl std::fmt::Debug for TxnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "txn{}", self.0)
    }
}

/// What a checkpoint, a lock and a snapshot have to know of a transaction. Changed while the log's end is held, so that
/// a checkpoint sees everything that was logged before it.
#[derive(Debug)]
pub(crate) struct TxnState {
    pub id: TxnId,
    state: AtomicU8,
    first: AtomicU64,
    last: AtomicU64,
    undo_next: AtomicU64,
    /// When it became visible, in commits; 0: it has not.
    committed: AtomicU64,
    /// Bytes of log that taking it back may need.
    pub reserved: AtomicU64,
}

/// [`TxnState`]'s state once there is nothing to undo.
const ENDED: u8 = 255;
/// Names of locks in a record, about.
const NAMES_BYTES: usize = 1024;

impl TxnState {
    pub fn new(id: TxnId) -> TxnState {
        TxnState {
            id,
            state: AtomicU8::new(State::Active as u8),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            undo_next: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
        }
    }

    /// As a restart found it.
    pub fn found(line: &TxnLine) -> TxnState {
        TxnState {
            state: AtomicU8::new(line.state as u8),
            first: AtomicU64::new(line.first.0),
            last: AtomicU64::new(line.last.0),
            undo_next: AtomicU64::new(line.undo_next.0),
            ..TxnState::new(line.txn)
        }
    }

    pub fn link(&self) -> Link {
        Link { txn: self.id, prev: Lsn(self.last.load(Ordering::Acquire)) }
    }

    pub fn undo_next(&self) -> Lsn {
        Lsn(self.undo_next.load(Ordering::Acquire))
    }

    /// It has logged a record; while the log's end is held.
    pub fn note(&self, last: Lsn, undo_next: Lsn) {
        let _ = self.first.compare_exchange(0, last.0, Ordering::AcqRel, Ordering::Relaxed);
        self.last.store(last.0, Ordering::Release);
        self.undo_next.store(undo_next.0, Ordering::Release);
    }

    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// There is nothing to undo any more.
    pub fn set_ended(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    pub fn set_committed(&self, at: u64) {
        self.committed.store(at, Ordering::Release);
    }

    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    fn has_logged(&self) -> bool {
        self.first.load(Ordering::Acquire) != 0
    }

    /// Its line in the transaction table, if it has logged anything and not ended.
    pub fn line(&self) -> Option<TxnLine> {
        let state = match self.state.load(Ordering::Acquire) {
            0 => State::Active,
            1 => State::Prepared,
            2 => State::RollingBack,
            _ => return None,
        };
        self.has_logged().then(|| TxnLine {
            txn: self.id,
            state,
            first: Lsn(self.first.load(Ordering::Acquire)),
            last: Lsn(self.last.load(Ordering::Acquire)),
            undo_next: self.undo_next(),
        })
    }
}

/// A transaction that runs. Dropped, it is taken back.
///
/// # Isolation
///
/// It reads from a snapshot: what had been committed when it began, and its own changes. It locks what it changes
/// until it ends, and may not change what another changed and committed since its snapshot
/// ([`Error::Conflict`]): *snapshot isolation*, first updater wins. So it is serializable but for write skew: two
/// transactions that each read what the other changes. Who minds locks what he reads, too
/// ([`Tree::get_locked`](crate::Tree::get_locked)).
///
/// What a snapshot shows is durable, or was committed by [`commit_lazily`](Transaction::commit_lazily).
pub struct Transaction {
    pub(crate) engine: Engine,
    pub(crate) state: Arc<TxnState>,
    /// What it sees: commits up to this one.
    pub(crate) snapshot: u64,
    pub(crate) locks: Vec<LockName>,
    pub(crate) ended: bool,
}

/// A point to which a transaction can be taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Savepoint {
    txn: TxnId,
    undo_next: Lsn,
}

impl Transaction {
    /// Its number.
    pub fn id(&self) -> TxnId {
        self.state.id
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.engine.0
    }

    /// Latches a page for reading: see [`ResourceManager`](crate::ResourceManager).
    pub fn read(&self, page: PageId) -> Result<PageRef<'_>, Error> {
        self.shared().pool.read(page)
    }

    /// Latches a page for writing.
    pub fn write(&self, page: PageId) -> Result<PageMut<'_>, Error> {
        self.shared().pool.write(page)
    }

    /// Logs a change and does it. The page is latched by [`write`](Transaction::write) of any transaction.
    pub fn apply(
        &self,
        page: &mut PageMut<'_>,
        manager: ManagerId,
        change: &[&[u8]],
    ) -> Result<Lsn, Error> {
        self.scope().apply(page, manager, change)
    }

    /// Locks a name until the transaction ends; waits for whoever holds it. [`Error::Conflict`] if somebody changed what
    /// it stands for since this transaction's snapshot.
    pub fn lock(&mut self, name: LockName) -> Result<(), Error> {
        let shared = &self.engine.0;
        if shared.locks.acquire(&self.state, &name, Some(self.snapshot), shared.waits)? {
            self.locks.push(name);
        }
        Ok(())
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope::forward(self.shared(), &self.state)
    }

    /// Makes it durable, and then visible to others. After an error it depends on the disk whether it is there after a
    /// restart; until then nobody sees it.
    pub fn commit(mut self) -> Result<(), Error> {
        let lsn = self.log_commit()?;
        if lsn != Lsn(0) && !planted!("a commit before its sync") {
            let forced = self.shared().log.force(lsn);
            self.shared().room.forced();
            if let Err(error) = forced {
                self.leave_locked(); // Neither here nor gone.
                return Err(error.into());
            }
        }
        self.publish();
        Ok(())
    }

    /// Makes it visible at once, and durable with whatever is made durable next. After a crash it is there whole or not at
    /// all, and so are those before it.
    pub fn commit_lazily(mut self) -> Result<Lsn, Error> {
        let lsn = self.log_commit()?;
        self.publish();
        Ok(lsn)
    }

    fn log_commit(&mut self) -> Result<Lsn, Error> {
        let shared = &self.engine.0;
        shared.check_running()?;
        shared.room.look(shared)?;
        let mut lsn = Lsn(0);
        if self.state.has_logged() {
            shared.log.hold(&mut |end| {
                lsn = append(end, &Head::commit(self.state.link()), &[])?;
                self.state.set_ended();
                Ok(())
            })?;
        }
        Ok(lsn)
    }

    fn publish(&mut self) {
        self.ended = true;
        let shared = &self.engine.0;
        let changed: Arc<[LockName]> = std::mem::take(&mut self.locks).into();
        let (oldest, forgotten) = shared.txns.publish(&self.state, self.snapshot, &changed);
        shared.locks.unlock(&changed, oldest);
        let of_others = forgotten.iter().filter(|other| !Arc::ptr_eq(other, &changed));
        of_others.for_each(|changed| shared.locks.forget(changed, oldest));
        shared.room.give_back(&self.state);
    }

    /// Takes everything back. After an error (a page that it needs can't be read, or every frame of the pool is in use) it is
    /// taken back in part: its locks and its part of the log stay taken until a restart takes back the rest.
    pub fn rollback(mut self) -> Result<(), Error> {
        self.take_back()
    }

    fn take_back(&mut self) -> Result<(), Error> {
        self.ended = true;
        let shared = &self.engine.0;
        if self.state.has_logged()
            && let Err(error) = shared.roll_back(&self.state)
        {
            self.leave_locked();
            return Err(error);
        }
        self.release();
        Ok(())
    }

    /// It ends with the next restart. Until then nobody has what it has locked, and nobody waits for it.
    fn leave_locked(&mut self) {
        self.ended = true;
        self.engine.0.locks.keep(&self.locks);
    }

    fn release(&mut self) {
        let shared = &self.engine.0;
        shared.locks.release(&self.state, &std::mem::take(&mut self.locks));
        let (oldest, forgotten) = shared.txns.leave(&self.state, self.snapshot);
        forgotten.iter().for_each(|changed| shared.locks.forget(changed, oldest));
        shared.room.give_back(&self.state);
    }

    /// Where it is now.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { txn: self.id(), undo_next: self.state.undo_next() }
    }

    /// Takes back what it did since the savepoint. Its locks stay.
    ///
    /// # Panics
    ///
    /// If the savepoint is another transaction's.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), Error> {
        assert_eq!(savepoint.txn, self.id(), "a savepoint of another transaction");
        self.shared().undo_until(&self.state, savepoint.undo_next)
    }

    /// The first half of two-phase commit: once this returns, it is durable that the transaction can commit, and it waits
    /// to be told, after a crash as well: a restart finds it, by its name ([`Restart::prepared`](crate::Restart::prepared)).
    pub fn prepare(self, name: &[u8]) -> Result<Prepared, Error> {
        let shared = &self.engine.0;
        shared.check_running()?;
        let mut lsn = Lsn(0);
        let unchanged = locked_only(&shared.locks.unchanged(&self.state, &self.locks));
        shared.log.hold(&mut |end| {
            let undo_next = self.state.undo_next();
            for names in &unchanged {
                lsn = append(end, &Head::locked(self.state.link()), &[names])?;
                self.state.note(lsn, undo_next);
            }
            lsn = append(end, &Head::prepare(self.state.link()), &[name])?;
            self.state.note(lsn, undo_next);
            self.state.set_state(State::Prepared);
            Ok(())
        })?;
        shared.log.force(lsn)?;
        Ok(Prepared { txn: Some(self), name: name.to_vec() })
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.take_back()
        {
            self.shared().stop(&error.to_string());
        }
    }
}

/// Names of locks, as records of a size that any log takes.
fn locked_only(names: &[LockName]) -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = Vec::new();
    for name in names {
        match records.last_mut().filter(|last| last.len() < NAMES_BYTES) {
            Some(last) => LockNames::push(last, name),
            None => {
                let mut first = Vec::new();
                LockNames::push(&mut first, name);
                records.push(first);
            }
        }
    }
    records
}

/// A transaction that is prepared. Dropped, it stays so, until a restart finds it, and nobody waits for its locks.
pub struct Prepared {
    pub(crate) txn: Option<Transaction>,
    pub(crate) name: Vec<u8>,
}

impl Prepared {
    /// What the coordinator calls it.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The second half.
    pub fn commit(mut self) -> Result<(), Error> {
        self.txn.take().map_or(Ok(()), Transaction::commit)
    }

    /// The other second half. Durable, too: nobody is told of the transaction again.
    pub fn rollback(mut self) -> Result<(), Error> {
        let Some(txn) = self.txn.take() else { return Ok(()) };
        let engine = txn.engine.clone();
        txn.rollback()?;
        engine.sync()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(txn) = &mut self.txn {
            txn.leave_locked();
        }
    }
}

impl Shared {
    /// Takes a transaction back as a whole.
    pub(crate) fn roll_back(&self, txn: &TxnState) -> Result<(), Error> {
        self.log.hold(&mut |end| {
            let lsn = append(end, &Head::rollback(txn.link()), &[])?;
            txn.note(lsn, txn.undo_next());
            txn.set_state(State::RollingBack);
            Ok(())
        })?;
        self.undo_until(txn, Lsn(0))?;
        self.end(txn)
    }

    pub(crate) fn end(&self, txn: &TxnState) -> Result<(), Error> {
        self.log.hold(&mut |end| {
            append(end, &Head::end(txn.link()), &[])?;
            txn.set_ended();
            Ok(())
        })?;
        Ok(())
    }

    /// Takes back, last things first, what the transaction did after `until`.
    pub(crate) fn undo_until(&self, txn: &TxnState, until: Lsn) -> Result<(), Error> {
        while txn.undo_next() > until {
            self.undo_one(txn)?;
        }
        Ok(())
    }

    /// Takes back the record that is next, or goes on to the one before it.
    pub(crate) fn undo_one(&self, txn: &TxnState) -> Result<(), Error> {
        let lsn = txn.undo_next();
        let bytes = self.log.read(lsn)?;
        let record = self.record(lsn, &bytes)?;
        if record.link().is_none_or(|link| link.txn != txn.id) {
            return Err(self.malformed(lsn, "it is not of the transaction that led to it"));
        }
        match record {
            Record::Update { link, change } => {
                let purpose = Purpose::Undo { txn, next: link.prev, done: false };
                let mut scope = Scope { shared: self, purpose };
                self.manager(change.manager, lsn)?.undo(&mut scope, change.page, change.bytes)?;
                if !matches!(scope.purpose, Purpose::Undo { done: true, .. }) {
                    // Nothing was to be changed; that it was looked at is a step all the same.
                    self.step_over(txn, link.prev)?;
                }
            }
            Record::Clr { undo_next, .. } | Record::NestedEnd { undo_next, .. } => {
                self.skip(txn, undo_next)?;
            }
            _ => self.skip(txn, record.link().map_or(Lsn(0), |link| link.prev))?,
        }
        Ok(())
    }

    fn step_over(&self, txn: &TxnState, undo_next: Lsn) -> Result<(), Error> {
        self.log.hold(&mut |end| {
            let lsn = append(end, &Head::nested_end(txn.link(), undo_next), &[])?;
            txn.note(lsn, undo_next);
            Ok(())
        })?;
        Ok(())
    }

    /// Goes on without a record of it.
    fn skip(&self, txn: &TxnState, undo_next: Lsn) -> Result<(), Error> {
        let last = txn.link().prev;
        self.log.hold(&mut |_| {
            txn.note(last, undo_next);
            Ok(())
        })?;
        Ok(())
    }
}
