//! Which keys a vnode holds and where: the only thing that grows with the number of keys.
//!
//! An ordered map from key to twenty bytes. A key of up to 24 bytes costs about 32 bytes of heap and 50 of map:
//! some 85 bytes in all. It stands behind this small type so that it can become more compact.

use std::collections::BTreeMap;

use super::record::Place;
use crate::budget::KeyRange;
use ombak_base::Partition;

/// Where a key's record is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Location {
    file: u32,
    offset: u32,
    /// Flawed (1 bit), pointer (1 bit), length (23 bits): a record has less than 2 MiB.
    packed: u32,
    /// Bytes, because a `u64` would be aligned, and cost four more.
    tag: [u8; 8],
}

const LEN_MASK: u32 = (1 << 23) - 1;
const POINTER_BIT: u32 = 1 << 23;
const FLAWED_BIT: u32 = 1 << 24;

impl Location {
    pub(crate) fn new(place: Place, len: usize, tag: u64, is_pointer: bool) -> Location {
        let pointer = if is_pointer { POINTER_BIT } else { 0 };
        let packed = pointer | (len as u32 & LEN_MASK);
        Location { file: place.file, offset: place.offset, packed, tag: tag.to_ne_bytes() }
    }

    /// The same place, of which recovery knows that the value there is damaged.
    pub(crate) fn flawed(self) -> Location {
        Location { packed: self.packed | FLAWED_BIT, ..self }
    }

    pub(crate) fn place(&self, partition: Partition) -> Place {
        Place { partition, file: self.file, offset: self.offset }
    }

    pub(crate) fn len(&self) -> usize {
        (self.packed & LEN_MASK) as usize
    }

    pub(crate) fn tag(&self) -> u64 {
        u64::from_ne_bytes(self.tag)
    }

    pub(crate) fn is_flawed(&self) -> bool {
        self.packed & FLAWED_BIT != 0
    }

    pub(crate) fn is_pointer(&self) -> bool {
        self.packed & POINTER_BIT != 0
    }
}

/// The keys of one vnode.
#[derive(Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Box<[u8]>, Location>,
    live_bytes: u64,
}

impl Index {
    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        self.keys.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: &[u8], location: Location) {
        self.live_bytes += location.len() as u64;
        let before = match self.keys.get_mut(key) {
            Some(slot) => Some(std::mem::replace(slot, location)),
            None => self.keys.insert(key.into(), location),
        };
        self.live_bytes -= before.map_or(0, |location| location.len() as u64);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(location) = self.keys.remove(key) {
            self.live_bytes -= location.len() as u64;
        }
    }

    /// The keys of a range, in order.
    pub(crate) fn range<'a>(
        &'a self,
        range: KeyRange<'a>,
    ) -> impl Iterator<Item = (&'a [u8], Location)> {
        self.keys.range::<[u8], _>(range).map(|(key, location)| (&key[..], *location))
    }

    pub(crate) fn keys(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Bytes of the records that keys point at.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}

#[cfg(test)]
mod tests;
