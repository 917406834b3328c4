//! Locks on what is changed, and what was there before, for as long as somebody may see it.
//!
//! The structures on the pages hold the latest state, committed or not. A reader whose snapshot is older looks up here
//! whether what he found was changed since, and what it was. Both live exactly as long as each other's reason, so they are
//! one table. It is in memory only: after a restart there are neither snapshots nor running transactions.

mod names;
mod waiters;

use std::cmp::Ordering as CmpOrdering;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{TxnId, TxnState};
use crate::error::Error;

use names::{Asked, Names, Writer};
use waiters::Waiters;

const SHARDS: usize = 64;

/// What a lock stands for: a key in a space of keys. A structure uses the number of its first page as its space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LockName {
    /// Which structure.
    pub space: u32,
    /// What of it.
    pub key: Bytes,
}

/// Whether to wait for a lock that another has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Waits {
    /// Until it is free, or it is known that it won't be: for threads.
    #[default]
    Block,
    /// Not at all, [`Error::Locked`]: for a thread that runs several transactions.
    Refuse,
}

/// See the module.
pub(crate) struct Locks {
    shards: Box<[Shard]>,
    /// Names in the table.
    names: AtomicUsize,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Shard {
    names: Mutex<Names<Arc<TxnState>>>,
    freed: Condvar,
}

/// What a reader sees of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// What is on the page.
    Current,
    /// What was there before.
    Before(Option<Bytes>),
}

impl Writer for Arc<TxnState> {
    fn id(&self) -> TxnId {
        self.id
    }

    fn committed(&self) -> u64 {
        TxnState::committed(self)
    }
}

impl Locks {
    pub fn new() -> Locks {
        Locks {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            names: AtomicUsize::new(0),
            waiters: Mutex::default(),
        }
    }

    fn shard(&self, space: u32, key: &[u8]) -> &Shard {
        // FNV-1a: short keys, 64 shards.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let hash = key.iter().fold(0xcbf2_9ce4_8422_2325 ^ u64::from(space), mix);
        &self.shards[(hash ^ hash >> 32) as usize % SHARDS]
    }

    /// Gives the lock to the transaction; `false`: it had it. `snapshot`: what the transaction sees, if it must not
    /// change what was changed since.
    pub fn acquire(
        &self,
        txn: &Arc<TxnState>,
        name: &LockName,
        snapshot: Option<u64>,
        waits: Waits,
    ) -> Result<bool, Error> {
        let shard = self.shard(name.space, &name.key);
        let mut names = shard.names.lock();
        loop {
            match self.counted(&mut names, |names| names.ask(txn.id, name, snapshot)) {
                Asked::Taken => return Ok(true),
                Asked::Had => return Ok(false),
                Asked::Changed => return Err(Error::Conflict),
                Asked::Stays { holder } => return Err(Error::Locked { holder }),
                Asked::Held { holder } if waits == Waits::Refuse => {
                    return Err(Error::Locked { holder });
                }
                Asked::Held { holder } => {
                    if !self.waiters.lock().begin(txn.id, holder) {
                        return Err(Error::Deadlock { holder });
                    }
                    shard.freed.wait(&mut names);
                    self.waiters.lock().end(txn.id);
                }
            }
        }
    }

    /// Does something with names, and counts them afterwards.
    fn counted<R>(
        &self,
        names: &mut Names<Arc<TxnState>>,
        f: impl FnOnce(&mut Names<Arc<TxnState>>) -> R,
    ) -> R {
        let before = names.len();
        let done = f(names);
        // No more than one comes or goes at a time, each while its part of the table is held.
        match names.len().cmp(&before) {
            CmpOrdering::Greater => self.names.fetch_add(1, Ordering::AcqRel),
            CmpOrdering::Less => self.names.fetch_sub(1, Ordering::AcqRel),
            CmpOrdering::Equal => 0,
        };
        done
    }

    /// The owner of a lock is about to change what it stands for, for the first time or again.
    pub fn remember(
        &self,
        txn: &Arc<TxnState>,
        name: &LockName,
        before: impl FnOnce() -> Option<Bytes>,
    ) {
        self.shard(name.space, &name.key).names.lock().remember(txn, name, before);
    }

    /// Those of the names that the transaction has not changed.
    pub fn unchanged(&self, txn: &TxnState, held: &[LockName]) -> Vec<LockName> {
        let is_unchanged = |name: &&LockName| {
            !self.shard(name.space, &name.key).names.lock().was_changed_by(txn.id, name)
        };
        held.iter().filter(is_unchanged).cloned().collect()
    }

    /// Whether the name is locked, or was changed not long ago.
    pub fn knows(&self, space: u32, key: &[u8]) -> bool {
        self.look(space, key, false, |names, name| names.knows(name))
    }

    /// The owner of a name.
    pub fn holder(&self, space: u32, key: &[u8]) -> Option<TxnId> {
        self.look(space, key, None, |names, name| names.holder(name))
    }

    /// Who has locked something in a space of keys, if anybody has.
    pub fn holder_in(&self, space: u32) -> Option<TxnId> {
        self.shards.iter().find_map(|shard| shard.names.lock().holder_in(space))
    }

    /// What a reader sees of a key whose page he has latched.
    pub fn seen(&self, space: u32, key: &[u8], snapshot: u64, reader: Option<TxnId>) -> Seen {
        self.look(space, key, Seen::Current, |names, name| names.seen(name, snapshot, reader))
    }

    /// What is known of a key; `nothing`: it is in no table.
    fn look<R>(
        &self,
        space: u32,
        key: &[u8],
        nothing: R,
        f: impl FnOnce(&Names<Arc<TxnState>>, &LockName) -> R,
    ) -> R {
        if self.names.load(Ordering::Acquire) == 0 {
            return nothing;
        }
        let name = LockName { space, key: Bytes::copy_from_slice(key) };
        let names = self.shard(space, key).names.lock();
        f(&names, &name)
    }

    /// Opens the locks of a transaction whose changes stay. Nobody has a snapshot older than `oldest` any more.
    pub fn unlock(&self, held: &[LockName], oldest: u64) {
        self.open(held, |names, name| names.unlock(name, oldest));
    }

    /// Opens the locks of a transaction that was taken back.
    pub fn release(&self, txn: &TxnState, held: &[LockName]) {
        self.open(held, |names, name| names.release(txn.id, name));
    }

    /// The locks of a transaction that can't be ended stay as they are until a restart: nobody is to wait for them.
    pub fn keep(&self, held: &[LockName]) {
        self.open(held, |names, name| names.keep(name));
    }

    /// One after the other, and tells those who wait.
    fn open(&self, held: &[LockName], open: impl Fn(&mut Names<Arc<TxnState>>, &LockName)) {
        for name in held {
            let shard = self.shard(name.space, &name.key);
            self.counted(&mut shard.names.lock(), |names| open(names, name));
            shard.freed.notify_all();
        }
    }

    /// Transactions that wait.
    #[cfg(test)]
    pub fn waiting(&self) -> usize {
        self.waiters.lock().len()
    }

    /// Nobody has a snapshot older than `oldest` any more.
    pub fn forget(&self, changed: &[LockName], oldest: u64) {
        for name in changed {
            let mut names = self.shard(name.space, &name.key).names.lock();
            self.counted(&mut names, |names| names.forget(name, oldest));
        }
    }
}

#[cfg(test)]
mod explored;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
