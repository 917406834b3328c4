//! What clients did and were told.

use std::fmt;

use ombak_base::{ClientId, Tick};

use super::Spec;

/// Names one operation of a [`History`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OperationId(usize);

/// One call, and its answer if there was one.
pub struct Operation<S: Spec> {
    /// Who called. Shown in reports; decides nothing.
    pub client: ClientId,
    /// When it was called.
    pub called: Tick,
    /// What was asked.
    pub call: S::Call,
    /// When it was answered, and what. `None`: never, so it may have happened or not.
    pub answered: Option<(Tick, S::Answer)>,
}

impl<S: Spec> Operation<S> {
    /// When it was answered; for ever later, if it was not.
    pub(super) fn until(&self) -> Tick {
        self.answered.as_ref().map_or(Tick(u64::MAX), |(at, _)| *at)
    }

    pub(super) fn answer(&self) -> Option<&S::Answer> {
        self.answered.as_ref().map(|(_, answer)| answer)
    }
}

impl<S: Spec> fmt::Debug for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, called, call, answered } = self;
        match answered {
            Some((at, answer)) => {
                write!(f, "{called:?} .. {at:?}  {client}  {call:?} -> {answer:?}")
            }
            None => write!(f, "{called:?} ..            {client}  {call:?}, never answered"),
        }
    }
}

/// Operations of all clients, with the times of one clock that all of them share, in any unit and any order.
///
/// What ends in the same tick as something begins counts as being at the same time.
pub struct History<S: Spec> {
    operations: Vec<Operation<S>>,
}

impl<S: Spec> History<S> {
    /// Nothing was done yet.
    pub fn new() -> History<S> {
        History { operations: Vec::new() }
    }

    /// `client` calls. Until it is answered, the operation is pending.
    pub fn call(&mut self, client: ClientId, at: Tick, call: S::Call) -> OperationId {
        self.operations.push(Operation { client, called: at, call, answered: None });
        OperationId(self.operations.len() - 1)
    }

    /// The operation is answered.
    ///
    /// # Panics
    ///
    /// If it has been answered already, was called later than `at`, or is of a longer history.
    pub fn answer(&mut self, id: OperationId, at: Tick, answer: S::Answer) {
        let operation = &mut self.operations[id.0];
        assert!(operation.answered.is_none(), "answered twice: {operation:?}");
        assert!(operation.called <= at, "answered at {at:?}, before its call: {operation:?}");
        operation.answered = Some((at, answer));
    }

    /// All operations, in the order in which they were told.
    pub fn operations(&self) -> &[Operation<S>] {
        &self.operations
    }
}

impl<S: Spec> Default for History<S> {
    fn default() -> History<S> {
        History::new()
    }
}

impl<S: Spec> fmt::Debug for History<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.operations).finish()
    }
}
