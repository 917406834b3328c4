//! Two-phase commit, after Gray and Lamport, *Consensus on Transaction Commit* (2004), as TLA+ has it: messages are
//! never lost and can be received again, the coordinator may abort at any time before it commits.
//!
//! The numbers of states are those that stateright's example of the same specification reports.

use ombak_sim::explore::{Digest, Explorer, Model, Property, Steps};

/// So many resource managers; at most 15.
pub struct TwoPhase {
    pub managers: usize,
    /// Whether managers that differ by their names only are one.
    pub is_symmetric: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Coordinator {
    Deciding,
    Committed,
    Aborted,
}

/// Sets of managers, as bits. A manager that has neither committed nor aborted is prepared if it has said so, and
/// working otherwise.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    coordinator: Coordinator,
    /// Have said that they are prepared.
    said: u16,
    /// Of those, the coordinator has heard it.
    heard: u16,
    committed: u16,
    aborted: u16,
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

impl State {
    fn each(&self, i: usize, step: &mut impl FnMut(Action, State)) {
        let bit = 1 << i;
        let committed =
            State { committed: self.committed | bit, aborted: self.aborted & !bit, ..self.clone() };
        let aborted =
            State { aborted: self.aborted | bit, committed: self.committed & !bit, ..self.clone() };
        if self.coordinator == Coordinator::Deciding && self.said & bit != 0 {
            step(Action::Hear(i), State { heard: self.heard | bit, ..self.clone() });
        }
        if (self.said | self.committed | self.aborted) & bit == 0 {
            step(Action::Prepare(i), State { said: self.said | bit, ..self.clone() });
            step(Action::GiveUp(i), aborted.clone());
        }
        match self.coordinator {
            Coordinator::Deciding => {}
            Coordinator::Committed => step(Action::LearnCommit(i), committed),
            Coordinator::Aborted => step(Action::LearnAbort(i), aborted),
        }
    }
}

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn initial(&self) -> Vec<State> {
        let coordinator = Coordinator::Deciding;
        vec![State { coordinator, said: 0, heard: 0, committed: 0, aborted: 0 }]
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
            state.each(i, &mut |action, state| steps.step(action, state));
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let all = (1 << self.managers) - 1;
        vec![
            Property::sometimes("all abort", move |state: &State| state.aborted == all),
            Property::sometimes("all commit", move |state: &State| state.committed == all),
            Property::always("nobody commits what another aborts", |state: &State| {
                state.committed == 0 || state.aborted == 0
            }),
        ]
    }

    fn fingerprint(&self, state: &State) -> u128 {
        if !self.is_symmetric {
            return Digest::of(state);
        }
        let sets = [state.said, state.heard, state.committed, state.aborted];
        let mut managers: Vec<[u16; 4]> =
            (0..self.managers).map(|i| sets.map(|set| set >> i & 1)).collect();
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

/// Those of 8 and 9 managers are counted in `benches/explorer`.
#[test]
fn states_are_as_many_as_stateright_counts() {
    assert_eq!(states(3, false, 1), 288);
    assert_eq!(states(5, false, 1), 8_832);
    assert_eq!(states(5, false, 2), 8_832);
    assert_eq!(states(7, false, 2), 296_448);
}

/// The numbers are those of multisets of managers' local states, enumerated by another program.
#[test]
fn symmetry_leaves_one_state_of_each_kind() {
    assert_eq!(states(3, true, 1), 80);
    assert_eq!(states(5, true, 2), 314);
    assert_eq!(states(9, true, 1), 2_232);
}
