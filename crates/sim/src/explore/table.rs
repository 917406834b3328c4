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
    /// Slots that came to it and were not counted yet.
    grown: usize,
}

/// States that arrive together: fingerprints with parents, and whether they were new.
#[derive(Default)]
pub struct Batch {
    pub arrivals: Vec<(u128, Id)>,
    pub is_new: Vec<bool>,
    /// Places in `arrivals`, piece by piece.
    order: Vec<u32>,
}

impl Batch {
    /// Orders by piece, and says where each begins. Of two equal ones the first stays first.
    fn sort(&mut self) -> [usize; PIECES + 1] {
        let piece_of = |arrival: &(u128, Id)| id_of(arrival.0) as usize % PIECES;
        let mut starts = [0; PIECES + 1];
        self.arrivals.iter().for_each(|each| starts[piece_of(each) + 1] += 1);
        (0..PIECES).for_each(|piece| starts[piece + 1] += starts[piece]);
        let mut next = starts;
        self.order.clear();
        self.order.resize(self.arrivals.len(), 0);
        for (at, arrival) in (0..).zip(&self.arrivals) {
            let place = &mut next[piece_of(arrival)];
            self.order[*place] = at;
            *place += 1;
        }
        self.is_new.clear();
        self.is_new.resize(self.arrivals.len(), false);
        starts
    }
}

impl Table {
    pub fn new() -> Table {
        let piece = || Piece { slots: vec![[0; 3]; SLOTS_MIN], used: 0, grown: 0 };
        #[expect(clippy::disallowed_types, reason = "see above")]
        let pieces = (0..PIECES).map(|_| Mutex::new(piece())).collect();
        Table { pieces, states: AtomicUsize::new(0), slots: AtomicUsize::new(PIECES * SLOTS_MIN) }
    }

    /// Puts in what is not there yet, and says of each whether it was new.
    ///
    /// Nearly every look at a large table misses the cache. All that belong into one piece go there together, under
    /// one lock, so that their misses overlap; with a lock for each they would not.
    pub fn insert_all(&self, batch: &mut Batch) {
        let starts = batch.sort();
        for (piece, range) in self.pieces.iter().zip(starts.windows(2)) {
            let group = &batch.order[range[0]..range[1]];
            if group.is_empty() {
                continue;
            }
            let mut piece = piece.lock().unwrap_or_else(PoisonError::into_inner);
            piece.touch(group.iter().map(|at| id_of(batch.arrivals[*at as usize].0)));
            for at in group {
                let (print, parent) = batch.arrivals[*at as usize];
                batch.is_new[*at as usize] = piece.insert(print, parent);
            }
            let new = group.iter().filter(|at| batch.is_new[**at as usize]).count();
            self.states.fetch_add(new, Ordering::Relaxed);
            self.slots.fetch_add(std::mem::take(&mut piece.grown), Ordering::Relaxed);
        }
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

    /// Reads where each id will be looked for. Nothing depends on what is there, so the processor waits for all of them
    /// at once; a search waits for each before it knows what comes next.
    fn touch(&self, ids: impl Iterator<Item = Id>) {
        let all = ids.fold(0, |all, id| all ^ self.slots[self.first(id)][1]);
        std::hint::black_box(all);
    }

    /// `true` if it was not there before.
    fn insert(&mut self, print: u128, parent: Id) -> bool {
        let slot = [(print >> 64) as u64, id_of(print), parent];
        let at = self.find(slot[0], slot[1]);
        if self.slots[at][1] != NOBODY {
            return false;
        }
        self.slots[at] = slot;
        self.used += 1;
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        true
    }

    /// Half as many slots again.
    fn grow(&mut self) {
        let more = self.slots.len() / 2;
        let wider = vec![[0; 3]; self.slots.len() + more];
        let old = std::mem::replace(&mut self.slots, wider);
        for slot in old.into_iter().filter(|slot| slot[1] != NOBODY) {
            let at = self.find(slot[0], slot[1]);
            self.slots[at] = slot;
        }
        self.grown += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Digest;

    fn insert(table: &Table, arrivals: Vec<(u128, Id)>) -> Vec<bool> {
        let mut batch = Batch { arrivals, ..Batch::default() };
        table.insert_all(&mut batch);
        batch.is_new
    }

    fn print(value: u64) -> u128 {
        Digest::of(&value)
    }

    #[test]
    fn what_goes_in_is_found_with_its_parent() {
        let table = Table::new();
        for from in (0..100_000).step_by(1_000) {
            let values = from..from + 1_000;
            let arrivals = values.map(|value| (print(value), id_of(print(value / 2)))).collect();
            assert!(insert(&table, arrivals).into_iter().all(|is_new| is_new));
        }
        let again = (0..100_000).map(|value| (print(value), 7)).collect();
        assert!(insert(&table, again).into_iter().all(|is_new| !is_new));
        assert_eq!(table.states(), 100_000);
        assert_eq!(table.parent(id_of(print(99_999))), Some(id_of(print(49_999))));
        assert_eq!(table.parent(id_of(print(100_000))), None);
        assert!(table.bytes() <= 48 * 100_000, "{} bytes", table.bytes());
    }

    #[test]
    fn halves_that_are_alike_do_not_make_a_state_the_same() {
        let arrivals = [1 << 64 | 5, 2 << 64 | 5, 0, 0, 1 << 64 | 5];
        let arrivals = arrivals.map(|print| (print, NOBODY)).to_vec();
        assert_eq!(insert(&Table::new(), arrivals), [true, true, true, false, false]);
    }
}
