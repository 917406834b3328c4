//! Who runs, what each of them sees, and in which order they became visible.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::locks::LockName;
use super::record::TxnLine;
use super::{TxnId, TxnState};

/// What a commit changed.
pub(crate) type Changed = Arc<[LockName]>;

/// Parts of the table of those who run: who begins or ends meets few others.
const PARTS: usize = 16;

/// See the module.
pub(crate) struct TxnTable {
    next: AtomicU64,
    running: [Mutex<BTreeMap<TxnId, Arc<TxnState>>>; PARTS],
    snapshots: Mutex<Snapshots>,
}

/// What is visible, and to whom: decisions only (`locks/explored.rs` tries their orders).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Snapshots {
    /// Commits that are visible.
    visible: u64,
    /// Those that somebody reads from, in order, and how many do.
    taken: VecDeque<(u64, usize)>,
    /// What commits changed, as long as somebody may want to see what was there before.
    changed: VecDeque<(u64, Changed)>,
}

impl TxnTable {
    pub fn new(next: u64) -> TxnTable {
        TxnTable {
            next: AtomicU64::new(next.max(1)),
            running: Default::default(),
            snapshots: Mutex::default(),
        }
    }

    /// Numbers below `next` were given in earlier lives.
    pub fn start_at(&self, next: u64) {
        self.next.fetch_max(next, Ordering::Relaxed);
    }

    /// A number for what is no transaction of anybody's.
    pub fn number(&self) -> TxnId {
        TxnId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins one, and says what it sees.
    pub fn begin(&self) -> (Arc<TxnState>, u64) {
        self.add(TxnState::new(self.number()))
    }

    /// Takes up one that a restart found.
    pub fn adopt(&self, line: &TxnLine) -> (Arc<TxnState>, u64) {
        self.add(TxnState::found(line))
    }

    fn add(&self, state: TxnState) -> (Arc<TxnState>, u64) {
        let state = Arc::new(state);
        self.part(state.id).insert(state.id, state.clone());
        let snapshot = self.snapshots.lock().take();
        (state, snapshot)
    }

    fn part(&self, txn: TxnId) -> MutexGuard<'_, BTreeMap<TxnId, Arc<TxnState>>> {
        self.running[txn.0 as usize % PARTS].lock()
    }

    /// The commit becomes visible, all of it at once. Answers up to where nobody needs what was there before, and what was
    /// changed until then.
    pub fn publish(&self, txn: &TxnState, snapshot: u64, changed: &Changed) -> (u64, Vec<Changed>) {
        let mut snapshots = self.snapshots.lock();
        txn.set_committed(snapshots.publish(changed));
        let forgotten = snapshots.give_back(snapshot);
        drop(snapshots);
        self.part(txn.id).remove(&txn.id);
        forgotten
    }

    /// It has ended, and changed nothing.
    pub fn leave(&self, txn: &TxnState, snapshot: u64) -> (u64, Vec<Changed>) {
        self.part(txn.id).remove(&txn.id);
        self.snapshots.lock().give_back(snapshot)
    }

    /// The transaction table, and the next number. Who begins meanwhile may be missing: all that it logs comes later.
    pub fn lines(&self) -> (Vec<TxnLine>, u64) {
        let mut lines = Vec::new();
        for part in &self.running {
            lines.extend(part.lock().values().filter_map(|txn| txn.line()));
        }
        lines.sort_by_key(|line| line.txn);
        (lines, self.next.load(Ordering::Relaxed))
    }

    pub fn running(&self) -> usize {
        self.running.iter().map(|part| part.lock().len()).sum()
    }
}

impl Snapshots {
    /// Of what is visible now.
    pub fn take(&mut self) -> u64 {
        match self.taken.back_mut() {
            Some((snapshot, readers)) if *snapshot == self.visible => *readers += 1,
            _ => self.taken.push_back((self.visible, 1)),
        }
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
        if let Ok(place) = self.taken.binary_search_by_key(&snapshot, |(at, _)| *at) {
            let (_, readers) = &mut self.taken[place];
            *readers -= 1;
            if *readers == 0 {
                self.taken.remove(place);
            }
        }
        let oldest = self.taken.front().map_or(self.visible, |(at, _)| *at);
        let count = self.changed.partition_point(|(at, _)| *at <= oldest);
        (oldest, self.changed.drain(..count).map(|(_, changed)| changed).collect())
    }
}
