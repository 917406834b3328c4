//! Groups of which fewer, or more, than a majority decide.

use std::collections::BTreeSet;

use ombak_base::NodeId;

use super::group::{SHARD, Town, node};
use crate::ballot::Voters;

/// Five voters of whom two decide, and the leader. Each successor needs four.
fn two_of_five(seed: u64) -> (Town, NodeId) {
    let mut town = Town::new(6, 5, seed);
    let leader = town.await_leader();
    change(&mut town, leader, &[0, 1, 2, 3, 4], Some(2));
    assert_eq!(town.members().voters, deciding(&[0, 1, 2, 3, 4], 2));
    (town, leader)
}

fn deciding(ids: &[u32], accept: usize) -> Voters {
    Voters::flexible(ids.iter().copied().map(NodeId), accept).unwrap()
}

fn change(town: &mut Town, at: NodeId, voters: &[u32], accept: Option<usize>) {
    let changed = town.changed;
    town.change_to(at, voters, &[], &[], accept);
    assert!(town.run_until(5_000_000, |town| town.changed > changed), "{:?}", town.outcomes);
}

fn others(leader: NodeId) -> Vec<NodeId> {
    (0..5).map(node).filter(|id| *id != leader).collect()
}

fn write(town: &mut Town, at: NodeId) {
    let line = town.write(at);
    assert!(town.run_until(2_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
}

#[test]
fn two_of_five_decide_and_four_elect() {
    let (mut town, leader) = two_of_five(1);
    let others = others(leader);
    others[..3].iter().for_each(|id| town.world.crash(*id));
    write(&mut town, leader);
    // Two that know nothing of it come back: with the one that does, three are not enough to lead without the leader.
    town.world.crash(leader);
    others[..2].iter().for_each(|id| town.world.restart(*id).unwrap());
    town.run_for(5_000_000);
    assert_eq!(town.leader(), None);
    town.world.restart(others[2]).unwrap();
    town.await_leader();
    town.converge();
}

#[test]
fn other_voters_decide_with_as_many_as_before() {
    let (mut town, leader) = two_of_five(2);
    let rest: Vec<u32> = (0..5).filter(|id| *id != others(leader)[0].0).collect();
    change(&mut town, leader, &rest, None);
    assert_eq!(town.members().voters, deciding(&rest, 2));
    let with_sixth: Vec<u32> = rest.iter().copied().chain([5]).collect();
    change(&mut town, leader, &with_sixth, None);
    assert_eq!(town.members().voters, deciding(&with_sixth, 2));
    change(&mut town, leader, &[leader.0], None);
    assert_eq!(town.members().voters, Voters::majority([leader]));
    town.converge();
}

#[test]
fn how_many_decide_can_be_changed_alone() {
    let (mut town, leader) = two_of_five(3);
    change(&mut town, leader, &[0, 1, 2, 3, 4], Some(3));
    assert_eq!(town.members().voters, Voters::majority((0..5).map(node)));
    change(&mut town, leader, &[0, 1, 2, 3, 4], Some(5));
    town.world.crash(others(leader)[0]);
    town.write(leader);
    town.run_for(1_000_000);
    assert_eq!(town.outcomes.get("applied"), None, "one of five is missing");
    town.converge();
}

#[test]
fn none_and_more_than_there_are_can_not_decide() {
    let (mut town, leader) = two_of_five(4);
    for accept in [0, 6, usize::MAX] {
        town.change_to(leader, &[0, 1, 2, 3, 4], &[], &[], Some(accept));
    }
    let refused = |town: &Town| town.outcomes.get("refused") == Some(&3);
    assert!(town.run_until(1_000_000, refused), "{:?}", town.outcomes);
    town.converge();
}

#[test]
fn who_has_lost_its_disk_comes_back_and_as_many_decide() {
    let (mut town, leader) = two_of_five(5);
    let lost = others(leader)[0];
    write(&mut town, leader);
    town.run_for(500_000);
    town.world.wipe(lost);
    town.world.restart(lost).unwrap();
    let disk = |town: &Town| town.world.machine(lost, SHARD).and_then(|member| member.life());
    let is_back = |town: &Town| {
        let members = town.members();
        let is_on = disk(town).is_some_and(|life| members.disks.get(&lost) == Some(&life.disk));
        is_on && members.is_voter(lost) && members.next.is_none() && members.returning.is_empty()
    };
    assert!(town.run_until(10_000_000, is_back), "{:?}", town.members());
    assert_eq!(town.members().voters, deciding(&[0, 1, 2, 3, 4], 2));
    town.converge();
    assert_eq!(town.members().everybody(), BTreeSet::from_iter((0..5).map(node)));
}
