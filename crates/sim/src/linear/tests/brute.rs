//! The definition, tried out: every choice of pending operations, in every order.

use super::super::*;

/// Whether some order explains the history of one object. For 7 operations or so.
pub fn explains<S: Spec>(spec: &S, history: &History<S>, start: S::State) -> bool {
    let all: Vec<&Operation<S>> = history.operations().iter().collect();
    let (answered, pending): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|op| op.answered.is_some());
    (0..1 << pending.len()).any(|choice: u32| {
        let happened = pending.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1);
        let mut chosen = answered.clone();
        chosen.extend(happened.map(|(_, op)| *op));
        any_order(spec, &mut chosen, 0, &start)
    })
}

/// Tries each of those from `placed` on in the next place.
fn any_order<S: Spec>(
    spec: &S,
    order: &mut Vec<&Operation<S>>,
    placed: usize,
    state: &S::State,
) -> bool {
    if placed == order.len() {
        return keeps_time(order);
    }
    (placed..order.len()).any(|next| {
        order.swap(placed, next);
        let operation = order[placed];
        let fits = spec
            .step(state, &operation.call, operation.answer())
            .is_some_and(|after| any_order(spec, order, placed + 1, &after));
        order.swap(placed, next);
        fits
    })
}

/// What was answered before another was called comes before it.
fn keeps_time<S: Spec>(order: &[&Operation<S>]) -> bool {
    (1..order.len())
        .all(|later| order[..later].iter().all(|earlier| order[later].until() >= earlier.called))
}
