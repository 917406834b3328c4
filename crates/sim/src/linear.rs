//! Whether what clients saw can be explained by one order: linearisability.
//!
//! # The question
//!
//! A [`History`] says who called what, when, and what came back when. It is *linearisable* (Herlihy and Wing, 1990) if
//! every operation can be given one moment between its call and its answer, so that the operations, done one after the
//! other in the order of these moments, would have given the answers that were given. What "done" means says a
//! [`Spec`]: a sequential program of a few lines.
//!
//! ```text
//!   c1   |--- write 1 ---|     |------- write 2 -------|
//!   c2                     |- read 1 -|  |- read 2 -|     |- read 1 -|      the last read is stale: no order explains it
//! ```
//!
//! # Pending operations
//!
//! One that was never answered (its client gave up, or the node crashed) may have happened at any moment after its call,
//! or never. Both are tried. An operation that is *known* not to have happened should not be in the history, or have an
//! answer that says so.
//!
//! # The search
//!
//! The next in the order can be any operation that was called before every answer of those not placed yet. Wing and Gong
//! (*Testing and verifying concurrent objects*, 1993) try them in turn and step back when stuck. Lowe (*Testing for
//! linearizability*, 2017) adds what makes it fast: remember each pair of (operations placed, state) that was reached,
//! because from there the same would follow again; and take the history apart where the parts cannot meet, here by key
//! ([`Spec::key`]), since each object is linearisable by itself exactly if all are together. Pending operations are tried
//! after the answered ones: few histories need them, and those soon. A read that fits is placed at once and nothing else
//! is tried in its place ([`Spec::only_looks`]): it helps nobody to let it wait.
//!
//! Where Lowe keeps the set of placed operations as bits, here it is how many from the front, and the few beyond: as long
//! as what ran at the same time, not as long as the history. See `linear/placed.rs`.
//!
//! The question is NP-complete, so a search can take for ever. It is bounded in steps, and says [`Verdict::Undecided`] when
//! it gives up. What costs is the number of writers that meet at one key. `examples/linear_speed.rs` measures.
//!
//! # Example
//!
//! ```
//! use ombak_base::{ClientId, Tick};
//! use ombak_sim::linear::{Answer, Call, History, Register, check};
//!
//! let spec = Register::starting_with(0);
//! let mut history = History::<Register<&str, u64>>::new();
//! let write = history.call(ClientId(1), Tick(10), Call::Write("k", 1));
//! history.answer(write, Tick(20), Answer::Done);
//! let read = history.call(ClientId(2), Tick(30), Call::Read("k"));
//! history.answer(read, Tick(40), Answer::Value(0));
//!
//! let verdict = check(&spec, &history, 1_000_000);
//! assert!(!verdict.is_linearisable());
//! println!("{verdict}"); // key "k": no order explains what was seen …
//! ```

mod history;
mod placed;
mod report;
mod search;
mod specs;

use std::collections::BTreeMap;
use std::fmt::Debug;

pub use history::{History, Operation, OperationId};
pub use report::{Broken, Verdict};
pub use specs::{Answer, Call, CasAnswer, CasCall, CasRegister, Register};

use search::{Outcome, Search};

/// A sequential program: what the concurrent one should look like.
///
/// It must be deterministic in its next state: the same state, call and answer give the same next state. Where the
/// program has a free choice, the answer must tell which was taken.
pub trait Spec {
    /// Names objects that know nothing of each other. `()` if there is only one.
    type Key: Clone + Ord + Debug;
    /// What is asked of an object.
    type Call: Debug;
    /// What comes back.
    type Answer: Debug;
    /// What an object remembers. States that compare equal must behave alike.
    type State: Clone + Ord + Debug;

    /// Which object is asked.
    fn key(&self, call: &Self::Call) -> Self::Key;

    /// The object before the first operation.
    fn start(&self, key: &Self::Key) -> Self::State;

    /// The state after `call`; `None` if the object, in this state, would not give this answer. `answer` is `None` if
    /// nobody heard one: then any will do.
    fn step(
        &self,
        state: &Self::State,
        call: &Self::Call,
        answer: Option<&Self::Answer>,
    ) -> Option<Self::State>;

    /// Whether `call`, when it is answered so, leaves every state as it is, as a read does. Need not be told: it makes the
    /// search faster where many clients meet at one key.
    fn only_looks(&self, call: &Self::Call, answer: &Self::Answer) -> bool {
        let _ = (call, answer);
        false
    }
}

/// Decides whether `history` is linearisable as `spec` says.
///
/// Spends at most `steps_max` steps on each key; a step is one operation tried in one place, about a microsecond. The
/// first key (in their order) that is broken is reported, even if an earlier one could not be decided.
pub fn check<'h, S: Spec>(spec: &S, history: &'h History<S>, steps_max: u64) -> Verdict<'h, S> {
    let mut undecided = None;
    for (key, operations) in by_key(spec, history) {
        match Search::new(spec, operations, spec.start(&key)).run(steps_max) {
            Outcome::Explained => {}
            Outcome::Stuck(stuck) => return Verdict::Broken(Broken::new(key, stuck)),
            Outcome::GaveUp => undecided = undecided.or(Some(key)),
        }
    }
    match undecided {
        Some(key) => Verdict::Undecided { key, steps_max },
        None => Verdict::Linearisable,
    }
}

fn by_key<'h, S: Spec>(
    spec: &S,
    history: &'h History<S>,
) -> BTreeMap<S::Key, Vec<&'h Operation<S>>> {
    let mut keys: BTreeMap<S::Key, Vec<&Operation<S>>> = BTreeMap::new();
    for operation in history.operations() {
        keys.entry(spec.key(&operation.call)).or_default().push(operation);
    }
    keys
}

#[cfg(test)]
mod tests;
