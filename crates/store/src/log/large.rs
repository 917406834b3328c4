//! Which keys have large values, and how much of each file of large values is alive.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::record::Pointer;

/// The large values of one vnode. There is one for at least so many bytes as make a value large, so the keys are worth
/// their memory.
#[derive(Debug, Default)]
pub(crate) struct Larges {
    keys: BTreeMap<Bytes, Pointer>,
    /// Live bytes by file.
    live: BTreeMap<u32, u64>,
    live_bytes: u64,
}

impl Larges {
    /// The key's value is there now.
    pub(crate) fn insert(&mut self, key: &[u8], pointer: Pointer) {
        self.remove(key);
        self.keys.insert(Bytes::copy_from_slice(key), pointer);
        *self.live.entry(pointer.file).or_insert(0) += u64::from(pointer.len);
        self.live_bytes += u64::from(pointer.len);
    }

    /// The key has no large value any more.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        let Some(pointer) = self.keys.remove(key) else { return };
        if let Some(live) = self.live.get_mut(&pointer.file) {
            *live -= u64::from(pointer.len);
        }
        self.live_bytes -= u64::from(pointer.len);
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Pointer> {
        self.keys.get(key).copied()
    }

    /// Live bytes of all files.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Live bytes of one file.
    pub(crate) fn live_in(&self, file: u32) -> u64 {
        self.live.get(&file).copied().unwrap_or(0)
    }

    /// The keys whose values are in a file.
    pub(crate) fn keys_in(&self, file: u32) -> Vec<Bytes> {
        let there = self.keys.iter().filter(|(_, pointer)| pointer.file == file);
        there.map(|(key, _)| key.clone()).collect()
    }

    /// The file is gone.
    pub(crate) fn forget(&mut self, file: u32) {
        self.live.remove(&file);
    }
}
