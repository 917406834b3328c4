//! What passes between a device and the writer.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{Entry, Partition, Stamp};

/// One store, or removal.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) partition: Partition,
    pub(crate) key: Bytes,
    /// `None`: it is removed.
    pub(crate) entry: Option<Entry>,
}

impl Change {
    /// What it takes in memory, about.
    pub(crate) fn bytes(&self) -> u64 {
        (self.key.len() + self.entry.as_ref().map_or(0, |entry| entry.bytes.len())) as u64
    }
}

/// Everything that one shard stored in one loop turn. Opaque: it goes to the [`BtreeWriter`](super::BtreeWriter).
#[derive(Debug)]
pub struct BtreeCommit {
    pub(crate) changes: Vec<Change>,
    pub(crate) last: Stamp,
}

/// What a [`BtreeDevice`](super::BtreeDevice) hears from the writer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BtreeNotice {
    /// Everything stamped up to here is durable, and in the tree, but for...
    pub(crate) upto: Stamp,
    /// ... some of these partitions' stores, for a page that they belong on can't be read.
    pub(crate) damaged: BTreeSet<Partition>,
    /// Keys of the shard.
    pub(crate) keys: u64,
}
