//! A specification of one's own: a first-in-first-out queue.

use std::collections::VecDeque;

use ombak_base::{ClientId, Tick};

use super::super::*;
use super::STEPS;

struct Queue;

#[derive(Debug)]
enum Ask {
    Put(u64),
    /// Answered with what was first, `None` if the queue was empty; `Put` with `None`.
    Take,
}

impl Spec for Queue {
    type Key = ();
    type Call = Ask;
    type Answer = Option<u64>;
    type State = VecDeque<u64>;

    fn key(&self, _: &Ask) {}

    fn start(&self, _: &()) -> VecDeque<u64> {
        VecDeque::new()
    }

    fn step(
        &self,
        state: &VecDeque<u64>,
        ask: &Ask,
        answer: Option<&Option<u64>>,
    ) -> Option<VecDeque<u64>> {
        let mut after = state.clone();
        let said = match ask {
            Ask::Put(value) => {
                after.push_back(*value);
                None
            }
            Ask::Take => after.pop_front(),
        };
        answer.is_none_or(|heard| *heard == said).then_some(after)
    }
}

/// (from, to, what, answer), each by a client of its own.
fn is_fine(operations: &[(u64, u64, Ask, Option<u64>)]) -> bool {
    let mut history = History::<Queue>::new();
    for (client, (from, to, ask, answer)) in operations.iter().enumerate() {
        let ask = match ask {
            Ask::Put(value) => Ask::Put(*value),
            Ask::Take => Ask::Take,
        };
        let id = history.call(ClientId(client as u64), Tick(*from), ask);
        history.answer(id, Tick(*to), *answer);
    }
    check(&Queue, &history, STEPS).is_linearisable()
}

#[test]
fn what_was_put_first_is_taken_first() {
    use Ask::{Put, Take};
    let puts = || [(0, 1, Put(1), None), (2, 3, Put(2), None)];
    let [a, b] = puts();
    assert!(is_fine(&[a, b, (4, 5, Take, Some(1)), (6, 7, Take, Some(2))]));
    let [a, b] = puts();
    assert!(!is_fine(&[a, b, (4, 5, Take, Some(2)), (6, 7, Take, Some(1))]));
    let [a, b] = puts();
    assert!(is_fine(&[a, b, (4, 7, Take, Some(2)), (4, 7, Take, Some(1))]), "at the same time");
}

#[test]
fn nothing_is_taken_twice_or_missed() {
    use Ask::{Put, Take};
    assert!(!is_fine(&[(0, 1, Put(1), None), (2, 9, Take, Some(1)), (2, 9, Take, Some(1))]));
    assert!(!is_fine(&[(0, 1, Put(1), None), (2, 3, Take, None)]));
    assert!(is_fine(&[(0, 3, Put(1), None), (2, 3, Take, None)]));
}
