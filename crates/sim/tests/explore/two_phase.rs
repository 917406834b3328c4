//! Two-phase commit, after Gray and Lamport, *Consensus on Transaction Commit* (2004), as TLA+ has it: messages are
//! never lost and can be received again, the coordinator may abort at any time before it commits.
//!
//! The numbers of states are those that stateright's example of the same specification reports.

use ombak_sim::explore::{Digest, Explorer, Model, Property, Steps};

/// So many resource managers; at most 16.
pub struct TwoPhase {
    pub managers: usize,
    /// Whether managers that differ by their names only are one.
    pub is_symmetric: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Manager {
    Working,
    Prepared,
    Committed,
    Aborted,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Coordinator {
    Deciding,
    Committed,
    Aborted,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    managers: [Manager; 16],
    coordinator: Coordinator,
    /// Bit i: manager i has said that it is prepared.
    said: u16,
    /// Bit i: the coordinator has heard it.
    heard: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Commit,
    Abort,
    Hear(usize),
    Prepare(usize),
    GiveUp(usize),
    LearnCommit(usize),
    LearnAbort(usize),
}

impl TwoPhase {
    fn each(&self, state: &State, i: usize, step: &mut impl FnMut(Action, State)) {
        let become_ = |manager| {
            let mut next = state.clone();
            next.managers[i] = manager;
            next
        };
        let is_deciding = state.coordinator == Coordinator::Deciding;
        if is_deciding && state.said & 1 << i != 0 {
            step(Action::Hear(i), State { heard: state.heard | 1 << i, ..state.clone() });
        }
        if state.managers[i] == Manager::Working {
            let said = state.said | 1 << i;
            step(Action::Prepare(i), State { said, ..become_(Manager::Prepared) });
            step(Action::GiveUp(i), become_(Manager::Aborted));
        }
        match state.coordinator {
            Coordinator::Deciding => {}
            Coordinator::Committed => step(Action::LearnCommit(i), become_(Manager::Committed)),
            Coordinator::Aborted => step(Action::LearnAbort(i), become_(Manager::Aborted)),
        }
    }
}

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn initial(&self) -> Vec<State> {
        let managers = [Manager::Working; 16];
        vec![State { managers, coordinator: Coordinator::Deciding, said: 0, heard: 0 }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Self>) {
        if state.coordinator == Coordinator::Deciding {
            let decide = |coordinator| State { coordinator, ..state.clone() };
            if state.heard.count_ones() as usize == self.managers {
                steps.step(Action::Commit, decide(Coordinator::Committed));
            }
            steps.step(Action::Abort, decide(Coordinator::Aborted));
        }
        for i in 0..self.managers {
            self.each(state, i, &mut |action, state| steps.step(action, state));
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let managers = self.managers;
        let all = move |state: &State, what| state.managers[..managers].iter().all(|m| *m == what);
        vec![
            Property::sometimes("all abort", move |state| all(state, Manager::Aborted)),
            Property::sometimes("all commit", move |state| all(state, Manager::Committed)),
            Property::always("nobody commits what another aborts", |state: &State| {
                let is = |what| state.managers.contains(&what);
                !(is(Manager::Committed) && is(Manager::Aborted))
            }),
        ]
    }

    fn fingerprint(&self, state: &State) -> u128 {
        if !self.is_symmetric {
            return Digest::of(state);
        }
        let bit = |bits: u16, i: usize| bits >> i & 1;
        let mut managers: Vec<_> = (0..self.managers)
            .map(|i| (state.managers[i], bit(state.said, i), bit(state.heard, i)))
            .collect();
        managers.sort_unstable();
        Digest::of(&(managers, state.coordinator))
    }
}

fn states(managers: usize, is_symmetric: bool, threads: usize) -> u64 {
    let model = TwoPhase { managers, is_symmetric };
    let report = Explorer::new(&model).threads(threads).run();
    report.assert_holds();
    report.states
}

#[test]
fn states_are_as_many_as_stateright_counts() {
    assert_eq!(states(3, false, 1), 288);
    assert_eq!(states(5, false, 1), 8_832);
    assert_eq!(states(5, false, 2), 8_832);
    assert_eq!(states(7, false, 2), 296_448);
}

/// `cargo test --release -p ombak-sim -- --ignored` has the larger ones.
#[test]
#[ignore = "takes seconds in a release build, a minute without"]
fn larger_ones_too() {
    assert_eq!(states(8, false, 2), 1_745_408);
    assert_eq!(states(9, false, 2), 10_340_352);
}

/// The numbers are those of multisets of managers' local states, enumerated by another program.
#[test]
fn symmetry_leaves_one_state_of_each_kind() {
    assert_eq!(states(3, true, 1), 80);
    assert_eq!(states(5, true, 2), 314);
    assert_eq!(states(9, true, 1), 2_232);
}
