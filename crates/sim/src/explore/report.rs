//! What an exploration found, and how much it looked at.

use std::fmt;

use super::Model;

/// How an exploration ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Every state that can be reached was visited, and nothing was broken.
    Complete,
    /// Something was broken: see [`Report::violation`].
    Violated,
    /// A bound was reached before the end.
    Stopped(Limit),
}

/// Which bound ended an exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// [`Explorer::states_max`](super::Explorer::states_max).
    States,
    /// [`Explorer::bytes_max`](super::Explorer::bytes_max).
    Bytes,
    /// [`Explorer::depth_max`](super::Explorer::depth_max).
    Depth,
}

/// A way from an initial state.
pub struct Path<M: Model> {
    /// What was done, one by one.
    pub actions: Vec<M::Action>,
    /// The same as text, by [`Model::describe`].
    pub lines: Vec<String>,
    /// The last state that there was: if the last action broke something, the one before it.
    pub end: M::State,
}

impl<M: Model> fmt::Display for Path<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = (1..).zip(&self.lines);
        lines.try_for_each(|(number, line)| writeln!(f, "{number:>4}. {line}"))
    }
}

/// A broken property and the shortest way to it.
pub struct Violation<M: Model> {
    /// The property's name, or the message of [`Steps::broken`](super::Steps::broken).
    pub broken: String,
    /// How to get there.
    pub path: Path<M>,
}

impl<M: Model> fmt::Display for Violation<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "broken after {} steps: {}", self.path.actions.len(), self.broken)?;
        write!(f, "{}", self.path)
    }
}

/// What became of a property that is to hold sometimes.
pub struct Sometimes<M: Model> {
    /// The property's name.
    pub name: &'static str,
    /// A shortest way to it; `None`: it was not seen.
    pub example: Option<Path<M>>,
}

/// What was found, and how much was looked at.
pub struct Report<M: Model> {
    /// How it ended.
    pub outcome: Outcome,
    /// Distinct states that were reached.
    pub states: u64,
    /// Steps that were taken, those to known states too.
    pub steps: u64,
    /// Steps that were not, because another order of the same leads there too.
    pub left_out: u64,
    /// So many steps from the beginning, everything was visited.
    pub depth_complete: u32,
    /// States that were reached, and whose successors were not looked at.
    pub unexpanded: u64,
    /// States in which nothing more can happen.
    pub ends: u64,
    /// Bytes of the table of visited states.
    pub table_bytes: u64,
    /// Most bytes that the table and the states that wait were estimated to take at once.
    pub bytes_peak: u64,
    /// What was broken, if anything.
    pub violation: Option<Violation<M>>,
    /// What was to be seen.
    pub sometimes: Vec<Sometimes<M>>,
}

impl<M: Model> Report<M> {
    /// Names of what was to be seen sometimes, and was not.
    pub fn unreached(&self) -> impl Iterator<Item = &'static str> {
        self.sometimes.iter().filter(|each| each.example.is_none()).map(|each| each.name)
    }

    /// Panics with the report unless everything was visited, nothing was broken, and all was seen that was to be.
    pub fn assert_holds(&self) {
        let all_seen = self.unreached().next().is_none();
        assert!(self.outcome == Outcome::Complete && all_seen, "{self}");
    }
}

impl<M: Model> fmt::Display for Report<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.outcome {
            Outcome::Complete => "complete",
            Outcome::Violated => "violated",
            Outcome::Stopped(Limit::States) => "stopped at the bound on states",
            Outcome::Stopped(Limit::Bytes) => "stopped at the bound on bytes",
            Outcome::Stopped(Limit::Depth) => "stopped at the bound on depth",
        };
        writeln!(
            f,
            "{what}: {} states by {} steps ({} left out), all within {} steps of the beginning, {} not expanded, {} ends",
            self.states, self.steps, self.left_out, self.depth_complete, self.unexpanded, self.ends
        )?;
        for name in self.unreached() {
            writeln!(f, "never seen: {name}")?;
        }
        self.violation.iter().try_for_each(|violation| write!(f, "{violation}"))
    }
}

/// How far an exploration is. The caller has the clock: states per second are differences between two calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Distinct states so far.
    pub states: u64,
    /// Steps taken so far.
    pub steps: u64,
    /// States of this depth are being expanded.
    pub depth: u32,
    /// How many of them there are.
    pub level: u64,
    /// Bytes of the table of visited states.
    pub table_bytes: u64,
    /// Names of what was to be seen sometimes, and has not been yet.
    pub unreached: Vec<&'static str>,
}
