//! The search for an order of one key's operations.

use std::collections::BTreeSet;

use ombak_base::Tick;

use super::placed::Placed;
use super::{Operation, Spec};

/// How a search ended.
pub(super) enum Outcome<'h, S: Spec> {
    /// There is an order.
    Explained,
    /// There is none.
    Stuck(Stuck<'h, S>),
    /// It would have taken more steps than allowed.
    GaveUp,
}

/// The order that explains the most answers, and what stops it there.
pub(super) struct Stuck<'h, S: Spec> {
    pub order: Vec<&'h Operation<S>>,
    pub state: S::State,
    /// One of these must come next, and none can.
    pub unplaced: Vec<&'h Operation<S>>,
    /// All answered ones that are not in the order, the above among them.
    pub left: usize,
}

/// One operation that has its place.
struct Step<S: Spec> {
    number: u32,
    /// The state before it.
    before: S::State,
    /// Where the options of the place before it begin.
    options_from: usize,
}

pub(super) struct Search<'h, 's, S: Spec> {
    spec: &'s S,
    /// Answered ones by their call, then pending ones by their call.
    operations: Vec<&'h Operation<S>>,
    answered: u32,
    state: S::State,
    placed: Placed,
    steps: Vec<Step<S>>,
    /// What is still to be tried, for every place on the way here; those of the next place start at `options_from`.
    options: Vec<u32>,
    options_from: usize,
    seen: BTreeSet<(Placed, S::State)>,
    best: Best,
}

/// The longest order so far. Kept when the search steps back from it, never on the way forward, and only the part that
/// has changed: a history that is fine costs nothing.
#[derive(Default)]
struct Best {
    answered: usize,
    order: Vec<u32>,
    /// So many at the front of `order` are still those at the front of the search.
    shared: usize,
}

impl<'h, 's, S: Spec> Search<'h, 's, S> {
    /// Of one key, in any order.
    pub fn new(spec: &'s S, mut operations: Vec<&'h Operation<S>>, start: S::State) -> Self {
        operations.sort_by_key(|op| (op.answered.is_none(), op.called, op.until()));
        let answered = operations.partition_point(|op| op.answered.is_some()) as u32;
        Search {
            spec,
            operations,
            answered,
            state: start,
            placed: Placed::default(),
            steps: Vec::new(),
            options: Vec::new(),
            options_from: 0,
            seen: BTreeSet::new(),
            best: Best::default(),
        }
    }

    pub fn run(mut self, steps_max: u64) -> Outcome<'h, S> {
        let mut steps = 0;
        self.open();
        while self.placed.below() < self.answered {
            if self.options.len() > self.options_from {
                if steps == steps_max {
                    return Outcome::GaveUp;
                }
                steps += 1;
                self.advance();
            } else if !self.back() {
                return Outcome::Stuck(self.stuck());
            }
        }
        Outcome::Explained
    }

    /// Lists what can have the next place.
    fn open(&mut self) {
        self.options_from = self.options.len();
        let deadline = self.candidates();
        if let Some(free) = self.free_option() {
            self.options.truncate(self.options_from);
            self.options.push(free);
            return;
        }
        let pending = self.answered..self.operations.len() as u32;
        let called = pending.take_while(|number| self.called(*number) <= deadline);
        let open: Vec<u32> = called.filter(|number| !self.placed.has_pending(*number)).collect();
        self.options.extend(open);
        // They are taken from the end.
        self.options[self.options_from..].reverse();
    }

    /// An answered operation that only looks, and can come next. If there is an order in which it comes later, there is one
    /// in which it comes now, and the others see the same states. So nothing else need be tried here.
    fn free_option(&self) -> Option<u32> {
        let mut options = self.options[self.options_from..].iter().copied();
        options.find(|number| {
            let operation = self.operations[*number as usize];
            let answer = operation.answer();
            answer.is_some_and(|answer| self.spec.only_looks(&operation.call, answer))
                && self.apply(*number).is_some()
        })
    }

    /// Lists the answered ones that can have the next place: called before each answer of one that has none. Returns the
    /// first of these answers.
    fn candidates(&mut self) -> Tick {
        let mut deadline = Tick(u64::MAX);
        for number in self.placed.below()..self.answered {
            if self.called(number) > deadline {
                break;
            }
            if !self.placed.has_answered(number) {
                self.options.push(number);
                deadline = deadline.min(self.operations[number as usize].until());
            }
        }
        deadline
    }

    fn called(&self, number: u32) -> Tick {
        self.operations[number as usize].called
    }

    /// Tries one option.
    fn advance(&mut self) {
        let Some(number) = self.options.pop() else { return };
        let Some(after) = self.apply(number) else { return };
        if number >= self.answered && after == self.state {
            return; // Nobody heard of it, and it changes nothing: as if it had not happened.
        }
        self.place(number);
        if self.seen.insert((self.placed.clone(), after.clone())) {
            let before = std::mem::replace(&mut self.state, after);
            self.steps.push(Step { number, before, options_from: self.options_from });
            self.open();
        } else {
            self.unplace(number);
        }
    }

    /// Takes the last step back. `false` if there is none.
    fn back(&mut self) -> bool {
        self.keep_best();
        let Some(step) = self.steps.pop() else { return false };
        self.unplace(step.number);
        self.state = step.before;
        self.options_from = step.options_from;
        self.best.shared = self.best.shared.min(self.steps.len());
        true
    }

    fn keep_best(&mut self) {
        let best = &mut self.best;
        if self.placed.answered() > best.answered {
            best.answered = self.placed.answered();
            best.order.truncate(best.shared);
            best.order.extend(self.steps[best.shared..].iter().map(|step| step.number));
            best.shared = self.steps.len();
        }
    }

    /// The state after an operation, if it can come next.
    fn apply(&self, number: u32) -> Option<S::State> {
        let operation = self.operations[number as usize];
        self.spec.step(&self.state, &operation.call, operation.answer())
    }

    fn place(&mut self, number: u32) {
        if number < self.answered {
            self.placed.add_answered(number);
        } else {
            self.placed.add_pending(number);
        }
    }

    fn unplace(&mut self, number: u32) {
        if number < self.answered {
            self.placed.remove_answered(number);
        } else {
            self.placed.remove_pending(number);
        }
    }

    /// Goes to the end of the best order and looks around. The search is back at its start.
    fn stuck(mut self) -> Stuck<'h, S> {
        let order = std::mem::take(&mut self.best.order);
        for number in &order {
            if let Some(after) = self.apply(*number) {
                self.state = after;
            }
            self.place(*number);
        }
        self.options.clear();
        self.candidates();
        let named =
            |numbers: &[u32]| numbers.iter().map(|n| self.operations[*n as usize]).collect();
        Stuck {
            order: named(&order),
            unplaced: named(&self.options),
            left: self.answered as usize - self.placed.answered(),
            state: self.state,
        }
    }
}
