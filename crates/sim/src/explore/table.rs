//! The states that were seen: fingerprints, and where each was first come upon.
//!
//! Open addressing with linear probing, in pieces that grow one at a time: while a piece is copied the others are
//! not, so memory never doubles. A piece is between half and three quarters full, which makes 32 to 48 bytes a state.

use std::sync::atomic::{AtomicUsize, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "the explorer is a host: its threads share the table"
)]
use std::sync::{Mutex, MutexGuard, PoisonError};

const PIECES: usize = 64;
const SLOTS_MIN: usize = 64;

/// Names a visited state: the low half of its fingerprint. [`NOBODY`] is none.
pub type Id = u64;

/// The parent of an initial state.
pub const NOBODY: Id = 0;

/// High half, low half (the id; [`NOBODY`] in a free slot), parent.
type Slot = [u64; 3];

/// The low half of a fingerprint, made never to be [`NOBODY`].
pub fn id_of(print: u128) -> Id {
    (print as u64).max(1)
}

#[expect(clippy::disallowed_types, reason = "the explorer is a host: its threads share the table")]
pub struct Table {
    pieces: Vec<Mutex<Piece>>,
    states: AtomicUsize,
    slots: AtomicUsize,
}

struct Piece {
    slots: Vec<Slot>,
    used: usize,
}

impl Table {
    pub fn new() -> Table {
        let piece = || Piece { slots: vec![[0; 3]; SLOTS_MIN], used: 0 };
        #[expect(clippy::disallowed_types, reason = "see above")]
        let pieces = (0..PIECES).map(|_| Mutex::new(piece())).collect();
        Table { pieces, states: AtomicUsize::new(0), slots: AtomicUsize::new(PIECES * SLOTS_MIN) }
    }

    /// `true` if it was not there before.
    pub fn insert(&self, print: u128, parent: Id) -> bool {
        let id = id_of(print);
        let mut piece = self.piece(id);
        let at = piece.find((print >> 64) as u64, id);
        if piece.slots[at][1] != NOBODY {
            return false;
        }
        piece.slots[at] = [(print >> 64) as u64, id, parent];
        piece.used += 1;
        self.states.fetch_add(1, Ordering::Relaxed);
        if piece.used * 4 >= piece.slots.len() * 3 {
            self.slots.fetch_add(piece.grow(), Ordering::Relaxed);
        }
        true
    }

    /// Where a state was first come upon; `None` if it is not there.
    pub fn parent(&self, id: Id) -> Option<Id> {
        let piece = self.piece(id);
        let slot = piece.probe(id).map(|at| piece.slots[at]).find(|slot| slot[1] == id)?;
        Some(slot[2])
    }

    /// Distinct states.
    pub fn states(&self) -> usize {
        self.states.load(Ordering::Relaxed)
    }

    /// Bytes of all slots, the free ones too.
    pub fn bytes(&self) -> usize {
        self.slots.load(Ordering::Relaxed) * size_of::<Slot>()
    }

    fn piece(&self, id: Id) -> MutexGuard<'_, Piece> {
        self.pieces[id as usize % PIECES].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    /// Where to look for an id first. Its high bits say so, and growing copies from front to back.
    fn first(&self, id: Id) -> usize {
        ((u128::from(id) * self.slots.len() as u128) >> 64) as usize
    }

    /// The slots in which an id may be, up to the first free one.
    fn probe(&self, id: Id) -> impl Iterator<Item = usize> {
        let (first, len) = (self.first(id), self.slots.len());
        (first..len).chain(0..first).take_while(|at| self.slots[*at][1] != NOBODY)
    }

    /// The slot of a fingerprint, or the free one where it belongs.
    fn find(&self, high: u64, id: Id) -> usize {
        let mut at = self.first(id);
        while self.slots[at][1] != NOBODY && self.slots[at][..2] != [high, id] {
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
        at
    }

    /// Half as many slots again; says how many that are.
    fn grow(&mut self) -> usize {
        let more = self.slots.len() / 2;
        let wider = vec![[0; 3]; self.slots.len() + more];
        let old = std::mem::replace(&mut self.slots, wider);
        for slot in old.into_iter().filter(|slot| slot[1] != NOBODY) {
            let at = self.find(slot[0], slot[1]);
            self.slots[at] = slot;
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Digest;

    #[test]
    fn what_goes_in_is_found_with_its_parent() {
        let table = Table::new();
        let print = |value: u64| Digest::of(&value);
        for value in 0..100_000 {
            assert!(table.insert(print(value), id_of(print(value / 2))), "{value}");
        }
        assert!((0..100_000).all(|value| !table.insert(print(value), 7)));
        assert_eq!(table.states(), 100_000);
        assert_eq!(table.parent(id_of(print(99_999))), Some(id_of(print(49_999))));
        assert_eq!(table.parent(id_of(print(100_000))), None);
        assert!(table.bytes() <= 48 * 100_000, "{} bytes", table.bytes());
    }

    #[test]
    fn halves_that_are_alike_do_not_make_a_state_the_same() {
        let table = Table::new();
        assert!(table.insert(1 << 64 | 5, NOBODY));
        assert!(table.insert(2 << 64 | 5, NOBODY));
        assert!(table.insert(0, NOBODY));
        assert!(!table.insert(0, NOBODY));
    }
}
