//! Which operations of a key have their place already: one half of what the search remembers.

/// A set of operations, named by their number. Answered ones come first, in the order of their calls, then pending ones.
///
/// An operation that is not placed soon stops all that begin after its answer. So the answered ones that are placed are
/// all below some number, and a few more: those that ran at the same time as the first that is not. Pending ones stop
/// nobody and are often never placed, which is why they are kept apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Placed {
    /// All answered ones before this number.
    below: u32,
    /// Answered ones after it, ascending. The one at `below` is never there.
    beyond: Vec<u32>,
    /// Pending ones, ascending.
    pending: Vec<u32>,
}

impl Placed {
    /// The first answered operation that is not placed.
    pub fn below(&self) -> u32 {
        self.below
    }

    /// How many answered ones are placed.
    pub fn answered(&self) -> usize {
        self.below as usize + self.beyond.len()
    }

    pub fn has_answered(&self, number: u32) -> bool {
        number < self.below || self.beyond.binary_search(&number).is_ok()
    }

    pub fn has_pending(&self, number: u32) -> bool {
        self.pending.binary_search(&number).is_ok()
    }

    /// Places an answered one that is not placed.
    pub fn add_answered(&mut self, number: u32) {
        if number != self.below {
            return insert(&mut self.beyond, number);
        }
        let follow = (number + 1..).zip(&self.beyond).take_while(|(next, has)| next == *has);
        let joined = follow.count();
        self.beyond.drain(..joined);
        self.below = number + 1 + joined as u32;
    }

    /// Takes an answered one back.
    pub fn remove_answered(&mut self, number: u32) {
        if number >= self.below {
            return remove(&mut self.beyond, number);
        }
        self.beyond.splice(..0, number + 1..self.below);
        self.below = number;
    }

    /// Places a pending one that is not placed.
    pub fn add_pending(&mut self, number: u32) {
        insert(&mut self.pending, number);
    }

    /// Takes a pending one back.
    pub fn remove_pending(&mut self, number: u32) {
        remove(&mut self.pending, number);
    }
}

fn insert(sorted: &mut Vec<u32>, number: u32) {
    if let Err(place) = sorted.binary_search(&number) {
        sorted.insert(place, number);
    }
}

fn remove(sorted: &mut Vec<u32>, number: u32) {
    if let Ok(place) = sorted.binary_search(&number) {
        sorted.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Rng;

    #[test]
    fn it_is_a_set_whatever_comes_and_goes() {
        let mut rng = Rng::new(1);
        let (mut placed, mut set) = (Placed::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let number = rng.below(12) as u32;
            if set.insert(number) {
                placed.add_answered(number);
            } else {
                set.remove(&number);
                placed.remove_answered(number);
            }
            let has: BTreeSet<u32> = (0..12).filter(|n| placed.has_answered(*n)).collect();
            assert_eq!((&has, placed.answered()), (&set, set.len()));
            assert!(!set.contains(&placed.below()) && !placed.beyond.contains(&placed.below()));
        }
    }
}
