//! The synod, explored: every order in which messages can arrive, late, twice or never.

use std::collections::{BTreeMap, BTreeSet};

use ombak_sim::explore::{Explorer, Model, Outcome, Property, Report, Steps};

use super::*;

const ACCEPTORS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

/// What travels. A message that was sent stays: it can be delivered again and again, or never.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Message {
    Prepare(Ballot),
    Promise { from: NodeId, ballot: Ballot, accepted: Option<(Ballot, char)> },
    Accept(Ballot, char),
    Accepted { from: NodeId, ballot: Ballot, value: char },
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    acceptors: [Acceptor<char>; 3],
    /// Each with what it would like to be chosen.
    proposers: [(Proposer<char>, char); 2],
    sent: BTreeSet<Message>,
}

impl State {
    /// Values that a quorum has accepted in one ballot, whoever knows of it.
    fn chosen(&self, voters: &Voters) -> BTreeSet<char> {
        let mut votes = BTreeMap::<(Ballot, char), BTreeSet<NodeId>>::new();
        for message in &self.sent {
            if let Message::Accepted { from, ballot, value } = message {
                votes.entry((*ballot, *value)).or_default().insert(*from);
            }
        }
        let chosen = votes.into_iter().filter(|(_, from)| voters.have_chosen(from));
        chosen.map(|((_, value), _)| value).collect()
    }
}

/// `ballots` each for two proposers.
struct Synod {
    voters: Voters,
    rounds: u64,
}

impl Synod {
    fn prepare(&self, state: &State, steps: &mut impl Steps<Synod>) {
        for (i, (proposer, _)) in state.proposers.iter().enumerate() {
            let ballot = proposer.ballot().next(proposer.ballot().proposer);
            if ballot.round <= self.rounds {
                let mut next = state.clone();
                next.proposers[i].0 = Proposer::new(ballot);
                next.sent.insert(Message::Prepare(ballot));
                steps.step(format!("proposer {i} prepares {ballot:?}"), next);
            }
        }
    }

    fn acceptor_takes(&self, state: &State, message: &Message, steps: &mut impl Steps<Synod>) {
        for (i, from) in ACCEPTORS.into_iter().enumerate() {
            let mut next = state.clone();
            let acceptor = &mut next.acceptors[i];
            let answer = match message {
                Message::Prepare(ballot) => acceptor.prepare(*ballot).ok().map(|accepted| {
                    let accepted = accepted.map(|last| (last.ballot, last.value));
                    Message::Promise { from, ballot: *ballot, accepted }
                }),
                Message::Accept(ballot, value) => acceptor
                    .accept(*ballot, *value)
                    .ok()
                    .map(|()| Message::Accepted { from, ballot: *ballot, value: *value }),
                _ => return,
            };
            let Some(answer) = answer else { continue };
            acceptor.check();
            next.sent.insert(answer);
            if next != *state {
                steps.step(format!("acceptor {i} takes {message:?}"), next);
            }
        }
    }

    fn proposer_takes(&self, state: &State, message: &Message, steps: &mut impl Steps<Synod>) {
        let Message::Promise { from, ballot, accepted } = message else { return };
        for i in 0..2 {
            let mut next = state.clone();
            let (proposer, wish) = &mut next.proposers[i];
            if proposer.ballot() != *ballot {
                continue;
            }
            let accepted = accepted.map(|(ballot, value)| Accepted { ballot, value });
            let found = accepted.is_some();
            if let Some(value) = proposer.hear_promise(&self.voters, *from, accepted, keep(*wish)) {
                next.sent.insert(Message::Accept(*ballot, value));
                if found && value != *wish {
                    steps.reached("a proposer takes up what another began");
                }
            }
            if next != *state {
                steps.step(format!("proposer {i} hears {message:?}"), next);
            }
        }
    }
}

impl Model for Synod {
    type State = State;
    type Action = String;

    fn initial(&self) -> Vec<State> {
        let proposer = |id| Proposer::new(Ballot { round: 0, proposer: NodeId(id) });
        vec![State {
            acceptors: [Acceptor::default(), Acceptor::default(), Acceptor::default()],
            proposers: [(proposer(0), 'a'), (proposer(1), 'b')],
            sent: BTreeSet::new(),
        }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Synod>) {
        self.prepare(state, steps);
        for message in &state.sent {
            self.acceptor_takes(state, message, steps);
            self.proposer_takes(state, message, steps);
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        let (agree, reach) = (self.voters.clone(), self.voters.clone());
        vec![
            Property::always("one value is chosen", move |state: &State| {
                state.chosen(&agree).len() <= 1
            }),
            Property::sometimes("a value is chosen", move |state: &State| {
                !state.chosen(&reach).is_empty()
            }),
            Property::reached("a proposer takes up what another began"),
        ]
    }
}

fn explore(voters: Voters, rounds: u64) -> Report<Synod> {
    Explorer::new(&Synod { voters, rounds }).run()
}

#[test]
fn two_proposers_and_three_acceptors_choose_one_value() {
    let report = explore(Voters::majority(ACCEPTORS), 1);
    assert_eq!(report.outcome, Outcome::Complete, "{report}");
    assert_eq!(report.states, 33_489);
}

#[test]
fn quorums_that_do_not_meet_choose_two() {
    let apart = Voters { members: ACCEPTORS.into(), prepare: 1, accept: 2 };
    assert_eq!(explore(apart, 1).outcome, Outcome::Violated);
}

#[test]
fn a_flexible_group_is_as_safe() {
    let voters = Voters::flexible(ACCEPTORS, 1).unwrap();
    assert_eq!(explore(voters, 1).outcome, Outcome::Complete);
}
