//! Nodes that are alike, and nodes that only seem to be: with and without symmetry, explorations say the same.

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::*;
use ombak_sim::explore::{Budget, Cluster, Explorer, Names, Outcome, Renaming, Report};

const BOSS: NodeId = NodeId(0);

/// Two-phase commit: the boss asks all others, each may say no, and only if all say yes it is done.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Node {
    me: NodeId,
    others: u32,
    kind: Kind,
    /// Who has said yes, for the boss.
    yes: BTreeSet<NodeId>,
    decided: Option<bool>,
}

/// How it is built wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Right,
    /// The boss does not wait for the last.
    Hasty,
    /// The first worker does not say no.
    Partial,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Prepare,
    Vote(bool),
    Decide(bool),
    /// Who voted last: it names a node.
    Last(NodeId),
}

impl Wire for Said {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Said::Prepare => out.push(0),
            Said::Vote(vote) => out.extend([1, u8::from(*vote)]),
            Said::Decide(decision) => out.extend([2, u8::from(*decision)]),
            Said::Last(node) => out.extend([3, node.0 as u8]),
        }
    }

    fn decode(bytes: Bytes) -> Result<Said, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(match reader.u8()? {
            0 => Said::Prepare,
            1 => Said::Vote(reader.u8()? == 1),
            2 => Said::Decide(reader.u8()? == 1),
            _ => Said::Last(NodeId(reader.u8()?.into())),
        })
    }
}

fn to(node: NodeId) -> Address {
    Address { node, shard: ShardId(0) }
}

impl Node {
    fn tell_all(&self, said: Said, fx: &mut impl Effects<Node>) {
        for other in (1..=self.others).map(NodeId) {
            let _ = fx.send(to(other), said.clone(), Stamp::NONE);
        }
    }

    fn vote(&mut self, fx: &mut impl Effects<Node>) {
        let must = self.kind == Kind::Partial && self.me == NodeId(1);
        let vote = must || fx.choose(2) == 1;
        if !vote {
            self.decided = Some(false);
        }
        let _ = fx.send(to(BOSS), Said::Vote(vote), Stamp::NONE);
    }

    fn decide(&mut self, decision: bool, last: NodeId, fx: &mut impl Effects<Node>) {
        self.decided = Some(decision);
        self.tell_all(Said::Decide(decision), fx);
        self.tell_all(Said::Last(last), fx);
    }

    fn hear(&mut self, from: NodeId, message: Said, fx: &mut impl Effects<Node>) {
        match message {
            Said::Prepare if self.decided.is_none() => self.vote(fx),
            Said::Vote(true) if self.decided.is_none() => {
                self.yes.insert(from);
                let missing = self.others - self.yes.len() as u32;
                if missing == 0 || (missing == 1 && self.kind == Kind::Hasty) {
                    self.decide(true, from, fx);
                }
            }
            Said::Vote(false) if self.decided.is_none() => self.decide(false, from, fx),
            Said::Decide(decision) => {
                always!(self.decided != Some(!decision), "nobody is overruled", "{}", self.me);
                self.decided = Some(decision);
            }
            Said::Last(node) => self.yes = BTreeSet::from([node]),
            _ => {}
        }
    }
}

impl Machine for Node {
    type Message = Said;
    type Request = ();
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Node>>(&mut self, _: Now, event: Event<Node>, fx: &mut E) {
        match event {
            Event::Request { .. } => self.tell_all(Said::Prepare, fx),
            Event::Message { from, message } => self.hear(from.node, message, fx),
            _ => {}
        }
    }
}

fn rename(node: &Node, names: &Names) -> Node {
    let yes = node.yes.iter().map(|each| names.of(*each)).collect();
    Node { me: names.of(node.me), yes, ..node.clone() }
}

fn rename_message(message: &Said, names: &Names) -> Said {
    match message {
        Said::Last(node) => Said::Last(names.of(*node)),
        other => other.clone(),
    }
}

fn workers(others: u32, kind: Kind) -> Cluster<Node> {
    let boot = move |me| Node { me, others, kind, yes: BTreeSet::new(), decided: None };
    Cluster::new(others + 1, boot)
        .request(BOSS, ())
        .sometimes("it is done", |state| all_decided(state.machines(), true))
        .sometimes("it is not done", |state| all_decided(state.machines(), false))
        .sometimes("one has not decided", |state| {
            state.machines().filter(|(_, node)| node.decided.is_none()).count() == 1
        })
        .always("all decide the same", |state| {
            let decisions: BTreeSet<bool> =
                state.machines().filter_map(|(_, node)| node.decided).collect();
            let is_done = state.machine(BOSS).is_some_and(|boss| boss.decided == Some(true));
            !is_done || decisions.len() == 1
        })
}

fn all_decided<'a>(mut machines: impl Iterator<Item = (NodeId, &'a Node)>, decision: bool) -> bool {
    machines.all(|(_, node)| node.decided == Some(decision))
}

fn alike(others: u32, cluster: Cluster<Node>) -> Cluster<Node> {
    let alike: Vec<NodeId> = (1..=others).map(NodeId).collect();
    cluster.symmetric(&alike, Renaming { machine: rename, message: rename_message })
}

/// What was broken, by how many steps, and what was not seen.
fn verdict(report: &Report<Cluster<Node>>) -> (Outcome, Option<usize>, Vec<&'static str>) {
    let steps = report.violation.as_ref().map(|violation| violation.path.actions.len());
    (report.outcome, steps, report.unreached().collect())
}

type Change = fn(Cluster<Node>) -> Cluster<Node>;

const CHANGES: &[Change] = &[
    |cluster| cluster,
    |cluster| cluster.unordered(),
    |cluster| cluster.connected(|_| Bytes::new()),
    |cluster| cluster.budget(Budget { crashes: 1, ..Budget::default() }),
    |cluster| cluster.unordered().budget(Budget { drops: 1, duplicates: 1, ..Budget::default() }),
    |cluster| {
        let budget = Budget { resets: 1, ..Budget::default() };
        cluster.connected(|_| Bytes::new()).budget(budget)
    },
];

#[test]
fn with_symmetry_the_verdict_is_the_same() {
    for (others, kind, change) in [1, 2, 3].into_iter().flat_map(|others| {
        let kinds = [Kind::Right, Kind::Hasty].into_iter();
        kinds.flat_map(move |kind| CHANGES.iter().map(move |change| (others, kind, change)))
    }) {
        let plain = Explorer::new(&change(workers(others, kind))).run();
        let cluster = alike(others, change(workers(others, kind)));
        let report = Explorer::new(&cluster).run();
        assert_eq!(verdict(&report), verdict(&plain), "{others} {kind:?}\n{report}\n{plain}");
        if plain.outcome == Outcome::Complete {
            let ways = (1..=u64::from(others)).product::<u64>();
            assert!(report.states <= plain.states && report.states * ways >= plain.states);
        }
        let again = Explorer::new(&cluster).threads(2).run();
        assert_eq!(again.outcome, report.outcome);
    }
}

#[test]
fn four_workers_that_are_alike_have_few_states() {
    let plain = Explorer::new(&workers(4, Kind::Right)).run();
    let report = Explorer::new(&alike(4, workers(4, Kind::Right))).run();
    assert_eq!((report.outcome, plain.outcome), (Outcome::Complete, Outcome::Complete));
    // They can be named in 24 ways; some states are the same under several.
    assert_eq!((plain.states, report.states), (33_508, 1_745));
}

/// Nobody has to believe that nodes are alike.
#[test]
fn a_node_that_does_something_else_is_not_alike() {
    let report = Explorer::new(&alike(2, workers(2, Kind::Partial))).run();
    let violation = report.violation.unwrap();
    assert!(violation.broken.starts_with("nodes that are said to be alike are not: "));
}

#[test]
#[should_panic(expected = "no client asks a node that is like others")]
fn who_is_asked_is_not_alike() {
    let cluster = alike(2, workers(2, Kind::Right)).request(NodeId(2), ());
    Explorer::new(&cluster).run();
}
