//! What is forwarded is done once, however often its message comes.
//!
//! A sender numbers what it forwards in growing order, so the numbers taken lately tell a repetition. What is remembered
//! is bounded: a number below all of them may be a repetition, and is passed over as if it had been lost; its sender
//! says "unknown" when its time is up. Over a link that keeps its order that never happens.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::Address;

/// So many numbers of each sender are remembered.
const RECENT_MAX: usize = 4096;

/// What each sender has forwarded lately.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Once {
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
    pub fn take(&mut self, from: Address, boot: u64, number: u64) -> bool {
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
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{NodeId, ShardId};

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

    /// Everything that a sender has sent in its present boot.
    #[derive(Default)]
    struct Model {
        boot: u64,
        taken: BTreeSet<u64>,
    }

    impl Model {
        /// Not what was taken, nor what lies below all that are remembered.
        fn take(&mut self, boot: u64, number: u64) -> bool {
            if boot != self.boot {
                *self = Model { boot, ..Model::default() };
            }
            let forgotten = self.taken.len().saturating_sub(RECENT_MAX);
            let floor = forgotten.checked_sub(1).and_then(|last| self.taken.iter().nth(last));
            number > floor.copied().unwrap_or(0) && self.taken.insert(number)
        }
    }

    /// Numbers in growing order, some left out; as many as are remembered, and more, and a few.
    fn run() -> impl Strategy<Value = (usize, u64, Vec<u64>)> {
        let long = (0..3 * RECENT_MAX as u64, 1..3u64, 0..RECENT_MAX as u64);
        let short = (0..3 * RECENT_MAX as u64, 1..3u64, 0..8u64);
        let numbers = prop_oneof![1 => long, 3 => short];
        let numbers = numbers
            .prop_map(|(from, step, count)| (0..count).map(|at| 1 + from + at * step).collect());
        (0..2usize, proptest::sample::select(&[1, 1, 1, 1, 2][..]), numbers)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_number_is_taken_as_a_sender_that_forgets_nothing_says(runs in proptest::collection::vec(run(), 0..12)) {
            let (mut once, mut models) = (Once::default(), [Model::default(), Model::default()]);
            for (sender, boot, numbers) in runs {
                for number in numbers {
                    let expected = models[sender].take(boot, number);
                    let taken = once.take([A, B][sender], boot, number);
                    prop_assert_eq!(taken, expected, "{} of {}", number, sender);
                }
            }
            prop_assert!(once.senders.values().all(|recent| recent.taken.len() <= RECENT_MAX));
        }
    }
}
