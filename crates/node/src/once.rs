//! Each forwarded write is done once, however often its message comes.
//!
//! A shard numbers what it forwards in growing order, so the numbers taken lately tell a repetition. What is remembered
//! is bounded: a number below all of them may be a repetition, and is passed over as if it had been lost; its sender
//! says "unknown" when its time is up. Over a link that keeps its order that never happens.

use std::collections::{BTreeMap, VecDeque};

use ombak_base::Address;
use serde::{Deserialize, Serialize};

/// So many numbers of each sender are remembered.
const RECENT_MAX: usize = 4096;

/// What each sender has forwarded lately.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Once {
    senders: BTreeMap<Address, Recent>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Recent {
    /// The sender's boot: numbers begin again with each.
    boot: u64,
    /// All numbers up to here count as taken.
    floor: u64,
    /// Those above, ascending.
    taken: VecDeque<u64>,
}

impl Once {
    /// Takes a number. `false`: it was taken before, or may have been.
    pub(crate) fn take(&mut self, from: Address, boot: u64, number: u64) -> bool {
        let recent = self.senders.entry(from).or_default();
        if recent.boot != boot {
            *recent = Recent { boot, ..Recent::default() };
        }
        recent.take(number)
    }
}

impl Recent {
    fn take(&mut self, number: u64) -> bool {
        if number <= self.floor {
            return false;
        }
        // Nearly always it is greater than all others.
        if self.taken.back().is_none_or(|last| *last < number) {
            self.taken.push_back(number);
        } else {
            match self.taken.binary_search(&number) {
                Ok(_) => return false,
                Err(at) => self.taken.insert(at, number),
            }
        }
        if self.taken.len() > RECENT_MAX {
            self.floor = self.taken.pop_front().unwrap_or(self.floor);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ombak_base::{NodeId, ShardId};

    use super::*;

    const A: Address = Address { node: NodeId(0), shard: ShardId(0) };
    const B: Address = Address { node: NodeId(0), shard: ShardId(1) };

    #[test]
    fn each_number_of_each_sender_is_taken_once_in_any_order() {
        let mut once = Once::default();
        for number in [5, 3, 9, 4] {
            assert!(once.take(A, 1, number) && once.take(B, 1, number));
        }
        for number in [3, 4, 5, 9] {
            assert!(!once.take(A, 1, number) && !once.take(B, 1, number));
        }
        assert!(once.take(A, 2, 3), "another boot counts anew");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_nothing_is_taken_twice() {
        let mut once = Once::default();
        let most = RECENT_MAX as u64;
        assert!((1..=3 * most).all(|number| once.take(A, 1, number)));
        assert_eq!(once.senders[&A].taken.len(), RECENT_MAX);
        assert!(!(1..=3 * most).any(|number| once.take(A, 1, number)));
    }
}
