//! Voters that keep the log and no state.

use std::collections::BTreeSet;

use ombak_base::NodeId;

use super::group::{Town, node};
use crate::log::{SNAPSHOTS_HELD, Slot};

const WITNESS: NodeId = NodeId(2);

/// Two voters with the state, the one that leads first, and a witness; and a node that is no member.
fn two_and_a_witness(seed: u64) -> (Town, NodeId, NodeId) {
    let mut town = Town::with_witnesses(1, None, (4, 3, &[WITNESS.0]), seed);
    let leader = town.await_leader();
    assert_ne!(leader, WITNESS);
    town.run_for(500_000);
    (town, leader, node(1 - leader.0))
}

fn write(town: &mut Town, at: NodeId) {
    let line = town.write(at);
    assert!(town.run_until(3_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
}

/// Enough for some snapshots.
fn write_many(town: &mut Town, at: NodeId, lines: u32) {
    (0..lines).for_each(|_| write(town, at));
}

fn forgotten(town: &Town, node: NodeId) -> Slot {
    town.status(node).unwrap().forgotten
}

fn lines(town: &Town, node: NodeId) -> usize {
    town.replica(node).unwrap().state().state().lines.len()
}

fn change(town: &mut Town, at: NodeId, voters: &[u32], witnesses: &[u32]) {
    let changed = town.changed;
    town.change_to(at, voters, &[], witnesses, None);
    assert!(town.run_until(5_000_000, |town| town.changed > changed), "{:?}", town.outcomes);
}

fn is_told(town: &mut Town, outcome: &'static str) -> bool {
    let before = town.outcomes.get(outcome).copied().unwrap_or_default();
    town.run_until(3_000_000, |town| town.outcomes.get(outcome) > Some(&before))
}

#[test]
fn one_of_three_keeps_no_state_and_any_one_may_be_missing() {
    let (mut town, leader, other) = two_and_a_witness(1);
    write_many(&mut town, leader, 60);
    town.run_for(500_000);
    assert_eq!((lines(&town, leader), lines(&town, other), lines(&town, WITNESS)), (60, 60, 0));
    assert!(forgotten(&town, WITNESS) > Slot(0), "{}", town.status(WITNESS).unwrap().last.0);
    for (down, at) in [(leader, other), (other, leader), (WITNESS, leader)] {
        town.world.crash(down);
        town.await_leader();
        write_many(&mut town, at, 5);
        town.world.restart(down).unwrap();
        town.run_for(1_000_000);
    }
    assert_eq!(lines(&town, WITNESS), 0);
    town.converge();
}

/// What was decided without the one of the two that is down is on the disk of the witness until that one has it.
pub fn the_other_one_leads_with_what_the_witness_has_kept() {
    let (mut town, leader, other) = two_and_a_witness(2);
    write_many(&mut town, leader, 60);
    town.world.crash(other);
    write_many(&mut town, leader, 60);
    town.world.crash(leader);
    town.world.restart(other).unwrap();
    let leads = |town: &Town| town.leader() == Some(other);
    assert!(town.run_until(5_000_000, leads), "the witness has forgotten too much");
    write(&mut town, other);
    assert_eq!(lines(&town, other), 121);
    town.converge();
}

#[test]
fn a_witness_keeps_what_one_lacks_that_is_down() {
    the_other_one_leads_with_what_the_witness_has_kept();
}

/// It does not keep the log for ever, and then does not let lead who lacks what it forgot.
pub fn who_was_away_for_long_waits_for_who_knows() {
    let (mut town, leader, other) = two_and_a_witness(3);
    write_many(&mut town, leader, 60);
    town.world.crash(other);
    let before = forgotten(&town, WITNESS);
    let taken = |town: &Town| town.world.probes()["paxos: a snapshot was taken"];
    let many = taken(&town) + u64::from(SNAPSHOTS_HELD);
    while taken(&town) < many {
        assert_eq!(forgotten(&town, WITNESS), before, "it was held for the other one");
        write(&mut town, leader);
    }
    write_many(&mut town, leader, 2);
    assert!(forgotten(&town, WITNESS) > before, "it keeps everything");
    town.world.crash(leader);
    town.world.restart(other).unwrap();
    town.write(other);
    town.run_for(8_000_000);
    town.world.restart(leader).unwrap();
    town.converge();
}

#[test]
fn a_witness_forgets_in_the_end_and_elects_nobody_who_lacks_that() {
    who_was_away_for_long_waits_for_who_knows();
}

/// With a large state snapshots are rare, and what is between two of them is much.
#[test]
fn a_witness_forgets_sooner_when_it_is_much() {
    let (mut town, leader, other) = two_and_a_witness(10);
    let large = town.write_much(leader, 20_000);
    assert!(town.run_until(3_000_000, |town| town.told.contains(&large)));
    write_many(&mut town, leader, 3);
    town.run_for(500_000);
    town.world.crash(other);
    let before = forgotten(&town, WITNESS);
    let taken = |town: &Town| town.world.probes()["paxos: a snapshot was taken"];
    let first = taken(&town);
    while forgotten(&town, WITNESS) == before {
        assert!(taken(&town) - first < u64::from(SNAPSHOTS_HELD), "it was not much");
        town.write_much(leader, 1_000);
        town.run_for(20_000);
    }
    town.converge();
}

#[test]
fn a_witness_that_joins_late_or_was_away_skips_what_was_forgotten() {
    let (mut town, leader, other) = two_and_a_witness(4);
    town.world.crash(WITNESS);
    write_many(&mut town, leader, 80);
    town.world.restart(WITNESS).unwrap();
    town.run_for(1_000_000);
    assert_eq!(
        town.status(WITNESS).map(|it| it.committed),
        town.status(leader).map(|it| it.committed)
    );
    change(&mut town, leader, &[leader.0, other.0, 3], &[3]);
    write_many(&mut town, leader, 20);
    town.run_for(500_000);
    assert!(town.status(node(3)).unwrap().is_witness);
    assert_eq!(lines(&town, node(3)), 0, "it was sent no state");
    assert!(town.world.probes().contains_key("paxos: a witness skips what it lacks"));
    town.converge();
}

#[test]
fn a_witness_that_has_lost_its_disk_is_taken_in_again() {
    let (mut town, leader, other) = two_and_a_witness(5);
    write_many(&mut town, leader, 60);
    town.world.wipe(WITNESS);
    town.world.restart(WITNESS).unwrap();
    let votes = |town: &Town| town.replica(WITNESS).is_some_and(|replica| replica.votes());
    town.run_for(1_000);
    assert!(!votes(&town));
    assert!(town.run_until(5_000_000, votes), "{:?}", town.members());
    town.world.crash(other);
    write(&mut town, leader);
    town.converge();
}

#[test]
fn a_leader_that_becomes_a_witness_leaves_the_lead_to_another() {
    let (mut town, leader, other) = two_and_a_witness(6);
    change(&mut town, leader, &[0, 1, 2, 3], &[]);
    write_many(&mut town, leader, 10);
    town.change_to(leader, &[leader.0, other.0, 3], &[], &[leader.0], None);
    let leads = |town: &Town| town.leader().is_some_and(|now| now != leader && now != WITNESS);
    assert!(town.run_until(5_000_000, leads), "{:?}", town.members());
    town.run_for(1_000_000);
    write_many(&mut town, other, 30);
    assert!(town.status(leader).unwrap().is_witness);
    town.converge();
    assert_eq!(town.members().voters(), BTreeSet::from([leader, other, node(3)]));
}

#[test]
fn who_was_a_witness_stays_one_and_they_never_decide_alone() {
    let (mut town, leader, other) = two_and_a_witness(7);
    town.change_to(leader, &[leader.0, other.0, 2, 3], &[], &[other.0, 3], None);
    assert!(is_told(&mut town, "refused"), "three of four would be witnesses");
    town.change_to(leader, &[leader.0, other.0], &[], &[3], None);
    assert!(is_told(&mut town, "refused"), "a witness that is no voter");
    change(&mut town, leader, &[leader.0, other.0], &[]);
    town.change_to(leader, &[2], &[], &[], None);
    assert!(is_told(&mut town, "refused"), "it was a witness");
    change(&mut town, leader, &[leader.0, other.0, 2], &[]);
    assert!(town.members().is_witness(WITNESS));
    write_many(&mut town, leader, 5);
    town.converge();
}

#[test]
fn a_witness_is_not_led_by_and_not_read_from() {
    let (mut town, leader, _) = two_and_a_witness(8);
    write(&mut town, leader);
    town.lead(leader, WITNESS);
    assert!(is_told(&mut town, "refused"));
    town.read_at(WITNESS);
    assert!(is_told(&mut town, "behind"));
    town.read(WITNESS);
    assert!(is_told(&mut town, "read"), "it asks the leader");
    write(&mut town, WITNESS);
    town.converge();
}

#[test]
fn a_witness_that_starts_again_knows_that_it_is_one() {
    let (mut town, leader, other) = two_and_a_witness(9);
    write_many(&mut town, leader, 60);
    for _ in 0..3 {
        town.world.crash(WITNESS);
        town.world.restart(WITNESS).unwrap();
        town.run_for(500_000);
        town.world.crash(other);
        write_many(&mut town, leader, 10);
        assert!(town.status(WITNESS).unwrap().is_witness);
        town.world.restart(other).unwrap();
        town.run_for(500_000);
    }
    assert_eq!(lines(&town, WITNESS), 0);
    town.converge();
}
