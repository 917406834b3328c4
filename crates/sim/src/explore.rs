//! Visits every state that a small configuration can reach, and finds the shortest way to what must not be.
//!
//! The simulator draws one schedule from a seed; the explorer takes them all. It goes breadth first: all states one
//! step away, then two, so that the first violation found is one with the fewest steps. That is what McErlang did for
//! Erlang processes; here the processes are [`Machine`](ombak_base::Machine)s, the very ones of production.
//!
//! - A [`Model`] says what can happen in a state. [`Cluster`] is one for any machine: deliveries, losses, timers,
//!   syncs, crashes, requests and choices, within budgets. A protocol on paper can be a model of its own.
//! - [`Property`]: what holds *always*, what is reached *sometimes*, what has been true *eventually*, in every run
//!   that ends. `always!` and `check` of a machine are properties that need no mention.
//! - An [`Explorer`] runs it, on as many threads as it is given, within bounds on states, bytes and steps.
//! - A [`Report`] says what was found, how to get there, and how much was looked at.
//! - A [`Walk`] takes a cluster through steps that have been written down ([`Cluster::named`]), and draws them.
//!
//! # What is kept
//!
//! Of a visited state only a fingerprint of 128 bits and 64 bits of its parent's: at most 31 bytes a state, hash table
//! and its free slots included. States themselves are kept as long as their successors are unknown, and of a level no longer than it
//! takes to get past them; what the states of
//! a [`Cluster`] have in common, each node as it ever was above all, is kept to the end. A path is found
//! again by going back along the parents and then forward, looking at each step for the successor with the right
//! fingerprint. Two states with one fingerprint count as one; with 10 million states the odds of a wrong match are
//! about 10^-25.
//!
//! # What is left out
//!
//! If two steps commute, both orders lead to the same state, and one of them is enough. A model can leave out a step `a` in a state
//! that was found by a step `b` ([`Steps::may_leave_out`]) if `a` could be taken before `b`, the two commute, and `a` comes before `b`
//! in an order of all steps that are ever left out. No state is missed by that, and none is found later:
//!
//! *Suppose that a state can be reached in `k` steps, and all that can be reached in fewer were found at their depth. Of the last steps of all
//! its paths of `k` steps take the greatest, `a`; if one is never left out, that one. Let it lead here from `p`, which was found by `b` from
//! `s`. If `a` is left out there, it could be taken in `s`: that leads in `k - 1` steps to a state from which `b` leads here. But `b` is
//! greater than `a`.*
//!
//! It takes that states are found level by level, as here. With properties that are to hold *eventually* nothing is left out: what has been true on
//! the way is part of a state then, and the way matters.
//!
//! # What a result is worth
//!
//! [`Outcome::Complete`] is a proof for that configuration: so many nodes, so many crashes, those requests. It says
//! nothing of larger ones. Counts of states and ends of complete runs are the same in every process and with any number of threads.
//! With more than one thread, *which* of several shortest counterexamples is shown can differ, and how many steps were left out.
//!
//! *Eventually* is judged at the ends, where nothing more can happen. A run that goes round for ever is no end, and
//! is not judged: without an assumption of fairness almost everything would fail there.
//!
//! ```
//! use ombak_sim::explore::{Explorer, Model, Outcome, Property, Steps};
//!
//! /// Two people, one bank account, and no lock: each reads the balance, then writes it back with 1 more.
//! struct Deposits;
//!
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
//! struct Account {
//!     balance: u32,
//!     /// What each has read and not written yet.
//!     read: [Option<u32>; 2],
//!     done: [bool; 2],
//! }
//!
//! impl Model for Deposits {
//!     type State = Account;
//!     type Action = &'static str;
//!
//!     fn initial(&self) -> Vec<Account> {
//!         vec![Account::default()]
//!     }
//!
//!     fn next(&self, state: &Account, steps: &mut impl Steps<Self>) {
//!         for (i, names) in [["a reads", "a writes"], ["b reads", "b writes"]].into_iter().enumerate() {
//!             let mut next = state.clone();
//!             if state.read[i].is_none() {
//!                 next.read[i] = Some(state.balance);
//!                 steps.step(names[0], next);
//!             } else if !state.done[i] {
//!                 next.balance = state.read[i].unwrap_or(0) + 1;
//!                 next.done[i] = true;
//!                 steps.step(names[1], next);
//!             }
//!         }
//!     }
//!
//!     fn properties(&self) -> Vec<Property<Account>> {
//!         vec![Property::always("nothing is lost", |account: &Account| {
//!             account.done != [true; 2] || account.balance == 2
//!         })]
//!     }
//! }
//!
//! let report = Explorer::new(&Deposits).run();
//! assert_eq!(report.outcome, Outcome::Violated);
//! let path = report.violation.unwrap().path;
//! assert_eq!(path.actions, ["a reads", "b reads", "a writes", "b writes"]);
//! ```

pub mod cluster;
mod digest;
mod expect;
mod explorer;
mod quiet;
mod replay;
mod report;
mod run;
mod table;
mod waiting;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

pub use cluster::{
    Action, Budget, Cluster, ClusterState, Explorable, History, Named, Names, NotTaken, Renaming,
    Step, Storage, Walk, What,
};
pub use digest::Digest;
pub use explorer::Explorer;
pub use quiet::quietly;
pub use report::{Limit, Outcome, Path, Progress, Report, Sometimes, Violation};

/// What can happen.
///
/// Call order: [`initial`](Model::initial) and [`properties`](Model::properties) once, then [`next`](Model::next) once
/// for each state, from several threads, and again for paths. The same state must give the same steps.
pub trait Model: Sync + Sized {
    /// Everything that the future depends on.
    type State: Clone + Hash + Send + Sync;
    /// Names a step.
    type Action: Clone + Debug + Send;

    /// Where runs begin.
    fn initial(&self) -> Vec<Self::State>;

    /// Gives every step that can be taken in `state`. None: the run ends there.
    fn next(&self, state: &Self::State, steps: &mut impl Steps<Self>);

    /// What is expected. At most 32 of them *eventually*.
    fn properties(&self) -> Vec<Property<Self::State>> {
        Vec::new()
    }

    /// What a state is known by: states with the same fingerprint count as one. Here is the place for symmetry (take
    /// the fingerprint of one chosen among the states that differ by names only) and for abstraction (leave out what
    /// no later step looks at).
    fn fingerprint(&self, state: &Self::State) -> u128 {
        Digest::of(state)
    }

    /// Bytes that a state takes while it waits to be expanded, for the bound on memory.
    fn state_bytes(&self, _: &Self::State) -> usize {
        size_of::<Self::State>()
    }

    /// Bytes of what states share, as far as it is kept for as long as there are states.
    fn shared_bytes(&self, _: &Self::State) -> usize {
        0
    }

    /// A line for a path: `action`, taken in `state`.
    fn describe(&self, _: &Self::State, action: &Self::Action) -> String {
        format!("{action:?}")
    }
}

/// Takes what [`Model::next`] gives.
pub trait Steps<M: Model> {
    /// `action` leads to `state`.
    fn step(&mut self, action: M::Action, state: M::State);
    /// `action` breaks something; the message says what.
    fn broken(&mut self, action: M::Action, message: String);
    /// The step that is given next comes past a place that [`Property::reached`] may wait for.
    fn reached(&mut self, name: &'static str);
    /// There is a step which need not be given if the answer is `true`: see [Left out](self#what-is-left-out).
    fn may_leave_out(&mut self) -> bool {
        false
    }
}

/// When a property is to hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// In every state.
    Always,
    /// In at least one state. If not, the exploration says so: what was to be seen was not.
    Sometimes,
    /// In at least one state of every run that ends.
    Eventually,
}

/// Something expected of the states of a model.
pub struct Property<S> {
    /// What it is called in reports.
    pub name: &'static str,
    /// When it is to hold.
    pub when: When,
    holds: Arc<dyn Fn(&S) -> bool + Send + Sync>,
}

impl<S> Property<S> {
    /// Holds in every state.
    pub fn always(name: &'static str, holds: impl Fn(&S) -> bool + Send + Sync + 'static) -> Self {
        Property { name, when: When::Always, holds: Arc::new(holds) }
    }

    /// Holds in some state.
    pub fn sometimes(
        name: &'static str,
        holds: impl Fn(&S) -> bool + Send + Sync + 'static,
    ) -> Self {
        Property { name, when: When::Sometimes, holds: Arc::new(holds) }
    }

    /// Has been true by the time a run ends.
    pub fn eventually(
        name: &'static str,
        holds: impl Fn(&S) -> bool + Send + Sync + 'static,
    ) -> Self {
        Property { name, when: When::Eventually, holds: Arc::new(holds) }
    }

    /// A place of this name is passed by some step: see [`Steps::reached`].
    pub fn reached(name: &'static str) -> Self {
        Property::sometimes(name, |_| false)
    }

    /// Whether it is true of this state.
    pub fn holds(&self, state: &S) -> bool {
        (self.holds)(state)
    }
}

impl<S> Clone for Property<S> {
    fn clone(&self) -> Self {
        Property { name: self.name, when: self.when, holds: Arc::clone(&self.holds) }
    }
}
