//! Small groups, explored: every order of messages, syncs, timers and crashes, within a budget. The machines are those of
//! production.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{ClientId, ClusterId, DirectoryId, NodeId, Partition};
use ombak_sim::explore::{Budget, Cluster, ClusterState, Explorer, History, Outcome as Ended};

use super::{Journal, command, number};
use crate::ballot::Voters;
use crate::log::{Ask, Entry, Membership, Outcome, Replica, Slot};
use crate::member::{Group as Id, Member, Setup};
use crate::members::Members;

const ID: Id = Id(0);

/// Lines that clients were told of, and where in the log they are.
#[derive(Clone, Hash, Debug, Default)]
struct Told {
    asked: Vec<(ClientId, u64)>,
    told: BTreeMap<u64, Slot>,
}

impl History<Member<Journal>> for Told {
    fn asked(&mut self, client: ClientId, (_, ask): &(Id, Ask)) {
        if let Ask::Propose(bytes) = ask {
            self.asked.push((client, number(bytes)));
            self.asked.sort_unstable();
        }
    }

    fn replied(&mut self, client: ClientId, outcome: &Outcome) {
        let line = self.asked.iter().find(|(asked, _)| *asked == client).map(|(_, line)| *line);
        if let (Some(line), Outcome::Applied { slot, .. }) = (line, outcome) {
            self.told.insert(line, *slot);
        }
    }
}

type State = ClusterState<Member<Journal>, Told>;
type Group = Cluster<Member<Journal>, Told>;

fn disk(id: NodeId) -> DirectoryId {
    DirectoryId(10 + u64::from(id.0))
}

fn group(nodes: u32, founders: u32, budget: Budget) -> Group {
    let founders = Members::new(Voters::majority((0..founders).map(NodeId)));
    group_of(nodes, founders, usize::MAX, budget)
}

/// Members that take a snapshot after every entry, and a witness, which is the last one.
fn with_witness(nodes: u32, budget: Budget) -> Group {
    let mut founders = Members::new(Voters::majority((0..nodes).map(NodeId)));
    founders.witnesses = BTreeSet::from([NodeId(nodes - 1)]);
    group_of(nodes, founders, 1, budget)
        .always("a witness applies nothing", |state| {
            let mut witnesses = replicas(state).filter(|replica| replica.status().is_witness);
            witnesses.all(|witness| witness.state().lines.is_empty() && !witness.leads())
        })
        .sometimes("a witness forgets", |state| {
            let mut witnesses = replicas(state).filter(|replica| replica.status().is_witness);
            witnesses.any(|witness| witness.status().forgotten > Slot(0))
        })
}

fn group_of(nodes: u32, mut founders: Members, snapshot_every: usize, budget: Budget) -> Group {
    founders.disks = founders.voters().into_iter().map(|id| (id, disk(id))).collect();
    let boot = move |id| {
        let members = match founders.is_voter(id) {
            true => founders.clone(),
            false => Members::nobody(),
        };
        let setup = Setup {
            id,
            cluster: ClusterId(1),
            disk: disk(id),
            home: Partition(0),
            groups: vec![(ID, members)],
            snapshot_every,
            lease: None,
            damaged: false,
            beats: false,
            watch: false,
        };
        Member::new(setup, Journal::default())
    };
    Cluster::new(nodes, boot)
        .history(Told::default())
        .connected(|_| Bytes::new())
        .begins_at_rest()
        .budget(budget)
        .always("one log", one_log)
        .always("what was told of stays", told_is_kept)
        .always("a line is written once", once)
        .sometimes("somebody leads", |state| replicas(state).any(Replica::leads))
}

fn replicas(state: &State) -> impl Iterator<Item = &Replica<Journal>> {
    state.machines().filter_map(|(_, member)| member.replica(ID))
}

fn decided(replica: &Replica<Journal>) -> impl Iterator<Item = (Slot, &Entry)> {
    let through = replica.status().committed.0;
    (1..=through).filter_map(|slot| Some((Slot(slot), replica.decided(Slot(slot))?)))
}

/// Of a slot, everybody knows the same.
fn one_log(state: &State) -> bool {
    let mut known = BTreeMap::new();
    replicas(state)
        .flat_map(decided)
        .all(|(slot, entry)| *known.entry(slot).or_insert(entry) == entry)
}

/// Whoever knows what a slot decided that a client was told of knows the client's line.
fn told_is_kept(state: &State) -> bool {
    let has = |entry: &Entry, line: &u64| match entry {
        Entry::Commands(batch) => {
            let mut is_in = false;
            batch.for_each(|command| is_in |= number(command) == *line);
            is_in
        }
        _ => false,
    };
    let told = &state.history().told;
    replicas(state).flat_map(decided).all(|(slot, entry)| {
        told.iter().filter(|(_, at)| **at == slot).all(|(line, _)| has(entry, line))
    })
}

/// No line is there twice.
fn once(state: &State) -> bool {
    replicas(state).all(|replica| {
        let lines = &replica.state().lines;
        BTreeSet::from_iter(lines).len() == lines.len()
    })
}

fn complete(group: Group) -> u64 {
    let report = Explorer::new(&group).threads(2).run();
    assert_eq!(report.outcome, Ended::Complete, "{report}");
    assert_eq!(report.unreached().collect::<Vec<_>>(), [""; 0]);
    report.states
}

fn write(line: u64) -> (Id, Ask) {
    (ID, Ask::Propose(command(line)))
}

fn voters(ids: &[u32]) -> (Id, Ask) {
    let voters = ids.iter().copied().map(NodeId).collect();
    (ID, Ask::Members(Box::new(Membership { voters, ..Membership::default() })))
}

fn lead(id: u32) -> (Id, Ask) {
    (ID, Ask::Lead(NodeId(id)))
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

#[test]
fn two_candidates_at_once() {
    assert_eq!(complete(group(3, 3, Budget { timers: 2, ..Budget::default() })), 341_227);
}

#[test]
fn two_writers_and_a_leader() {
    let group = group(3, 3, Budget { timers: 1, ..Budget::default() });
    assert_eq!(complete(group.request(A, write(1)).request(B, write(2))), 287_144);
}

/// `PAXOS_EXPLORE=all` for the one of three, which takes two cores a minute.
#[test]
fn one_writer_and_a_crash() {
    let of = |nodes| {
        let group = group(nodes, nodes, Budget { timers: 1, crashes: 1, ..Budget::default() });
        complete(group.request(A, write(1)))
    };
    assert_eq!(of(2), 4_850);
    if is_asked_for_all() {
        assert_eq!(of(3), 9_463_529);
    }
}

/// Who leads is followed by another while a command is under way. `PAXOS_EXPLORE=all` for the one of three, which takes two cores
/// some three minutes, and gigabytes.
#[test]
fn one_writer_and_two_candidates() {
    let of = |nodes| {
        let group = group(nodes, nodes, Budget { timers: 2, ..Budget::default() });
        complete(group.request(A, write(1)))
    };
    assert_eq!(of(2), 3_592);
    if is_asked_for_all() {
        assert_eq!(of(3), 87_966_723);
    }
}

#[test]
fn a_candidate_and_a_crash() {
    let group = group(3, 3, Budget { timers: 1, crashes: 1, ..Budget::default() });
    assert_eq!(complete(group), 373_282);
}

#[expect(clippy::disallowed_methods, reason = "a test is told from outside how far it is to look")]
pub fn is_asked_for_all() -> bool {
    std::env::var("PAXOS_EXPLORE").is_ok_and(|which| which == "all")
}

#[test]
fn a_group_moves_while_it_writes_and_crashes() {
    let group = group(2, 1, Budget { timers: 1, crashes: 1, ..Budget::default() });
    assert_eq!(complete(group.request(A, voters(&[1])).request(A, write(1))), 65_257);
}

#[test]
fn a_member_is_replaced_and_the_leader_changes() {
    let group = group(3, 2, Budget { timers: 2, ..Budget::default() });
    assert_eq!(complete(group.request(A, voters(&[1, 2]))), 18_596);
}

#[test]
fn a_witness_elects_and_forgets_while_two_write() {
    let group = with_witness(3, Budget { timers: 1, ..Budget::default() });
    assert_eq!(complete(group.request(A, write(1)).request(A, write(2))), 320_913);
}

#[test]
fn a_witness_forgets_and_crashes_or_another() {
    let group = with_witness(2, Budget { timers: 1, crashes: 1, ..Budget::default() });
    assert_eq!(complete(group.request(A, write(1)).request(A, write(2))), 25_962);
}

#[test]
fn the_lead_is_handed_over_while_somebody_writes() {
    let group = group(3, 3, Budget { timers: 1, ..Budget::default() });
    assert_eq!(complete(group.request(A, lead(1)).request(A, write(1))), 781_832);
}
