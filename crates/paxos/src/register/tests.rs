//! Registers, explored: every order in which messages can arrive, late, twice or never.

use std::collections::{BTreeMap, BTreeSet};

use ombak_sim::explore::{Explorer, Model, Outcome as Ended, Property, Steps};
use proptest::prelude::*;

use super::*;
use crate::golden::{hex, wire};
use crate::log::tests::is_asked_for_all;

const ACCEPTORS: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

fn bytes(text: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(text.as_bytes()))
}

fn operation(me: u32, wish: Wish) -> Operation {
    Operation::new(NodeId(me), me.into(), wish, Voters::majority(ACCEPTORS))
}

/// What it begins above. The second begins two rounds above the first, which promises itself the one between by changing something.
fn above(me: u32) -> Bid {
    let ballot = Ballot { round: 2 * u64::from(me), proposer: NodeId(me) };
    Bid { era: Era(0), ballot }
}

fn begin(operation: &mut Operation) -> Ask {
    let above = above(operation.me.0);
    operation.begin(Era(0), above)
}

/// Each message arrives once, at any time, or never.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    cells: [Cell; 3],
    clients: Vec<Client>,
    /// On the way to an acceptor, from a client.
    asked: BTreeSet<(NodeId, usize, Bytes)>,
    /// On the way from an acceptor, to a client.
    told: BTreeSet<(NodeId, usize, Bytes)>,
}

/// What happens next.
#[derive(Clone, Debug)]
#[expect(dead_code, reason = "it is shown, if something is broken by it")]
enum Act {
    Begins(usize),
    Takes(NodeId, Ask),
    Hears(usize, NodeId, Told),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Client {
    operation: Operation,
    begun: u32,
    /// The highest version that anybody was told of when it began.
    floor: u64,
    outcome: Option<Outcome>,
    /// It has its outcome, or will not begin again: it hears nothing any more.
    is_over: bool,
}

/// Some clients, and how often each begins.
struct Clients {
    operations: Vec<Operation>,
    begins_max: Vec<u32>,
    /// Reads begin with a look.
    looks: bool,
    /// Whom each can reach.
    reach: Vec<Vec<NodeId>>,
}

fn value(outcome: &Outcome) -> &Value {
    let (Outcome::Done(value) | Outcome::Differs(value) | Outcome::Unknown(value)) = outcome;
    value
}

impl State {
    fn outcomes(&self) -> impl Iterator<Item = (&Client, &Outcome)> {
        self.clients.iter().filter_map(|client| Some((client, client.outcome.as_ref()?)))
    }

    fn known(&self) -> u64 {
        self.outcomes().map(|(_, outcome)| value(outcome).version).max().unwrap_or(0)
    }

    fn take(&mut self, i: usize, step: Option<Step>, clients: &Clients) {
        let begins_max = clients.begins_max[i];
        match step {
            Some(Step::Send(ask)) => {
                let bytes = Bytes::from(wire(&ask));
                let reach = clients.reach[i].iter();
                self.asked.extend(reach.map(|node| (*node, i, bytes.clone())));
            }
            Some(Step::Done(outcome)) => {
                self.clients[i].outcome = Some(outcome);
                self.end(i);
            }
            Some(Step::Again) if self.clients[i].begun == begins_max => self.end(i),
            Some(Step::Again) | None => {}
        }
    }
}

impl State {
    fn end(&mut self, i: usize) {
        self.clients[i].is_over = true;
        self.told.retain(|(_, client, _)| *client != i);
    }
}

impl Model for Clients {
    type State = State;
    type Action = Act;

    fn initial(&self) -> Vec<State> {
        let client = |operation: &Operation| Client {
            operation: operation.clone(),
            begun: 0,
            floor: 0,
            outcome: None,
            is_over: false,
        };
        vec![State {
            cells: Default::default(),
            clients: self.operations.iter().map(client).collect(),
            asked: BTreeSet::new(),
            told: BTreeSet::new(),
        }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Clients>) {
        for (i, client) in state.clients.iter().enumerate() {
            if client.begun < self.begins_max[i] && !client.is_over {
                let mut next = state.clone();
                let known = state.known();
                let client = &mut next.clients[i];
                client.floor = if client.begun == 0 { known } else { client.floor };
                client.begun += 1;
                let looks = self.looks && client.operation.is_read() && client.begun == 1;
                let ask = match looks {
                    true => client.operation.look(),
                    false => begin(&mut client.operation),
                };
                next.take(i, Some(Step::Send(ask)), self);
                steps.step(Act::Begins(i), next);
            }
        }
        for message @ (node, i, ask) in &state.asked {
            let mut next = state.clone();
            next.asked.remove(message);
            let ask = Ask::decode(ask.clone()).unwrap();
            let action = Act::Takes(*node, ask.clone());
            let cell = &mut next.cells[node.0 as usize];
            let told = cell.answer(ask);
            cell.check();
            if !next.clients[*i].is_over {
                next.told.insert((*node, *i, wire(&told).into()));
            }
            steps.step(action, next);
        }
        for message @ (node, i, told) in &state.told {
            let mut next = state.clone();
            next.told.remove(message);
            let told = Told::decode(told.clone()).unwrap();
            let action = Act::Hears(*i, *node, told.clone());
            let step = next.clients[*i].operation.hear(*node, told);
            if step == Some(Step::Again) {
                steps.reached("a try is not enough");
            }
            next.take(*i, step, self);
            steps.step(action, next);
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        vec![
            Property::always("a version is one value", |state: &State| {
                let mut known = BTreeMap::new();
                state.outcomes().all(|(_, outcome)| {
                    let value = value(outcome);
                    known.entry(value.version).or_insert(value) == &value
                })
            }),
            Property::always("what was told of before is seen", |state: &State| {
                state.outcomes().all(|(client, outcome)| value(outcome).version >= client.floor)
            }),
            Property::always("a change that is done is a link of the chain", |state: &State| {
                state.outcomes().all(|(client, outcome)| match (&client.operation.wish, outcome) {
                    (Wish::CompareAndSet { version, .. }, Outcome::Done(value)) => {
                        value.version == version + 1 && value.writer == client.operation.number
                    }
                    _ => true,
                })
            }),
            // As many versions as changes, at most.
            Property::always("no change is made twice", |state: &State| {
                let accepted = state.cells.iter().filter_map(Cell::accepted);
                accepted.into_iter().all(|(_, value)| value.version <= state.clients.len() as u64)
            }),
            Property::sometimes("all are done", |state: &State| {
                state.outcomes().count() == state.clients.len()
            }),
            Property::reached("a try is not enough"),
        ]
    }
}

fn complete(operations: Vec<Operation>, looks: bool) -> u64 {
    let (begins_max, reach) = (vec![1; operations.len()], vec![ACCEPTORS.into(); operations.len()]);
    explored(&Clients { begins_max, operations, looks, reach })
}

fn explored(clients: &Clients) -> u64 {
    let report = Explorer::new(clients).threads(2).run();
    assert_eq!(report.outcome, Ended::Complete, "{report}");
    assert_eq!(report.unreached().collect::<Vec<_>>(), [""; 0]);
    report.states
}

fn compare(version: u64, text: &'static str) -> Wish {
    Wish::CompareAndSet { version, bytes: bytes(text) }
}

#[test]
fn of_two_that_compare_and_set_one_does() {
    let operations = vec![operation(1, compare(0, "a")), operation(2, compare(0, "b"))];
    assert_eq!(complete(operations, false), 419_248);
}

#[test]
fn a_read_beside_a_change() {
    let operations = vec![operation(1, Wish::Set(bytes("a"))), operation(2, Wish::Read)];
    assert_eq!(complete(operations.clone(), false), 418_462);
    assert_eq!(complete(operations, true), 20_860);
}

/// The first is refused by the second, and tries again above it.
fn tries_again(wishes: [Wish; 2], second_reaches: &[NodeId]) -> u64 {
    let [first, second] = wishes;
    let operations = vec![operation(1, first), operation(2, second)];
    let reach = vec![ACCEPTORS[..2].into(), second_reaches.into()];
    explored(&Clients { begins_max: vec![2, 1], operations, looks: false, reach })
}

/// Each reaches two of three acceptors. If they are the same, the other may have changed what a first try left half-way in, and nobody
/// knows; if one of them is not, it may have missed that.
#[test]
fn who_is_refused_tries_again() {
    let sets = [Wish::Set(bytes("a")), Wish::Set(bytes("b"))];
    let compares = [compare(0, "a"), compare(0, "b")];
    let (same, other) = (&ACCEPTORS[..2], &ACCEPTORS[1..]);
    assert_eq!(tries_again(sets.clone(), same), 45_411);
    assert_eq!(tries_again(compares, other), 23_227);
    if is_asked_for_all() {
        assert_eq!(tries_again(sets, &ACCEPTORS), 907_245);
    }
}

/// Passes everything on at once. Answers the outcome and the round trips.
fn run(cells: &mut [Cell], operation: &mut Operation, mut step: Step) -> (Outcome, u32) {
    let mut rounds = 0;
    loop {
        match step {
            Step::Done(outcome) => return (outcome, rounds),
            Step::Again => step = Step::Send(begin(operation)),
            Step::Send(ask) => {
                rounds += 1;
                let answers: Vec<Told> = cells.iter_mut().map(|c| c.answer(ask.clone())).collect();
                let heard = ACCEPTORS.into_iter().zip(answers);
                let mut steps = heard.filter_map(|(node, told)| operation.hear(node, told));
                step = steps.next().expect("three of three have answered");
            }
        }
    }
}

#[test]
fn who_changes_it_again_takes_one_round_trip() {
    let mut cells = [Cell::default(), Cell::default(), Cell::default()];
    let mut first = operation(1, Wish::Set(bytes("a")));
    let start = Step::Send(begin(&mut first));
    let (outcome, rounds) = run(&mut cells, &mut first, start);
    assert_eq!((value(&outcome).version, rounds), (1, 2));

    let hold = first.hold().unwrap();
    let mut second = Operation { number: 9, ..operation(1, compare(1, "b")) };
    let start = second.begin_from(hold).unwrap();
    let (outcome, rounds) = run(&mut cells, &mut second, start);
    assert_eq!((value(&outcome).version, rounds), (2, 1));

    let mut other = operation(2, Wish::Read);
    let start = Step::Send(begin(&mut other));
    let (outcome, _) = run(&mut cells, &mut other, start);
    assert_eq!(value(&outcome).bytes, bytes("b"));

    // What it held is not so any more: it hears that, and takes both rounds.
    let hold = second.hold().unwrap();
    let mut third = Operation { number: 10, ..operation(1, compare(1, "c")) };
    let start = third.begin_from(hold).unwrap();
    let (outcome, rounds) = run(&mut cells, &mut third, start);
    assert!(matches!(outcome, Outcome::Differs(_)), "{outcome:?}");
    assert!(rounds >= 2);
}

#[test]
fn golden() {
    let mut cell = Cell::default();
    let bid = Bid { era: Era(5), ballot: Ballot { round: 300, proposer: NodeId(7) } };
    let ask = Ask::Accept { bid, value: Value { version: 2, writer: 1, bytes: bytes("v") } };
    let told = cell.answer(ask.clone());
    assert_eq!(hex(&wire(&ask)), "020205ac02070201000000000000000000000000000000010176");
    assert_eq!(hex(&wire(&told)), "020205ac0207");
    assert_eq!(hex(&wire(&cell)), "0205ad02070105ac02070201000000000000000000000000000000010176");
    assert_eq!(Cell::decode(Bytes::from(wire(&cell))), Ok(cell));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(cell) = Cell::decode(bytes.clone()) {
            prop_assert_eq!(wire(&cell), bytes.to_vec());
        }
        if let Ok(ask) = Ask::decode(bytes.clone()) {
            prop_assert_eq!(wire(&ask), bytes.to_vec());
        }
        if let Ok(told) = Told::decode(bytes.clone()) {
            prop_assert_eq!(wire(&told), bytes.to_vec());
        }
    }
}
