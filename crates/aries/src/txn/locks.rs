//! Locks on what is changed, and what was there before, for as long as somebody may see it.
//!
//! The structures on the pages hold the latest state, committed or not. A reader whose snapshot is older looks up here
//! whether what he found was changed since, and what it was. Both live exactly as long as each other's reason, so they are
//! one table. It is in memory only: after a restart there are neither snapshots nor running transactions.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{TxnId, TxnState};
use crate::error::Error;

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
    /// Until it is free: for threads.
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
    /// Who waits for whom.
    waits: Mutex<BTreeMap<TxnId, TxnId>>,
}

#[derive(Default)]
struct Shard {
    names: Mutex<BTreeMap<LockName, Entry>>,
    freed: Condvar,
}

#[derive(Default)]
struct Entry {
    owner: Option<Arc<TxnState>>,
    /// Changes, oldest first, each with what was there before it.
    versions: Vec<Version>,
}

struct Version {
    writer: Arc<TxnState>,
    before: Option<Bytes>,
}

/// What a reader sees of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// What is on the page.
    Current,
    /// What was there before.
    Before(Option<Bytes>),
}

impl Locks {
    pub fn new() -> Locks {
        Locks {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            names: AtomicUsize::new(0),
            waits: Mutex::default(),
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
            let entry = match names.entry(name.clone()) {
                Place::Occupied(place) => place.into_mut(),
                Place::Vacant(place) => {
                    self.names.fetch_add(1, Ordering::AcqRel);
                    place.insert(Entry::default())
                }
            };
            let Some(owner) = &entry.owner else {
                if snapshot.is_some_and(|snapshot| entry.changed_after(snapshot)) {
                    return Err(Error::Conflict);
                }
                entry.owner = Some(txn.clone());
                return Ok(true);
            };
            let holder = owner.id;
            if holder == txn.id {
                return Ok(false);
            }
            if waits == Waits::Refuse {
                return Err(Error::Locked { holder });
            }
            self.begin_to_wait(txn.id, holder)?;
            shard.freed.wait(&mut names);
            self.waits.lock().remove(&txn.id);
        }
    }

    /// Refuses to close a circle.
    fn begin_to_wait(&self, waiter: TxnId, holder: TxnId) -> Result<(), Error> {
        let mut waits = self.waits.lock();
        let mut next = Some(holder);
        while let Some(other) = next {
            if other == waiter {
                return Err(Error::Deadlock { holder });
            }
            next = waits.get(&other).copied();
        }
        waits.insert(waiter, holder);
        Ok(())
    }

    /// The owner of a lock is about to change what it stands for, for the first time or again.
    pub fn remember(
        &self,
        txn: &Arc<TxnState>,
        name: &LockName,
        before: impl FnOnce() -> Option<Bytes>,
    ) {
        let mut names = self.shard(name.space, &name.key).names.lock();
        let Some(entry) = names.get_mut(name) else { return };
        if entry.versions.last().is_none_or(|last| last.writer.id != txn.id) {
            entry.versions.push(Version { writer: txn.clone(), before: before() });
        }
    }

    /// Those of the names that the transaction has not changed.
    pub fn unchanged(&self, txn: &TxnState, held: &[LockName]) -> Vec<LockName> {
        let is_unchanged = |name: &&LockName| {
            let names = self.shard(name.space, &name.key).names.lock();
            let last = names.get(*name).and_then(|entry| entry.versions.last());
            last.is_none_or(|last| last.writer.id != txn.id)
        };
        held.iter().filter(is_unchanged).cloned().collect()
    }

    /// Whether the name is locked, or was changed not long ago.
    pub fn knows(&self, space: u32, key: &[u8]) -> bool {
        if self.names.load(Ordering::Acquire) == 0 {
            return false;
        }
        let name = LockName { space, key: Bytes::copy_from_slice(key) };
        self.shard(space, key).names.lock().contains_key(&name)
    }

    /// The owner of a name.
    pub fn holder(&self, space: u32, key: &[u8]) -> Option<TxnId> {
        if self.names.load(Ordering::Acquire) == 0 {
            return None;
        }
        let name = LockName { space, key: Bytes::copy_from_slice(key) };
        let names = self.shard(space, key).names.lock();
        names.get(&name)?.owner.as_ref().map(|owner| owner.id)
    }

    /// Who has locked something in a space of keys, if anybody has.
    pub fn holder_in(&self, space: u32) -> Option<TxnId> {
        let first = LockName { space, key: Bytes::new() };
        self.shards.iter().find_map(|shard| {
            let names = shard.names.lock();
            let here = names.range(first.clone()..).take_while(|(name, _)| name.space == space);
            here.into_iter().find_map(|(_, entry)| entry.owner.as_ref().map(|owner| owner.id))
        })
    }

    /// What a reader sees of a key whose page he has latched.
    pub fn seen(&self, space: u32, key: &[u8], snapshot: u64, reader: Option<TxnId>) -> Seen {
        if self.names.load(Ordering::Acquire) == 0 {
            return Seen::Current;
        }
        let name = LockName { space, key: Bytes::copy_from_slice(key) };
        let names = self.shard(space, key).names.lock();
        let Some(entry) = names.get(&name) else { return Seen::Current };
        let hidden = entry.versions.iter().find(|version| !version.is_visible(snapshot, reader));
        hidden.map_or(Seen::Current, |version| Seen::Before(version.before.clone()))
    }

    /// Opens the locks of a transaction whose changes stay. Nobody has a snapshot older than `oldest` any more.
    pub fn unlock(&self, held: &[LockName], oldest: u64) {
        self.open(held, |entry| entry.forget(oldest));
    }

    /// Opens the locks of a transaction that was taken back.
    pub fn release(&self, txn: &TxnState, held: &[LockName]) {
        self.open(held, |entry| entry.versions.retain(|version| version.writer.id != txn.id));
    }

    fn open(&self, held: &[LockName], change: impl Fn(&mut Entry)) {
        for name in held {
            self.change(name, |entry| {
                entry.owner = None;
                change(entry);
            });
            self.shard(name.space, &name.key).freed.notify_all();
        }
    }

    /// Nobody has a snapshot older than `oldest` any more.
    pub fn forget(&self, changed: &[LockName], oldest: u64) {
        changed.iter().for_each(|name| self.change(name, |entry| entry.forget(oldest)));
    }

    /// Changes what is known of a name, which goes if that is nothing any more.
    fn change(&self, name: &LockName, change: impl FnOnce(&mut Entry)) {
        let mut names = self.shard(name.space, &name.key).names.lock();
        if let Place::Occupied(mut place) = names.entry(name.clone()) {
            change(place.get_mut());
            if place.get().is_idle() {
                place.remove();
                self.names.fetch_sub(1, Ordering::AcqRel);
            }
        }
    }
}

impl Entry {
    fn is_idle(&self) -> bool {
        self.owner.is_none() && self.versions.is_empty()
    }

    fn forget(&mut self, oldest: u64) {
        self.versions.retain(|version| !version.is_visible(oldest, None));
    }

    fn changed_after(&self, snapshot: u64) -> bool {
        self.versions.last().is_some_and(|last| last.writer.committed() > snapshot)
    }
}

impl Version {
    fn is_visible(&self, snapshot: u64, reader: Option<TxnId>) -> bool {
        let at = self.writer.committed();
        reader == Some(self.writer.id) || (at != 0 && at <= snapshot)
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
