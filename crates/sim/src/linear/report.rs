//! What a check found, readable.

use std::fmt;

use super::search::Stuck;
use super::{Operation, Spec};

/// So many operations before the stuck place are printed.
const SHOWN: usize = 12;

/// What is to be said of a history.
#[must_use]
pub enum Verdict<'h, S: Spec> {
    /// There is an order that explains every answer.
    Linearisable,
    /// There is none.
    Broken(Broken<'h, S>),
    /// The search gave up. It may be either.
    Undecided {
        /// The first key that took too long. Those after it have been looked at.
        key: S::Key,
        /// The steps that it was given.
        steps_max: u64,
    },
}

impl<S: Spec> Verdict<'_, S> {
    /// Whether an order was found for every key.
    pub fn is_linearisable(&self) -> bool {
        matches!(self, Verdict::Linearisable)
    }
}

/// Why there is no order: how far the longest one comes, and what stops it there.
///
/// What is wrong often lies near this place, but not always in the operations named: a read can be impossible because an
/// earlier one had to be explained.
pub struct Broken<'h, S: Spec> {
    /// The object.
    pub key: S::Key,
    /// The order that explains the most answers. Pending operations are in it where they must have happened.
    pub order: Vec<&'h Operation<S>>,
    /// The object's state after it.
    pub state: S::State,
    /// Operations of which one would have to come next. In this state, none gives the answer that was seen. Never empty.
    pub unplaced: Vec<&'h Operation<S>>,
    /// How many answered operations are not in the order, `unplaced` among them.
    pub left: usize,
}

impl<'h, S: Spec> Broken<'h, S> {
    pub(super) fn new(key: S::Key, stuck: Stuck<'h, S>) -> Broken<'h, S> {
        let Stuck { order, state, unplaced, left } = stuck;
        Broken { key, order, state, unplaced, left }
    }
}

impl<S: Spec> fmt::Display for Broken<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key {:?}: no order explains what was seen", self.key)?;
        let hidden = self.order.len().saturating_sub(SHOWN);
        writeln!(
            f,
            "the longest order has {} operations, {} are left:",
            self.order.len(),
            self.left
        )?;
        if hidden > 0 {
            writeln!(f, "    ({hidden} more before)")?;
        }
        for operation in &self.order[hidden..] {
            writeln!(f, "    {operation:?}")?;
        }
        writeln!(f, "after it: {:?}", self.state)?;
        write!(f, "one of these must come next, and none can:")?;
        for operation in &self.unplaced {
            write!(f, "\n    {operation:?}")?;
        }
        Ok(())
    }
}

impl<S: Spec> fmt::Debug for Broken<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<S: Spec> fmt::Display for Verdict<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Linearisable => write!(f, "linearisable"),
            Verdict::Broken(broken) => write!(f, "{broken}"),
            Verdict::Undecided { key, steps_max } => {
                write!(f, "key {key:?}: undecided after {steps_max} steps")
            }
        }
    }
}

impl<S: Spec> fmt::Debug for Verdict<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
