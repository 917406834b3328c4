//! Disks that are lost, or replaced by an older copy, and data that belong to somebody else.

use ombak_base::{ClusterId, NodeId};
use ombak_sim::{Faults, Rng};

use super::group::{SHARD, Town, node};
use crate::member::{Failure, Group};

/// A leader, another, and a third.
fn three(seed: u64) -> (Town, NodeId, NodeId, NodeId) {
    let mut town = Town::new(3, 3, seed);
    let leader = town.await_leader();
    town.run_for(1_000_000);
    (town, leader, node((leader.0 + 1) % 3), node((leader.0 + 2) % 3))
}

fn write(town: &mut Town, at: NodeId) -> u64 {
    let line = town.write(at);
    assert!(town.run_until(3_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    line
}

fn votes(town: &Town, node: NodeId) -> bool {
    town.replica(node).is_some_and(|replica| replica.votes())
}

fn seen(town: &Town, probe: &str) -> bool {
    town.world.probes().contains_key(probe)
}

#[test]
fn a_group_begins_when_all_founders_have_met() {
    let mut town = Town::new(3, 3, 1);
    town.world.crash(node(2));
    town.run_for(3_000_000);
    assert_eq!(town.leader(), None);
    town.world.restart(node(2)).unwrap();
    town.await_leader();
    town.world.crash(node(1));
    town.await_leader();
    town.converge();
}

#[test]
fn who_has_lost_its_disk_is_taken_in_again_and_votes() {
    let (mut town, leader, lost, other) = three(2);
    (0..30).for_each(|_| {
        town.write(leader);
    });
    town.run_for(500_000);
    let before = town.world.machine(lost, SHARD).unwrap().life().unwrap();
    town.world.wipe(lost);
    town.world.restart(lost).unwrap();
    town.run_for(1_000);
    assert!(!votes(&town, lost));
    assert!(town.run_until(5_000_000, |town| votes(town, lost)), "{:?}", town.members());
    let after = town.world.machine(lost, SHARD).unwrap().life().unwrap();
    assert_ne!(before.disk, after.disk);
    assert_eq!(town.members().disks[&lost], after.disk);
    // It is worth as much as before.
    town.world.crash(other);
    write(&mut town, leader);
    town.converge();
    assert!(town.members().returning.is_empty());
}

/// While old and new voters decide together, those without it must agree: one of them less is one too many. From when on it says that
/// it votes and goes on to, the next may be lost.
#[test]
fn who_is_about_to_vote_again_still_counts_as_lost() {
    let (mut town, leader, lost, other) = three(7);
    let line = write(&mut town, leader);
    town.world.wipe(lost);
    town.world.restart(lost).unwrap();
    let members = |town: &Town| town.status(lost).map(|status| status.members);
    let is_coming = |town: &Town| {
        members(town).is_some_and(|members| members.next.is_some() && members.is_voter(lost))
    };
    assert!(town.run_until_soon(5_000_000, is_coming), "{:?}", town.members());
    assert!(!members(&town).unwrap().is_lasting_voter(lost));
    let is_back = |town: &Town| members(town).is_some_and(|members| members.is_lasting_voter(lost));
    assert!(town.run_until_soon(5_000_000, is_back), "{:?}", town.members());
    town.world.wipe(leader);
    town.run_for(1_000_000);
    let next = write(&mut town, other);
    assert_eq!(town.replica(other).unwrap().state().state().lines, [line, next]);
    town.world.restart(leader).unwrap();
    town.converge();
}

/// What was told of is on the disks of two, and one of these is lost. The other can't be reached.
pub fn a_disk_is_lost_after_it_has_accepted() {
    let (mut town, leader, lost, away) = three(3);
    town.world.crash(away);
    write(&mut town, leader);
    town.world.crash(leader);
    town.world.wipe(lost);
    town.world.restart(away).unwrap();
    town.world.restart(lost).unwrap();
    town.write(away);
    town.run_for(8_000_000);
    town.converge();
}

#[test]
fn a_lost_disk_does_not_undo_what_was_told() {
    a_disk_is_lost_after_it_has_accepted();
}

/// The same, and the disk comes back as it was before the node was last started.
pub fn a_disk_is_replaced_by_an_older_copy() {
    let (mut town, leader, old, away) = three(4);
    town.world.crash(old);
    town.world.restart(old).unwrap();
    town.run_for(2_000_000);
    town.world.crash(away);
    write(&mut town, leader);
    town.world.crash(leader);
    town.world.put_older_disk(old);
    town.world.restart(away).unwrap();
    town.world.restart(old).unwrap();
    town.write(away);
    town.run_for(8_000_000);
    town.converge();
}

#[test]
fn an_older_copy_does_not_undo_what_was_told() {
    a_disk_is_replaced_by_an_older_copy();
}

#[test]
fn an_older_copy_gives_up_its_name_and_is_taken_in_again() {
    let (mut town, leader, old, _) = three(5);
    town.world.crash(old);
    town.world.restart(old).unwrap();
    town.run_for(1_000_000);
    let before = town.world.machine(old, SHARD).unwrap().life().unwrap();
    write(&mut town, leader);
    town.world.put_older_disk(old);
    town.world.restart(old).unwrap();
    town.run_for(5_000_000);
    assert!(seen(&town, "paxos: a member gives up the name of its disk"));
    assert_ne!(town.world.machine(old, SHARD).unwrap().life().unwrap().disk, before.disk);
    assert!(votes(&town, old), "{:?}", town.members());
    town.converge();
}

/// Two of three: nobody can know any more what was told of.
#[test]
fn a_group_that_has_lost_too_many_disks_stops() {
    let (mut town, leader, first, second) = three(6);
    write(&mut town, leader);
    for lost in [first, second] {
        town.world.wipe(lost);
    }
    for lost in [first, second] {
        town.world.restart(lost).unwrap();
    }
    town.run_for(10_000_000);
    assert_eq!(town.leader(), None);
    assert!(!votes(&town, first) && !votes(&town, second));
}

/// Nobody is there who could know.
#[test]
fn a_group_of_one_that_has_lost_its_disk_begins_again() {
    let mut town = Town::new(1, 1, 7);
    town.await_leader();
    write(&mut town, node(0));
    town.world.wipe(node(0));
    town.world.restart(node(0)).unwrap();
    town.look_at_another_group();
    town.await_leader();
    assert_eq!(town.replica(node(0)).unwrap().state().state().lines, []);
}

#[test]
fn a_learner_that_has_lost_its_disk_stays_a_learner() {
    let mut town = Town::new(4, 3, 8);
    let leader = town.await_leader();
    town.run_for(500_000);
    town.change(leader, &[0, 1, 2], &[3]);
    assert!(town.run_until(3_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    write(&mut town, leader);
    town.run_for(500_000);
    town.world.wipe(node(3));
    town.world.restart(node(3)).unwrap();
    town.run_for(5_000_000);
    assert!(town.members().learners.contains(&node(3)));
    town.converge();
}

#[test]
fn a_member_that_was_removed_and_has_lost_its_disk_stays_out() {
    let mut town = Town::new(4, 4, 9);
    let leader = town.await_leader();
    town.run_for(500_000);
    let out = node((leader.0 + 1) % 4);
    let rest: Vec<u32> = (0..4).filter(|id| *id != out.0).collect();
    town.change(leader, &rest, &[]);
    assert!(town.run_until(3_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    town.world.wipe(out);
    town.world.restart(out).unwrap();
    town.run_for(5_000_000);
    assert!(!town.members().everybody().contains(&out));
    town.converge();
}

#[test]
fn data_of_another_cluster_are_not_touched() {
    let (mut town, _, other, _) = three(10);
    town.world.crash(other);
    town.world.system_mut().cluster = ClusterId(2);
    town.world.restart(other).unwrap();
    town.run_for(1_000_000);
    let failure = town.world.machine(other, SHARD).unwrap().failure();
    assert_eq!(failure, Some(&Failure::OtherCluster(ClusterId(1))));
    town.world.crash(other);
    town.world.system_mut().cluster = ClusterId(1);
    town.converge();
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let (mut town, leader, other, _) = three(11);
    town.world.wipe(other);
    town.world.system_mut().cluster = ClusterId(2);
    town.world.restart(other).unwrap();
    let before = town.status(leader);
    town.run_for(2_000_000);
    assert!(seen(&town, "paxos: refused, of another cluster"));
    assert_eq!(town.status(leader), before);
    assert_eq!(town.status(other).unwrap().committed.0, 0);
}

/// One disk at a time is lost, of the others what is not synced.
fn run(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x51ed_270b_9f6c_3a1d);
    let nodes = 3 + 2 * rng.below(2) as u32;
    let groups = rng.between(1, 2) as u32;
    let mut town = Town::with(groups, None, nodes, nodes, seed);
    if rng.chance(1, 2) {
        town.world.set_faults(Faults::random(&mut rng));
    }
    for _ in 0..rng.between(30, 100) {
        let at = node(rng.below(nodes.into()) as u32);
        town.group = Group(rng.below(groups.into()) as u32);
        let is_up = town.world.is_up(at);
        match rng.below(12) {
            0 if all_vote(&mut town, nodes) => {
                town.world.wipe(at);
                town.world.restart(at).unwrap();
            }
            1 if is_up => town.world.disk(at).cut_power(1 + rng.below(12)),
            1..=3 if !is_up => town.world.restart(at).unwrap(),
            4 => town.world.one_way(at, node((at.0 + 1) % nodes)),
            5 => town.world.heal(),
            6 => town.read(at),
            _ => drop(town.write(at)),
        }
        let us = if rng.chance(1, 3) { 2_000_000 } else { 100_000 };
        town.run_for(rng.between(1, us));
    }
    town.converge();
    town.run_for(5_000_000);
    assert!(all_vote(&mut town, nodes), "{:?}", town.members());
}

/// Nobody is without its disk, or on the way back, and all know that the change that took the last one in again is over: until
/// then it may have to be found out again, with those who voted before it.
fn all_vote(town: &mut Town, nodes: u32) -> bool {
    let is_over = |town: &Town, node| {
        let replica = town.replica(node);
        replica.is_some_and(|r| r.members_at().0 == 0 || r.members_at() < r.status().committed)
    };
    let before = town.group;
    let all = town.all_groups().all(|group| {
        town.group = group;
        (0..nodes).map(node).all(|node| votes(town, node) && is_over(town, node))
    });
    town.group = before;
    all
}

#[test]
fn seeds_with_lost_disks() {
    for seed in super::seeds::asked_for().unwrap_or(0..30) {
        let ended = std::panic::catch_unwind(|| run(seed));
        assert!(ended.is_ok(), "seed {seed}");
    }
}
