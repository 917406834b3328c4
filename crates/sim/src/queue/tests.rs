use proptest::prelude::*;

use super::*;

proptest! {
    /// Against a list that is searched: the earliest comes first, and of one time the one that was pushed first.
    #[test]
    fn things_come_in_order(steps in prop::collection::vec((0..4u8, 0..5u64), 0..60)) {
        let mut queue = Queue::new();
        let mut model: Vec<(Key, u32)> = Vec::new();
        let mut pushed = 0;
        for (step, at) in steps {
            match step {
                0 | 1 => {
                    pushed += 1;
                    let key = queue.push(at, pushed);
                    prop_assert_eq!(key.0, at);
                    model.push((key, pushed));
                }
                2 if !model.is_empty() => {
                    let place = at as usize % model.len();
                    queue.remove(model.remove(place).0);
                }
                _ => {
                    // The first of those at the earliest time: they stand in the order in which they were pushed.
                    let earliest = model.iter().map(|((at, _), _)| *at).min();
                    let place = model.iter().position(|((at, _), _)| Some(*at) == earliest);
                    prop_assert_eq!(queue.pop(), place.map(|place| model.remove(place)));
                }
            }
            prop_assert_eq!(queue.first_at(), model.iter().map(|((at, _), _)| *at).min());
        }
    }
}
