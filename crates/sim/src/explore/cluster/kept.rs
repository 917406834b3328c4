//! Values that were seen once, kept once: states name them by number.
//!
//! Two states differ in one node and a few messages, and what happens to a node depends on nothing but that node. So
//! nodes, messages and histories are kept where all states find them, and so is what became of a node: however many
//! states a node stands in, its machine takes each event once.
//!
//! Values are the same if their fingerprints of 128 bits are, as whole states are.

use std::hash::{BuildHasherDefault, Hash};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "the explorer is a host: its threads share what is kept. Nobody looks at the order of the map"
)]
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Digest;

/// Names a kept value.
pub type Id = u32;

const SHARDS: usize = 64;
/// How many values the first piece of a [`Shelf`] holds; each holds twice as many as the one before.
const FIRST: u32 = 64;
const PIECES: usize = 26;

/// Values that are added, and stay: they are read without a lock.
struct Shelf<T> {
    pieces: [OnceLock<Box<[OnceLock<T>]>>; PIECES],
    len: AtomicU32,
}

/// The piece of a value, and its place there.
#[inline]
fn place(id: Id) -> (usize, usize) {
    let at = id + FIRST;
    let piece = at.ilog2() - FIRST.ilog2();
    (piece as usize, (at - (FIRST << piece)) as usize)
}

impl<T> Shelf<T> {
    fn new() -> Shelf<T> {
        Shelf { pieces: [const { OnceLock::new() }; PIECES], len: AtomicU32::new(0) }
    }

    fn push(&self, value: T) -> Id {
        let id = self.len.fetch_add(1, Ordering::Relaxed);
        let (piece, at) = place(id);
        let empty = || (0..FIRST << piece).map(|_| OnceLock::new()).collect();
        let piece = self.pieces[piece].get_or_init(empty);
        assert!(piece[at].set(value).is_ok(), "a number is given once");
        id
    }

    #[inline]
    fn get(&self, id: Id) -> &T {
        let (piece, at) = place(id);
        let value = self.pieces[piece].get().and_then(|piece| piece[at].get());
        value.expect("a number comes from what was kept")
    }
}

/// A map for threads that share it.
struct Index<K, V> {
    #[expect(clippy::disallowed_types, reason = "see above")]
    shards: Vec<Mutex<HashMap<K, V, BuildHasherDefault<Digest>>>>,
}

#[expect(clippy::disallowed_types, reason = "see above")]
impl<K: Hash + Eq, V: Copy> Index<K, V> {
    fn new() -> Index<K, V> {
        Index { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The part of the map for all keys of this number, which need not be spread well.
    fn lock(&self, number: usize) -> MutexGuard<'_, HashMap<K, V, BuildHasherDefault<Digest>>> {
        self.shards[number % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps values of one kind, equal ones once.
pub struct Kept<T> {
    values: Shelf<(u128, T)>,
    index: Index<u128, Id>,
    bytes: AtomicUsize,
}

impl<T: Hash> Kept<T> {
    pub fn new() -> Kept<T> {
        Kept { values: Shelf::new(), index: Index::new(), bytes: AtomicUsize::new(0) }
    }

    /// The number of this value, from now on or already.
    pub fn keep(&self, value: T) -> Id {
        let mut digest = Digest::new();
        value.hash(&mut digest);
        let print = digest.value();
        let mut index = self.index.lock(print as usize);
        *index.entry(print).or_insert_with(|| {
            let bytes = size_of::<T>() + digest.bytes() * HEAP_FACTOR + ENTRY_BYTES;
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.values.push((print, value))
        })
    }

    pub fn get(&self, id: Id) -> &T {
        &self.values.get(id).1
    }

    pub fn print(&self, id: Id) -> u128 {
        self.values.get(id).0
    }

    /// An estimate of the memory of all.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What a value has on the heap is guessed from how much of it there is to hash: maps have room to spare.
const HEAP_FACTOR: usize = 4;
/// What the index and the shelf take for a value.
const ENTRY_BYTES: usize = 80;

/// What a remembered result has on the heap: a way or two, and what they send.
const RESULT_BYTES: usize = 200;

/// Remembers what came of what.
pub struct Memory<K, V> {
    results: Shelf<V>,
    index: Index<K, Id>,
}

impl<K: Hash + Eq + Copy, V> Memory<K, V> {
    pub fn new() -> Memory<K, V> {
        Memory { results: Shelf::new(), index: Index::new() }
    }

    /// What came of it, or comes of it now. `spread` says in which part of the map it is.
    pub fn recall(&self, spread: Id, key: K, make: impl FnOnce() -> V) -> &V {
        let known = self.index.lock(spread as usize).get(&key).copied();
        // Made without the lock: two threads may make it at once, and what they make is the same.
        let id = known.unwrap_or_else(|| {
            let id = self.results.push(make());
            *self.index.lock(spread as usize).entry(key).or_insert(id)
        });
        self.results.get(id)
    }

    /// An estimate of the memory of all.
    pub fn bytes(&self) -> usize {
        let each = size_of::<V>() + size_of::<K>() + RESULT_BYTES + ENTRY_BYTES;
        self.results.len.load(Ordering::Relaxed) as usize * each
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_twice_has_one_number() {
        let kept = Kept::new();
        let ids: Vec<Id> = (0..1_000_u64).map(|value| kept.keep(value / 2)).collect();
        assert_eq!(ids, (0..1_000).map(|at| at / 2).collect::<Vec<_>>());
        assert!((0..500).all(|id| *kept.get(id) == u64::from(id)));
        assert_eq!(kept.print(7), Digest::of(&7_u64));
        assert!(kept.bytes() >= 500 * 8);
    }

    #[test]
    fn numbers_go_from_piece_to_piece() {
        assert_eq!([0, 63, 64, 191, 192].map(place), [(0, 0), (0, 63), (1, 0), (1, 127), (2, 0)]);
        assert_eq!(place(u32::MAX - FIRST).0, PIECES - 1);
    }

    #[test]
    fn what_is_remembered_is_made_once() {
        let memory = Memory::new();
        let mut made = 0;
        for round in 0..3 {
            let result = memory.recall(5, (5, 6), || {
                made += 1;
                round
            });
            assert_eq!(*result, 0);
        }
        assert_eq!(made, 1);
    }
}
