//! What was stored and is not durable yet, of one shard.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ombak_base::{Entry, Partition, Stamp};

use super::commit::Change;

/// The latest store of a key; `None`: it was removed.
pub(crate) type Latest = (Stamp, Option<Entry>);

/// See the module.
#[derive(Default)]
pub(crate) struct Overlay {
    partitions: BTreeMap<Partition, BTreeMap<Bytes, Latest>>,
    /// Every store, in order, with what it takes.
    order: VecDeque<(Stamp, Partition, Bytes, u64)>,
    bytes: u64,
}

impl Overlay {
    pub(crate) fn store(&mut self, stamp: Stamp, change: &Change) {
        let (partition, key) = (change.partition, change.key.clone());
        self.order.push_back((stamp, partition, key.clone(), change.bytes()));
        self.bytes += change.bytes();
        self.partitions.entry(partition).or_default().insert(key, (stamp, change.entry.clone()));
    }

    /// What is known of a key: `Some(None)` if that it was removed.
    pub(crate) fn get(&self, partition: Partition, key: &[u8]) -> Option<Option<&Entry>> {
        let (_, entry) = self.partitions.get(&partition)?.get(key)?;
        Some(entry.as_ref())
    }

    /// The keys of a partition, in order.
    pub(crate) fn of(&self, partition: Partition) -> Option<&BTreeMap<Bytes, Latest>> {
        self.partitions.get(&partition)
    }

    /// The partitions in which something is kept, or was removed.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.partitions.keys().copied()
    }

    /// The tree has everything up to here.
    pub(crate) fn forget(&mut self, upto: Stamp) {
        while self.order.front().is_some_and(|(stamp, ..)| *stamp <= upto) {
            let Some((stamp, partition, key, bytes)) = self.order.pop_front() else { return };
            self.bytes -= bytes;
            let Some(keys) = self.partitions.get_mut(&partition) else { continue };
            // One that was stored again since stays.
            if keys.get(&key).is_some_and(|(latest, _)| *latest == stamp) {
                keys.remove(&key);
            }
            if keys.is_empty() {
                self.partitions.remove(&partition);
            }
        }
    }

    /// Bytes of all stores that are not durable.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
