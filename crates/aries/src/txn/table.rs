//! Who runs, what each of them sees, and in which order they became visible.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::locks::LockName;
use super::record::TxnLine;
use super::{TxnId, TxnState};

/// What a commit changed.
pub(crate) type Changed = Arc<[LockName]>;

/// See the module.
pub(crate) struct TxnTable {
    inner: Mutex<Inner>,
}

struct Inner {
    next: u64,
    running: BTreeMap<TxnId, Arc<TxnState>>,
    snapshots: Snapshots,
}

/// What is visible, and to whom: decisions only (`locks/explored.rs` tries their orders).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Snapshots {
    /// Commits that are visible.
    visible: u64,
    /// Those that somebody reads from, and how many do.
    taken: BTreeMap<u64, usize>,
    /// What commits changed, as long as somebody may want to see what was there before.
    changed: VecDeque<(u64, Changed)>,
}

impl TxnTable {
    pub fn new(next: u64) -> TxnTable {
        TxnTable {
            inner: Mutex::new(Inner {
                next: next.max(1),
                running: BTreeMap::new(),
                snapshots: Snapshots::default(),
            }),
        }
    }

    /// Numbers below `next` were given in earlier lives.
    pub fn start_at(&self, next: u64) {
        let mut inner = self.inner.lock();
        inner.next = inner.next.max(next);
    }

    /// A number for what is no transaction of anybody's.
    pub fn number(&self) -> TxnId {
        self.inner.lock().number()
    }

    /// Begins one, and says what it sees.
    pub fn begin(&self) -> (Arc<TxnState>, u64) {
        let mut inner = self.inner.lock();
        let state = Arc::new(TxnState::new(inner.number()));
        inner.running.insert(state.id, state.clone());
        let snapshot = inner.snapshots.take();
        (state, snapshot)
    }

    /// Takes up one that a restart found.
    pub fn adopt(&self, line: &TxnLine) -> (Arc<TxnState>, u64) {
        let mut inner = self.inner.lock();
        let state = Arc::new(TxnState::found(line));
        inner.running.insert(state.id, state.clone());
        let snapshot = inner.snapshots.take();
        (state, snapshot)
    }

    /// The commit becomes visible, all of it at once. Answers up to where nobody needs what was there before, and what was
    /// changed until then.
    pub fn publish(&self, txn: &TxnState, snapshot: u64, changed: &Changed) -> (u64, Vec<Changed>) {
        let mut inner = self.inner.lock();
        txn.set_committed(inner.snapshots.publish(changed));
        inner.running.remove(&txn.id);
        inner.snapshots.give_back(snapshot)
    }

    /// It has ended, and changed nothing.
    pub fn leave(&self, txn: &TxnState, snapshot: u64) -> (u64, Vec<Changed>) {
        let mut inner = self.inner.lock();
        inner.running.remove(&txn.id);
        inner.snapshots.give_back(snapshot)
    }

    /// The transaction table, and the next number.
    pub fn lines(&self) -> (Vec<TxnLine>, u64) {
        let inner = self.inner.lock();
        (inner.running.values().filter_map(|txn| txn.line()).collect(), inner.next)
    }

    pub fn running(&self) -> usize {
        self.inner.lock().running.len()
    }
}

impl Inner {
    fn number(&mut self) -> TxnId {
        self.next += 1;
        TxnId(self.next - 1)
    }
}

impl Snapshots {
    /// Of what is visible now.
    pub fn take(&mut self) -> u64 {
        *self.taken.entry(self.visible).or_insert(0) += 1;
        self.visible
    }

    /// One more commit is visible, of these changes. Answers which it is.
    pub fn publish(&mut self, changed: &Changed) -> u64 {
        self.visible += 1;
        if !changed.is_empty() {
            self.changed.push_back((self.visible, changed.clone()));
        }
        self.visible
    }

    /// Nobody reads from it any more, or one fewer. Answers up to where nobody needs what was there before, and what was
    /// changed until then.
    pub fn give_back(&mut self, snapshot: u64) -> (u64, Vec<Changed>) {
        if let Some(readers) = self.taken.get_mut(&snapshot) {
            *readers -= 1;
            if *readers == 0 {
                self.taken.remove(&snapshot);
            }
        }
        let oldest = self.taken.keys().next().copied().unwrap_or(self.visible);
        let count = self.changed.partition_point(|(at, _)| *at <= oldest);
        (oldest, self.changed.drain(..count).map(|(_, changed)| changed).collect())
    }
}
