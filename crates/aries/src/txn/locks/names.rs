//! What is known of names: who has locked each, and what was there before it was changed. No mutex and no thread: whoever has
//! the mutex of a part of the table asks here what becomes of him. So all orders in which transactions can come are tried
//! (`explored.rs`).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

use bytes::Bytes;

use super::{LockName, Seen};
use crate::txn::TxnId;

/// Who changes things: a transaction, as far as it matters here.
pub trait Writer: Clone {
    /// Its number.
    fn id(&self) -> TxnId;
    /// When it became visible, in commits; 0: it has not.
    fn committed(&self) -> u64;
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Names<W>(BTreeMap<LockName, Entry<W>>);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Entry<W> {
    owner: Option<Owner>,
    /// Changes, oldest first, each with what was there before it.
    versions: Vec<Version<W>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Owner {
    txn: TxnId,
    /// It can't be ended: nobody opens the lock before a restart.
    stays: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Version<W> {
    writer: W,
    before: Option<Bytes>,
}

/// What becomes of him who wants a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// It is his from now on.
    Taken,
    /// It was his.
    Had,
    /// It is free, but what it stands for was changed after what he sees.
    Changed,
    /// Somebody has it, who will open it.
    Held { holder: TxnId },
    /// Somebody has it, and nobody will open it.
    Stays { holder: TxnId },
}

impl<W> Default for Names<W> {
    fn default() -> Names<W> {
        Names(BTreeMap::new())
    }
}

impl<W: Writer> Names<W> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn knows(&self, name: &LockName) -> bool {
        self.0.contains_key(name)
    }

    /// Gives the lock, if nobody has it. `snapshot`: what the transaction sees, if it must not change what was changed since.
    pub fn ask(&mut self, txn: TxnId, name: &LockName, snapshot: Option<u64>) -> Asked {
        let entry = self.0.entry(name.clone()).or_insert_with(Entry::new);
        match entry.owner {
            None if snapshot.is_some_and(|snapshot| entry.changed_after(snapshot)) => {
                Asked::Changed
            }
            None => {
                entry.owner = Some(Owner { txn, stays: false });
                Asked::Taken
            }
            Some(owner) if owner.txn == txn => Asked::Had,
            Some(Owner { txn: holder, stays: true }) => Asked::Stays { holder },
            Some(Owner { txn: holder, stays: false }) => Asked::Held { holder },
        }
    }

    /// The owner of a lock is about to change what it stands for, for the first time or again.
    pub fn remember(
        &mut self,
        writer: &W,
        name: &LockName,
        before: impl FnOnce() -> Option<Bytes>,
    ) {
        let Some(entry) = self.0.get_mut(name) else { return };
        if !entry.was_changed_by(writer.id()) {
            entry.versions.push(Version { writer: writer.clone(), before: before() });
        }
    }

    /// Whether the transaction has changed it, and nobody since.
    pub fn was_changed_by(&self, txn: TxnId, name: &LockName) -> bool {
        self.0.get(name).is_some_and(|entry| entry.was_changed_by(txn))
    }

    pub fn holder(&self, name: &LockName) -> Option<TxnId> {
        self.0.get(name)?.owner.map(|owner| owner.txn)
    }

    /// Who has locked something in a space of keys, if anybody has.
    pub fn holder_in(&self, space: u32) -> Option<TxnId> {
        let first = LockName { space, key: Bytes::new() };
        let mut here = self.0.range(first..).take_while(|(name, _)| name.space == space);
        here.find_map(|(_, entry)| entry.owner.map(|owner| owner.txn))
    }

    pub fn seen(&self, name: &LockName, snapshot: u64, reader: Option<TxnId>) -> Seen {
        let Some(entry) = self.0.get(name) else { return Seen::Current };
        let hidden = entry.versions.iter().find(|version| !version.is_visible(snapshot, reader));
        hidden.map_or(Seen::Current, |version| Seen::Before(version.before.clone()))
    }

    /// Opens the lock of a transaction whose change stays. Nobody has a snapshot older than `oldest` any more.
    pub fn unlock(&mut self, name: &LockName, oldest: u64) {
        self.change(name, |entry| {
            entry.owner = None;
            entry.forget(oldest);
        });
    }

    /// Opens the lock of a transaction that was taken back.
    pub fn release(&mut self, txn: TxnId, name: &LockName) {
        self.change(name, |entry| {
            entry.owner = None;
            entry.versions.retain(|version| version.writer.id() != txn);
        });
    }

    /// Nobody will open the lock.
    pub fn keep(&mut self, name: &LockName) {
        self.change(name, |entry| {
            entry.owner.iter_mut().for_each(|owner| owner.stays = true);
        });
    }

    /// Nobody has a snapshot older than `oldest` any more.
    pub fn forget(&mut self, name: &LockName, oldest: u64) {
        self.change(name, |entry| entry.forget(oldest));
    }

    /// Of all versions: for a model, whose transactions are values.
    #[cfg(test)]
    pub fn writers_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.0.values_mut().flat_map(|entry| entry.versions.iter_mut().map(|it| &mut it.writer))
    }

    /// Changes what is known of a name, which goes if that is nothing any more.
    fn change(&mut self, name: &LockName, change: impl FnOnce(&mut Entry<W>)) {
        if let Place::Occupied(mut place) = self.0.entry(name.clone()) {
            change(place.get_mut());
            if place.get().is_idle() {
                place.remove();
            }
        }
    }
}

impl<W: Writer> Entry<W> {
    fn new() -> Entry<W> {
        Entry { owner: None, versions: Vec::new() }
    }

    fn is_idle(&self) -> bool {
        self.owner.is_none() && self.versions.is_empty()
    }

    fn forget(&mut self, oldest: u64) {
        self.versions.retain(|version| !version.is_visible(oldest, None));
    }

    fn changed_after(&self, snapshot: u64) -> bool {
        self.versions.last().is_some_and(|last| last.writer.committed() > snapshot)
    }

    fn was_changed_by(&self, txn: TxnId) -> bool {
        self.versions.last().is_some_and(|last| last.writer.id() == txn)
    }
}

impl<W: Writer> Version<W> {
    fn is_visible(&self, snapshot: u64, reader: Option<TxnId>) -> bool {
        let at = self.writer.committed();
        reader == Some(self.writer.id()) || (at != 0 && at <= snapshot)
    }
}
