//! The half of the `btree` backend that lives beside a shard: the overlay, and reads. It changes nothing in the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;

use bytes::Bytes;
use ombak_base::{
    Chunk, Device, DeviceError, DeviceUsage, Entry, Load, Partition, Peek, Scan, ScanEntry, Stamp,
    Upkeep,
};

use super::commit::{BtreeCommit, BtreeNotice, Change};
use super::cursor::Cursor;
use super::overlay::{Latest, Overlay};
use super::rows::{Row, Rows, partition_of, space_of, told};
use crate::budget::{Budget, range_of};
use crate::log::shard_of;
use crate::status::PartitionStatus;

/// One shard of a store of the `btree` backend. Made by [`btree::open`](super::open) with its
/// [`BtreeWriter`](super::BtreeWriter).
pub struct BtreeDevice {
    rows: Rows,
    /// Which of how many shards it is.
    shard: (u16, u16),
    overlay: Overlay,
    turn: Vec<Change>,
    last: Stamp,
    durable: Stamp,
    /// As the writer counts them: those that are durable.
    keys: u64,
    /// Partitions that the machine is to be told of.
    damaged: BTreeSet<Partition>,
}

impl BtreeDevice {
    pub(crate) fn new(rows: Rows, shard: u16, shards: u16, keys: u64) -> BtreeDevice {
        BtreeDevice {
            rows,
            shard: (shard, shards),
            overlay: Overlay::default(),
            turn: Vec::new(),
            last: Stamp::NONE,
            durable: Stamp::NONE,
            keys,
            damaged: BTreeSet::new(),
        }
    }

    /// The partitions of this shard that hold something, in order. Reads a page or more for each; what can't be read is left
    /// out.
    pub fn partitions(&self) -> Vec<Partition> {
        let mut found: BTreeSet<Partition> = self.overlay.partitions().collect();
        let mut from = space_of(Partition(0));
        while let Some(partition) = self.first_partition(&from) {
            found.insert(partition);
            let Some(next) = partition.0.checked_add(1) else { break };
            from = space_of(Partition(next));
        }
        let (shard, shards) = self.shard;
        found.into_iter().filter(|partition| shard_of(*partition, shards).0 == shard).collect()
    }

    fn first_partition(&self, from: &[u8]) -> Option<Partition> {
        let mut rows = self.rows.rows.range_latest(&self.rows.engine, from, None);
        partition_of(rows.next().ok()??.0)
    }

    /// What a partition takes; `None` if nothing is in it. Reads all of its rows: for a look at a node that does not run.
    /// Bytes of pieces are `large_bytes`; files are not a partition's own, and so counted for none.
    pub fn status(&self, partition: Partition) -> Option<PartitionStatus> {
        let mut status = PartitionStatus::default();
        let mut cursor = Cursor::new(&self.rows, partition, &[]).ok()?;
        while let Some((key, row)) = cursor.next().ok()? {
            status.keys += 1;
            status.live_bytes += key.len() as u64;
            match row {
                Row::Inline(entry) => status.live_bytes += entry.bytes.len() as u64,
                Row::Pieces { len, .. } => status.large_bytes += len,
                Row::Door(_) => {}
            }
        }
        (status.keys > 0).then_some(status)
    }
}

impl Device for BtreeDevice {
    type Commit = BtreeCommit;
    type Notice = BtreeNotice;

    fn load(&mut self, partition: Partition, key: &[u8]) -> Load {
        if let Some(entry) = self.overlay.get(partition, key) {
            return Load::Ready(Ok(entry.cloned()));
        }
        match self.rows.find_cached(partition, key) {
            Some(None) => Load::Ready(Ok(None)),
            Some(Some(Row::Inline(entry))) => Load::Ready(Ok(Some(entry))),
            // Pieces may not be in memory even if their row is.
            _ => {
                let (rows, key) = (self.rows.clone(), key.to_vec());
                Load::Blocked(Box::new(move || rows.load(partition, &key)))
            }
        }
    }

    fn peek(&mut self, partition: Partition, key: &[u8]) -> Peek {
        if let Some(entry) = self.overlay.get(partition, key) {
            return entry.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag));
        }
        match self.rows.find_cached(partition, key) {
            Some(Some(Row::Inline(Entry { tag, .. }) | Row::Pieces { tag, .. })) => Peek::Tag(tag),
            Some(None) => Peek::Absent,
            _ => Peek::Unknown,
        }
    }

    fn store(&mut self, partition: Partition, key: &[u8], entry: Option<&Entry>) -> Stamp {
        let change = Change { partition, key: Bytes::copy_from_slice(key), entry: entry.cloned() };
        self.last = Stamp(self.last.0 + 1);
        self.overlay.store(self.last, &change);
        self.turn.push(change);
        self.last
    }

    fn scan(&mut self, scan: &Scan) -> Result<Chunk, DeviceError> {
        let mut chunk = Chunk::default();
        let Some(range) = range_of(scan) else { return Ok(chunk) };
        let stored = self.overlay.of(scan.partition).unwrap_or(&NOTHING);
        let mut merged = Merged {
            stored: stored.range::<[u8], _>(range).peekable(),
            tree: Cursor::new(&self.rows, scan.partition, &scan.from)
                .map_err(|error| told(&error))?,
            ahead: None,
            to: &scan.to,
        };
        let mut budget = Budget::new(scan);
        loop {
            let (key, found) = match merged.next() {
                Ok(Some(next)) => next,
                Ok(None) => return Ok(chunk),
                Err(error) => return Err(error),
            };
            if budget.is_spent() {
                chunk.next = Some(key);
                return Ok(chunk);
            }
            let (tag, bytes) = match self.read(&key, &found, scan.values) {
                Ok(read) => read,
                // What was read before it is told; the next piece begins with the error.
                Err(_) if !chunk.entries.is_empty() => {
                    chunk.next = Some(key);
                    return Ok(chunk);
                }
                Err(error) => return Err(error),
            };
            budget.spend(key.len() + bytes.as_ref().map_or(0, Bytes::len));
            chunk.entries.push(ScanEntry { key, tag, bytes });
        }
    }

    fn take_commit(&mut self) -> Option<BtreeCommit> {
        let changes = std::mem::take(&mut self.turn);
        (!changes.is_empty()).then_some(BtreeCommit { changes, last: self.last })
    }

    fn notice(&mut self, notice: BtreeNotice) {
        self.durable = self.durable.max(notice.upto);
        self.overlay.forget(notice.upto);
        self.damaged.extend(notice.damaged);
        self.keys = notice.keys;
    }

    fn take_upkeep(&mut self) -> Option<Upkeep<BtreeNotice>> {
        self.damaged.pop_first().map(Upkeep::Damaged)
    }

    fn durable(&self) -> Stamp {
        self.durable
    }

    fn pending_bytes(&self) -> u64 {
        self.overlay.bytes()
    }

    /// Keys, and what is in memory: nobody counts the bytes of the rest, which would be to read it.
    fn usage(&self) -> DeviceUsage {
        let memory_bytes = self.overlay.bytes();
        DeviceUsage { keys: self.keys, memory_bytes, ..DeviceUsage::default() }
    }
}

impl BtreeDevice {
    /// An entry's tag, and its value if that is wanted.
    fn read(
        &self,
        key: &Bytes,
        found: &Found<'_>,
        wanted: bool,
    ) -> Result<(u64, Option<Bytes>), DeviceError> {
        match found {
            Found::Stored(entry) => Ok((entry.tag, wanted.then(|| entry.bytes.clone()))),
            Found::Row(Row::Pieces { tag, .. }) if !wanted => Ok((*tag, None)),
            // Nobody replaces it meanwhile: what is being changed is in the overlay, until this shard hears of it.
            Found::Row(row) => match self.rows.entry(row)? {
                Some(entry) => Ok((entry.tag, wanted.then_some(entry.bytes))),
                None => Err(self.rows.lacks_pieces(key)),
            },
        }
    }
}

type Stored = BTreeMap<Bytes, Latest>;

static NOTHING: Stored = BTreeMap::new();

/// Where an entry of a scan comes from.
enum Found<'a> {
    Stored(&'a Entry),
    Row(Row),
}

/// The tree's entries with the overlay over them.
struct Merged<'a, I: Iterator<Item = (&'a Bytes, &'a Latest)>> {
    stored: Peekable<I>,
    tree: Cursor<'a>,
    /// The tree's next entry.
    ahead: Option<(Bytes, Row)>,
    /// First key that is not wanted; empty: all are.
    to: &'a Bytes,
}

impl<'a, I: Iterator<Item = (&'a Bytes, &'a Latest)>> Merged<'a, I> {
    fn next(&mut self) -> Result<Option<(Bytes, Found<'a>)>, DeviceError> {
        loop {
            self.look_ahead()?;
            let stored = self.stored.peek().map(|(key, _)| *key);
            let row = self.ahead.as_ref().map(|(key, _)| key);
            if stored.is_none() || (row.is_some() && row < stored) {
                return Ok(self.ahead.take().map(|(key, row)| (key, Found::Row(row))));
            }
            if row == stored {
                self.ahead = None;
            }
            if let Some((key, (_, Some(entry)))) = self.stored.next() {
                return Ok(Some((key.clone(), Found::Stored(entry))));
            }
        }
    }

    fn look_ahead(&mut self) -> Result<(), DeviceError> {
        if self.ahead.is_none() {
            let next = self.tree.next().map_err(|error| told(&error))?;
            let next = next.map(|(key, row)| (Bytes::from(key), row));
            self.ahead = next.filter(|(key, _)| self.to.is_empty() || *key < *self.to);
        }
        Ok(())
    }
}
