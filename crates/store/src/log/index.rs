//! Which keys a vnode holds and where: the only thing that grows with the number of keys.
//!
//! An ordered map from key to twenty bytes, in two levels of [`Packed`] runs. A key of a bucket whose keys differ in
//! their last eight bytes costs some 45 bytes, and finding it four or five cache misses. (A `BTreeMap` of boxed keys
//! took 85 bytes and a miss for every key compared.)

use std::ops::Bound;

use super::packed::Packed;
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

/// A leaf with more keys is split.
const LEAF_MAX: usize = 64;
/// Two neighbours that have no more than this together become one.
const LEAF_MIN: usize = 24;

/// The leaves of all buckets of a vnode lie side by side, and have no prefix in common: their heads are as long as a
/// bucket's name and the part of a key that varies usually are together.
const LEAF_HEAD_WORDS: usize = 4;

/// The keys of one vnode: leaves, each under the first key that it was made with. Keys before that of the first leaf
/// belong to the first leaf.
#[derive(Debug, Default)]
pub(crate) struct Index {
    leaves: Packed<Packed<Location>, LEAF_HEAD_WORDS>,
    keys: u64,
    live_bytes: u64,
}

impl Index {
    /// The leaf that a key belongs to. There must be one.
    fn leaf_of(&self, key: &[u8]) -> usize {
        self.leaves.find(key).unwrap_or_else(|at| at.saturating_sub(1))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Location> {
        if self.leaves.is_empty() {
            return None;
        }
        let leaf = self.leaves.value(self.leaf_of(key));
        leaf.find(key).ok().map(|at| *leaf.value(at))
    }

    /// Returns where the key's record was before.
    pub(crate) fn insert(&mut self, key: &[u8], location: Location) -> Option<Location> {
        self.live_bytes += location.len() as u64;
        if self.leaves.is_empty() {
            self.leaves.insert(0, key, Packed::default());
        }
        let number = self.leaf_of(key);
        let leaf = self.leaves.value_mut(number);
        match leaf.find(key) {
            Ok(at) => {
                let before = std::mem::replace(leaf.value_mut(at), location);
                self.live_bytes -= before.len() as u64;
                Some(before)
            }
            Err(at) => {
                leaf.insert(at, key, location);
                self.keys += 1;
                if leaf.len() > LEAF_MAX {
                    self.split(number, at);
                }
                None
            }
        }
    }

    /// Splits a leaf to which a key was added at `at`: in the middle, but behind all others if that is where keys are
    /// added, so that keys that come in order fill their leaves. Both halves stand under their first keys from then on:
    /// the first leaf may have taken keys before that which it was made with.
    fn split(&mut self, number: usize, at: usize) {
        let mut lower = self.leaves.remove(number);
        let middle = if at + 1 == lower.len() { at } else { lower.len() / 2 };
        let upper = lower.split_off(middle);
        self.leaves.insert(number, &lower.key(0), lower);
        self.leaves.insert(number + 1, &upper.key(0), upper);
    }

    /// Returns where the key's record was.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Location> {
        if self.leaves.is_empty() {
            return None;
        }
        let number = self.leaf_of(key);
        let leaf = self.leaves.value_mut(number);
        let at = leaf.find(key).ok()?;
        let location = leaf.remove(at);
        self.live_bytes -= location.len() as u64;
        self.keys -= 1;
        if leaf.is_empty() {
            self.leaves.remove(number);
        } else if leaf.len() < LEAF_MIN {
            self.join(number);
        }
        Some(location)
    }

    /// Joins a leaf with the next one, if both are small.
    fn join(&mut self, number: usize) {
        let small = |number: usize| self.leaves.value(number).len();
        if number + 1 < self.leaves.len() && small(number) + small(number + 1) <= LEAF_MIN {
            let next = self.leaves.remove(number + 1);
            self.leaves.value_mut(number).append(next);
        }
    }

    /// The keys of a range, in order.
    pub(crate) fn range<'a>(
        &'a self,
        (from, to): KeyRange<'a>,
    ) -> impl Iterator<Item = (Vec<u8>, Location)> {
        let begin = match from {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) | Bound::Excluded(key) if !self.leaves.is_empty() => {
                let number = self.leaf_of(key);
                let found = self.leaves.value(number).find(key);
                let behind = usize::from(found.is_ok() && matches!(from, Bound::Excluded(_)));
                (number, found.unwrap_or_else(|at| at) + behind)
            }
            _ => (0, 0),
        };
        let ends = move |key: &[u8]| match to {
            Bound::Unbounded => false,
            Bound::Included(to) => key > to,
            Bound::Excluded(to) => key >= to,
        };
        let places = (begin.0..self.leaves.len()).flat_map(move |number| {
            let first = if number == begin.0 { begin.1 } else { 0 };
            (first..self.leaves.value(number).len()).map(move |at| (number, at))
        });
        places
            .map(|(number, at)| {
                (self.leaves.value(number).key(at), *self.leaves.value(number).value(at))
            })
            .take_while(move |(key, _)| !ends(key))
    }

    pub(crate) fn keys(&self) -> u64 {
        self.keys
    }

    /// Bytes of the records that keys point at.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Bytes on the heap.
    #[cfg(test)]
    fn heap_bytes(&self) -> usize {
        let leaves = (0..self.leaves.len()).map(|number| self.leaves.value(number).heap_bytes());
        self.leaves.heap_bytes() + leaves.sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
