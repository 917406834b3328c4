//! What a node has stored: what is durable, and what came after it.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Chunk, Entry, Partition, Peek, Scan, ScanEntry, Stamp};

type Key = (Partition, Bytes);

/// What a node has stored: a device that hashes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Storage {
    durable: BTreeMap<Key, Entry>,
    /// Stores that were not synced, oldest first.
    pending: Vec<(Key, Option<Entry>)>,
    last: Stamp,
}

impl Storage {
    /// What is there, as a process that starts finds it.
    pub fn entries(&self) -> impl Iterator<Item = (Partition, Bytes, Entry)> {
        self.visible().into_iter().map(|((partition, key), entry)| (partition, key, entry))
    }

    pub(super) fn load(&self, partition: Partition, key: &Bytes) -> Option<Entry> {
        let is_it = |stored: &Key| stored.0 == partition && stored.1 == *key;
        match self.pending.iter().rev().find(|(stored, _)| is_it(stored)) {
            Some((_, entry)) => entry.clone(),
            None => self.durable.get(&(partition, key.clone())).cloned(),
        }
    }

    pub(super) fn peek(&self, partition: Partition, key: &Bytes) -> Peek {
        self.load(partition, key).map_or(Peek::Absent, |entry| Peek::Tag(entry.tag))
    }

    pub(super) fn store(
        &mut self,
        partition: Partition,
        key: &Bytes,
        entry: Option<Entry>,
    ) -> Stamp {
        self.pending.push(((partition, key.clone()), entry));
        self.last = Stamp(self.last.0 + 1);
        self.last
    }

    /// In key order, as much as the scan allows.
    pub(super) fn scan(&self, scan: &Scan) -> Chunk {
        let visible = self.visible();
        let in_range = |key: &Key| {
            key.0 == scan.partition && key.1 >= scan.from && (scan.to.is_empty() || key.1 < scan.to)
        };
        let mut chunk = Chunk::default();
        let mut bytes = 0;
        for ((_, key), entry) in visible.into_iter().filter(|(key, _)| in_range(key)) {
            let is_full = chunk.entries.len() >= scan.entries_max.max(1) as usize;
            if is_full || bytes > scan.bytes_max as usize {
                chunk.next = Some(key);
                break;
            }
            let value = scan.values.then_some(entry.bytes);
            bytes += key.len() + value.as_ref().map_or(0, Bytes::len);
            chunk.entries.push(ScanEntry { key, tag: entry.tag, bytes: value });
        }
        chunk
    }

    fn visible(&self) -> BTreeMap<Key, Entry> {
        let mut visible = self.durable.clone();
        self.pending.iter().for_each(|(key, entry)| change(&mut visible, key, entry));
        visible
    }

    pub(super) fn is_synced(&self) -> bool {
        self.pending.is_empty()
    }

    /// Everything stored so far is durable.
    pub(super) fn sync(&mut self) -> Stamp {
        for (key, entry) in std::mem::take(&mut self.pending) {
            change(&mut self.durable, &key, &entry);
        }
        self.last
    }

    /// Forgets what was not synced, and counts stamps anew.
    pub(super) fn crash(&mut self) {
        self.pending.clear();
        self.last = Stamp::NONE;
    }

    pub(super) fn durable(&self) -> Stamp {
        Stamp(self.last.0 - self.pending.len() as u64)
    }
}

fn change(entries: &mut BTreeMap<Key, Entry>, key: &Key, entry: &Option<Entry>) {
    match entry {
        Some(entry) => entries.insert(key.clone(), entry.clone()),
        None => entries.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition(3);

    fn stored(tags: &[(&'static str, u64)]) -> Storage {
        let mut storage = Storage::default();
        for (key, tag) in tags {
            storage.store(P, &Bytes::from(*key), Some(Entry { tag: *tag, bytes: Bytes::new() }));
        }
        storage
    }

    #[test]
    fn a_crash_loses_what_came_after_the_last_sync() {
        let mut storage = stored(&[("a", 1), ("b", 2)]);
        assert_eq!(storage.durable(), Stamp(0));
        assert_eq!(storage.sync(), Stamp(2));
        assert_eq!(storage.store(P, &Bytes::from("a"), None), Stamp(3));
        assert_eq!((storage.durable(), storage.is_synced()), (Stamp(2), false));
        assert_eq!(storage.peek(P, &Bytes::from("a")), Peek::Absent);
        storage.crash();
        assert_eq!(storage.peek(P, &Bytes::from("a")), Peek::Tag(1));
    }

    #[test]
    fn a_scan_comes_in_pieces() {
        let mut storage = stored(&[("a", 1), ("b", 2), ("d", 4)]);
        storage.sync();
        storage.store(P, &Bytes::from("c"), Some(Entry { tag: 3, bytes: Bytes::new() }));
        storage.store(P, &Bytes::from("b"), None);
        let from = |from: &'static str| Scan {
            partition: P,
            from: Bytes::from(from),
            to: Bytes::new(),
            entries_max: 2,
            bytes_max: 100,
            values: false,
        };
        let tags = |chunk: &Chunk| chunk.entries.iter().map(|each| each.tag).collect::<Vec<_>>();
        let first = storage.scan(&from("a"));
        assert_eq!((tags(&first), first.next), (vec![1, 3], Some(Bytes::from("d"))));
        let second = storage.scan(&from("d"));
        assert_eq!((tags(&second), second.next), (vec![4], None));
    }
}
