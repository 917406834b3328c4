//! The states that were seen: fingerprints, and where each was first come upon.
//!
//! Open addressing with linear probing, in pieces that grow one at a time: while a piece is copied the others are
//! not, so memory never doubles. In a piece, what is taken is in order (Amble and Knuth, *Ordered hash tables*, 1974): a search
//! ends at the first slot that is not before what is looked for, so that a piece can be nearly full. It is between 7/9 and
//! 7/8, which makes 27 to 31 bytes a state.

use std::sync::atomic::{AtomicUsize, Ordering};
#[expect(
    clippy::disallowed_types,
    reason = "the explorer is a host: its threads share the table"
)]
use std::sync::{Mutex, MutexGuard, PoisonError};

const PIECES: usize = 64;
const SLOTS_MIN: usize = 64;
/// So many slots are added behind the last home when that is not enough.
const SPILL: usize = 16;

/// Names a visited state: the low half of its fingerprint. [`NOBODY`] is none.
pub type Id = u64;

/// The parent of an initial state.
pub const NOBODY: Id = 0;

/// High half, low half (the id; [`NOBODY`] in a free slot), parent.
type Slot = [u64; 3];

const FREE: Slot = [0; 3];

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

/// What is taken is in the order of ids, then of high halves; each is in its home or behind it, and nothing is free in between.
struct Piece {
    slots: Vec<Slot>,
    /// How many of the slots are homes. Those behind them are for what finds no room.
    homes: usize,
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
        #[expect(clippy::disallowed_types, reason = "see above")]
        let pieces = (0..PIECES).map(|_| Mutex::new(Piece::new(SLOTS_MIN))).collect();
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
        let slot = piece.slots.get(piece.find(0, id)).filter(|slot| slot[1] == id)?;
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
    fn new(homes: usize) -> Piece {
        Piece { slots: vec![FREE; homes], homes, used: 0, grown: 0 }
    }

    /// Where an id belongs. Its high bits say so, and so homes are in the order of ids.
    fn home(&self, id: Id) -> usize {
        ((u128::from(id) * self.homes as u128) >> 64) as usize
    }

    /// The slot of a fingerprint, or the one in which it would be: the first from its home that is free or not before it.
    /// Perhaps one that is still to be added.
    fn find(&self, high: u64, id: Id) -> usize {
        let home = self.home(id);
        let is_before = |slot: &Slot| slot[1] != NOBODY && (slot[1], slot[0]) < (id, high);
        home + self.slots[home..].iter().take_while(|slot| is_before(slot)).count()
    }

    /// Reads where each id will be looked for. Nothing depends on what is there, so the processor waits for all of them
    /// at once; a search waits for each before it knows what comes next.
    fn touch(&self, ids: impl Iterator<Item = Id>) {
        let all = ids.fold(0, |all, id| all ^ self.slots[self.home(id)][1]);
        std::hint::black_box(all);
    }

    /// `true` if it was not there before.
    fn insert(&mut self, print: u128, parent: Id) -> bool {
        let slot = [(print >> 64) as u64, id_of(print), parent];
        let at = self.find(slot[0], slot[1]);
        if self.slots.get(at).is_some_and(|there| there[..2] == slot[..2]) {
            return false;
        }
        let free = at + self.slots[at..].iter().take_while(|slot| slot[1] != NOBODY).count();
        if free == self.slots.len() {
            self.add(FREE);
        }
        self.slots.copy_within(at..free, at + 1);
        self.slots[at] = slot;
        self.used += 1;
        if self.used * 8 >= self.homes * 7 {
            self.grow();
        }
        true
    }

    fn add(&mut self, slot: Slot) {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(SPILL);
        }
        self.slots.push(slot);
        self.grown += 1;
    }

    /// One home more for each eight. What is taken keeps its order, so it is copied from front to back.
    fn grow(&mut self) {
        let homes = self.homes + self.homes.div_ceil(8);
        let mut wider =
            Piece { slots: Vec::with_capacity(homes + SPILL), homes, used: self.used, grown: 0 };
        for slot in self.slots.iter().filter(|slot| slot[1] != NOBODY) {
            while wider.slots.len() < wider.home(slot[1]) {
                wider.add(FREE);
            }
            wider.add(*slot);
        }
        while wider.slots.len() < homes {
            wider.add(FREE);
        }
        // More homes, and none of them empty before what had no room: it never shrinks.
        wider.grown = self.grown + wider.slots.len() - self.slots.len();
        *self = wider;
    }
}

#[cfg(test)]
mod tests;
