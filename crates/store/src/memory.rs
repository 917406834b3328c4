//! The `memory` backend: ordered maps, and nothing else.
//!
//! What is stored is durable at once, in the only sense that this backend has: as long as the process. For caches,
//! and for tests and the explorer, where it is cloned, compared and hashed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Entry, Load, Partition, Peek, Scan, ScanEntry,
    ShardId, Stamp, Writer,
};

use crate::budget::{Budget, range_of};
use crate::status::PartitionStatus;

type Entries = BTreeMap<Bytes, Entry>;

/// One shard's entries, in memory.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Memory {
    partitions: BTreeMap<Partition, Entries>,
    last: Stamp,
    /// Of all keys and values.
    bytes: u64,
}

/// The other half of [`Memory`], which has nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct MemoryWriter;

impl Memory {
    /// An empty device.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// The partitions that something was stored in, in order.
    pub fn partitions(&self) -> Vec<Partition> {
        self.partitions.keys().copied().collect()
    }

    /// What a partition takes; `None` if nothing was ever stored in it.
    pub fn status(&self, partition: Partition) -> Option<PartitionStatus> {
        let entries = self.partitions.get(&partition)?;
        let bytes = entries.iter().map(|(key, entry)| (key.len() + entry.bytes.len()) as u64).sum();
        Some(PartitionStatus {
            keys: entries.len() as u64,
            live_bytes: bytes,
            memory_bytes: bytes,
            ..PartitionStatus::default()
        })
    }
}

impl Device for Memory {
    type Commit = Infallible;
    type Notice = Infallible;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        let entries = self.partitions.get(&partition);
        Load::Ready(Ok(entries.and_then(|entries| entries.get(key)).cloned()))
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        let entry = self.partitions.get(&partition).and_then(|entries| entries.get(key));
        entry.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag))
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        let entries = self.partitions.entry(partition).or_default();
        let before = match entry {
            Some(entry) => entries.insert(Bytes::copy_from_slice(key), entry.clone()),
            None => entries.remove(key),
        };
        let of = |entry: &Entry| (key.len() + entry.bytes.len()) as u64;
        self.bytes += entry.map_or(0, of);
        self.bytes -= before.as_ref().map_or(0, of);
        self.last = Stamp(self.last.0 + 1);
        self.last
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        let mut chunk = Chunk::default();
        let (Some(entries), Some(range)) = (self.partitions.get(&scan.partition), range_of(scan))
        else {
            return Ok(chunk);
        };
        let mut budget = Budget::new(scan);
        for (key, entry) in entries.range::<[u8], _>(range) {
            if budget.is_spent() {
                chunk.next = Some(key.clone());
                break;
            }
            let bytes = scan.values.then(|| entry.bytes.clone());
            budget.spend(key.len() + bytes.as_ref().map_or(0, Bytes::len));
            chunk.entries.push(ScanEntry { key: key.clone(), tag: entry.tag, bytes });
        }
        Ok(chunk)
    }

    fn take_commit(&mut self) -> Option<Infallible> {
        None
    }

    fn notice(&mut self, notice: Infallible) {
        match notice {}
    }

    fn durable(&self) -> Stamp {
        self.last
    }

    fn pending_bytes(&self) -> u64 {
        0
    }

    fn usage(&self) -> DeviceUsage {
        let keys = self.partitions.values().map(|entries| entries.len() as u64).sum();
        let bytes = self.bytes;
        DeviceUsage { keys, live_bytes: bytes, memory_bytes: bytes, ..DeviceUsage::default() }
    }
}

impl Writer for MemoryWriter {
    type Commit = Infallible;
    type Notice = Infallible;

    fn write(
        &mut self,
        _: Vec<(ShardId, Infallible)>,
        _: &mut Vec<(ShardId, Infallible)>,
    ) -> io::Result<()> {
        Ok(())
    }

    fn tidy(&mut self, _: &mut Vec<(ShardId, Infallible)>) -> io::Result<bool> {
        Ok(false)
    }
}
