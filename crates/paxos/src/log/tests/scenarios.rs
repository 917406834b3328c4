//! What happened to others, and what must not happen here, one after the other.

use ombak_base::NodeId;
use ombak_sim::Faults;

use super::group::{Town, node};
use super::{Journal, command};
use crate::log::sessions::{Answer, Sessions};
use crate::log::{PIECE_BYTES_MAX, Replica};
use crate::member::{Applied, Group};

#[test]
fn a_command_is_applied_everywhere() {
    let mut town = Town::new(3, 3, 1);
    let leader = town.await_leader();
    let line = town.write(leader);
    assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.converge();
}

#[test]
fn a_group_of_one_decides_alone() {
    let mut town = Town::new(1, 1, 1);
    town.await_leader();
    let line = town.write(node(0));
    town.read(node(0));
    assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.world.crash(node(0));
    town.world.restart(node(0)).unwrap();
    town.converge();
}

/// Each has a log of its own, and members of its own.
#[test]
fn groups_on_the_same_members_do_not_mix() {
    let mut town = Town::with(3, None, 4, 3, 13);
    town.await_leader();
    let away = node(3);
    for (group, voters) in [(0, [0, 1, 2]), (1, [1, 2, 3]), (2, [0, 2, 3])] {
        town.group = Group(group);
        let leader = town.await_leader();
        let (line, changed) = (town.write(leader), town.changed);
        if voters.contains(&3) {
            town.change(leader, &voters, &[]);
            assert!(
                town.run_until(2_000_000, |town| town.changed > changed),
                "{:?}",
                town.outcomes
            );
        }
        assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
        town.run_for(1_000_000);
        let lines = |id| town.replica(node(id)).unwrap().state().state().lines.clone();
        assert!(voters.iter().all(|id| lines(*id) == [line]), "{group}");
    }
    town.world.crash(away);
    town.world.restart(away).unwrap();
    town.converge();
}

#[test]
fn of_a_group_that_is_not_here_nobody_leads() {
    let mut town = Town::new(1, 1, 1);
    town.await_leader();
    town.group = Group(9);
    town.write(node(0));
    town.run_for(10_000);
    assert_eq!(town.outcomes.get("no leader"), Some(&1));
}

#[test]
fn a_follower_passes_it_on() {
    let mut town = Town::new(3, 3, 2);
    let leader = town.await_leader();
    let follower = node((leader.0 + 1) % 3);
    let line = town.write(follower);
    town.read(follower);
    assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.converge();
    assert_eq!(town.outcomes.get("read"), Some(&1));
}

/// omnipaxos #136: what was forwarded to a leader that is not there any more is lost, and its client waits for ever. Here it is
/// answered, once, whenever the leader dies, or what it was sent is lost.
#[test]
fn what_was_forwarded_is_answered_whatever_becomes_of_the_leader() {
    for after_us in (0..3_000).step_by(150) {
        for dies in [true, false] {
            let mut town = Town::new(3, 3, 136);
            let leader = town.await_leader();
            let follower = node((leader.0 + 1) % 3);
            town.run_for(500_000);
            if !dies {
                town.world.one_way(follower, leader);
            }
            town.write(follower);
            town.run_for(after_us);
            if dies {
                town.world.crash(leader);
            }
            let is_answered = |town: &Town| town.asked() == 0;
            assert!(town.run_until(12_000_000, is_answered), "after {after_us} us");
            town.run_for(2_000_000);
            assert_eq!(town.outcomes.values().sum::<u64>(), 1, "{:?}", town.outcomes);
            town.converge();
        }
    }
}

/// Those who did not ask as well, and who gets the state instead of the entries is told that.
#[test]
fn everybody_is_told_what_was_applied() {
    let mut town = Town::new(4, 3, 13);
    let leader = town.await_leader();
    town.change(leader, &[0, 1, 2], &[3]);
    assert!(town.run_until(2_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    let line = town.write(node((leader.0 + 1) % 3));
    town.run_for(1_000_000);
    for id in (0..4).map(node) {
        let applied = town.applied(Group(0), id);
        let [Applied::Command { answer, .. }] = applied[..] else { panic!("{applied:?}") };
        assert_eq!(Answer::decode(answer.clone()), Ok(Answer::Applied(command(line))), "{id}");
    }
    town.world.crash(node(3));
    for _ in 0..200 {
        town.write(leader);
        town.run_for(5_000);
    }
    town.world.restart(node(3)).unwrap();
    town.converge();
    let restored = |applied: &&Applied| matches!(applied, Applied::Restored { .. });
    assert!(town.applied(Group(0), node(3)).iter().any(restored));
}

/// Each member has to say what the client was told elsewhere. Who is cut off says that it can't.
#[test]
fn everybody_can_be_read_at_a_slot() {
    let mut town = Town::new(4, 3, 19);
    let leader = town.await_leader();
    town.change(leader, &[0, 1, 2], &[3]);
    assert!(town.run_until(2_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    let line = town.write(leader);
    assert!(town.run_until_soon(1_000_000, |town| town.told.contains(&line)), "not written");
    (0..4).for_each(|id| town.read_at(node(id)));
    town.run_for(100_000);
    assert_eq!(count(&town, "read"), 4, "{:?}", town.outcomes);
    town.world.partition(&[node(3)], &[node(0), node(1), node(2)]);
    let line = town.write(leader);
    assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.read_at(node(3));
    town.run_for(4_500_000);
    assert_eq!(town.asked(), 1);
    town.run_for(1_000_000);
    assert_eq!(count(&town, "behind"), 1, "{:?}", town.outcomes);
    town.read_at(node(3));
    town.world.heal();
    assert!(town.run_until(2_000_000, |town| count(town, "read") == 5), "{:?}", town.outcomes);
    town.converge();
}

#[test]
fn a_leader_dies_and_another_leads_within_a_second() {
    let mut town = Town::new(3, 3, 3);
    let leader = town.await_leader();
    town.run_for(1_000_000);
    town.world.crash(leader);
    let before = town.now();
    let other = node((leader.0 + 1) % 3);
    let mut line = town.write(other);
    while !town.run_until(20_000, |town| town.told.contains(&line)) {
        line = town.write(other);
    }
    let us = town.now().since(before);
    assert!(us < 1_000_000, "{us} us");
    town.converge();
}

#[test]
fn from_one_to_seven_and_back() {
    let mut town = Town::new(7, 1, 4);
    town.await_leader();
    for voters in [&[0, 1, 2][..], &[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4, 5, 6], &[4, 5, 6], &[6]] {
        let changed = town.changed;
        let leader = town.await_leader();
        town.write(leader);
        town.change(leader, voters, &[]);
        assert!(town.run_until(5_000_000, |town| town.changed > changed), "{:?}", town.outcomes);
        town.run_for(2_000_000);
    }
    town.converge();
    assert_eq!(town.leader(), Some(node(6)));
}

/// It is cut off from those who have to agree to that, and they go on without it.
pub fn a_leader_that_is_alone_wants_to_decide_alone() {
    let mut town = Town::new(3, 3, 30);
    let leader = town.await_leader();
    town.run_for(500_000);
    let rest = [node((leader.0 + 1) % 3), node((leader.0 + 2) % 3)];
    town.world.partition(&[leader], &rest);
    town.change(leader, &[leader.0], &[]);
    assert!(town.run_until(2_000_000, |town| town.leader() != Some(leader)), "nobody else leads");
    let line = town.write(rest[0]);
    assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.converge();
    assert_eq!(town.members().voters().len(), 3);
}

#[test]
fn a_leader_can_not_decide_alone_that_it_decides_alone() {
    a_leader_that_is_alone_wants_to_decide_alone();
}

/// openraft #2091: the leader that is removed waits for itself.
#[test]
fn a_leader_that_removes_itself_gives_way() {
    let mut town = Town::new(4, 3, 5);
    let leader = town.await_leader();
    let rest: Vec<u32> = (0..4).filter(|id| *id != leader.0).collect();
    town.change(leader, &rest, &[]);
    assert!(town.run_until(5_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    let line = town.write(node(rest[0]));
    assert!(town.run_until(2_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    assert_ne!(town.leader(), Some(leader));
    town.converge();
}

#[test]
fn a_change_that_was_begun_is_ended_by_the_next_leader() {
    let mut town = Town::new(6, 3, 12);
    let leader = town.await_leader();
    town.change(leader, &[3, 4, 5], &[]);
    let begun = |town: &Town| {
        let others = (0..3).map(node).filter(|id| *id != leader);
        others.filter_map(|id| town.status(id)).any(|status| status.members.next.is_some())
    };
    assert!(town.run_until_soon(1_000_000, begun), "nobody heard of the change");
    town.world.crash(leader);
    let over = |town: &Town| {
        let members = town.members();
        members.next.is_none() && members.voters() == (3..6).map(node).collect()
    };
    assert!(town.run_until(5_000_000, over), "{:?}", town.members());
    town.converge();
}

/// omnipaxos #151: the log of the new members does not go on where that of the old ones ended.
#[test]
fn all_members_are_replaced_at_once_and_the_log_goes_on() {
    let mut town = Town::new(6, 3, 6);
    let leader = town.await_leader();
    for _ in 0..50 {
        town.write(leader);
        town.run_for(10_000);
    }
    town.change(leader, &[3, 4, 5], &[]);
    assert!(town.run_until(5_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    (0..3).for_each(|old| town.world.wipe(node(old)));
    town.run_for(1_000_000);
    let line = town.write(node(3));
    assert!(town.run_until(5_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    assert_eq!(town.replica(node(3)).unwrap().state().state().lines.len(), town.told.len());
}

/// Who was away for long gets the state instead of the entries.
#[test]
fn a_laggard_catches_up_by_snapshot() {
    let mut town = Town::new(3, 3, 7);
    let leader = town.await_leader();
    let away = node((leader.0 + 1) % 3);
    town.world.crash(away);
    for _ in 0..200 {
        town.write(leader);
        town.run_for(5_000);
    }
    town.world.restart(away).unwrap();
    town.converge();
    assert!(town.world.probes().contains_key("paxos: a snapshot was taken over"));
}

/// A group whose state is some pieces large, of which one member was away and lacks all of it.
fn much_is_lacked(seed: u64) -> (Town, NodeId, NodeId) {
    let mut town = Town::new(3, 3, seed);
    let leader = town.await_leader();
    let away = node((leader.0 + 1) % 3);
    town.world.crash(away);
    for _ in 0..8 {
        let line = town.write_much(leader, 5 * PIECE_BYTES_MAX);
        assert!(town.run_until(1_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    }
    (town, leader, away)
}

fn has_all(town: &Town, node: NodeId) -> bool {
    let padding = |replica: &Replica<Sessions<Journal>>| replica.state().state().padding;
    town.replica(node).map(padding) == Some(8 * 5 * PIECE_BYTES_MAX)
}

/// More than fits into the window.
#[test]
fn a_large_snapshot_is_streamed_while_the_group_goes_on() {
    let (mut town, leader, away) = much_is_lacked(21);
    town.world.restart(away).unwrap();
    let mut lines = 0;
    while !has_all(&town, away) {
        lines += 1;
        assert!(lines < 1_000, "{:?}", town.status(away));
        town.write(leader);
        town.run_for(2_000);
    }
    town.converge();
    assert_eq!(town.world.probes()["paxos: a snapshot was sent"], 1);
    assert!(!town.world.probes().contains_key("paxos: a piece of a snapshot is not the next one"));
}

/// Connections break, the receiver is started anew, and then another leads.
#[test]
fn a_large_snapshot_arrives_whatever_happens() {
    let is_arriving = |town: &Town| {
        town.world
            .node_ids()
            .any(|id| town.status(id).is_some_and(|status| status.arriving.is_some()))
    };
    for seed in 22..30 {
        let (mut town, leader, away) = much_is_lacked(seed);
        town.world.set_faults(Faults {
            drop_per_mille: 20,
            reorder_per_mille: 20,
            ..Faults::calm()
        });
        town.world.restart(away).unwrap();
        assert!(town.run_until_soon(3_000_000, is_arriving), "not begun");
        town.world.crash(away);
        town.world.restart(away).unwrap();
        assert!(town.run_until_soon(3_000_000, is_arriving), "not again");
        town.world.crash(leader);
        town.run_for(300_000);
        town.world.restart(leader).unwrap();
        assert!(town.run_until(60_000_000, |town| has_all(town, away)), "seed {seed}");
        town.converge();
    }
}

/// Cuts off a leader whose clock is three times too slow: it is late to see that it is alone.
fn sleepy_leader(seed: u64) -> (Town, NodeId, [NodeId; 2]) {
    let mut town = Town::new(3, 1, seed);
    let old = node(0);
    town.start_with_rate(old, -700_000);
    assert_eq!(town.await_leader(), old);
    town.change(old, &[0, 1, 2], &[]);
    assert!(town.run_until(2_000_000, |town| town.changed == 1), "{:?}", town.outcomes);
    town.run_for(500_000);
    town.world.partition(&[old], &[node(1), node(2)]);
    (town, old, [node(1), node(2)])
}

/// It does not know that another leads and that more has been written.
pub fn a_leader_of_yesterday_is_read_from() {
    let (mut town, old, [other, _]) = sleepy_leader(10);
    assert!(town.run_until(1_000_000, |town| town.leader() != Some(old)), "nobody else leads");
    let line = town.write(other);
    assert!(town.run_until(100_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    assert!(town.replica(old).is_some_and(|replica| replica.leads()), "it knows");
    town.read(old);
    town.run_for(100_000);
    town.converge();
}

#[test]
fn a_leader_of_yesterday_does_not_answer() {
    a_leader_of_yesterday_is_read_from();
}

/// A round trip takes a little more than the shortest time after which somebody stands: who draws that, and draws it once, gives up
/// each ballot just before it hears the promises.
pub fn a_leader_dies_where_everything_takes_long() {
    let mut town = Town::new(3, 3, 20);
    let leader = town.await_leader();
    for (from, to) in [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)] {
        town.world.slow(node(from), node(to), 80_000);
    }
    town.run_for(1_000_000);
    town.world.crash(leader);
    let is_led = |town: &Town| town.leader().is_some_and(|other| other != leader);
    assert!(town.run_until(5_000_000, is_led), "nobody comes to lead");
    town.converge();
}

#[test]
fn candidates_do_not_collide_for_ever() {
    a_leader_dies_where_everything_takes_long();
}

/// Who was cut off and comes back deposes nobody.
#[test]
fn who_comes_back_does_not_disturb() {
    let mut town = Town::new(5, 5, 8);
    let leader = town.await_leader();
    let away = node((leader.0 + 1) % 5);
    let others: Vec<_> = (0..5).map(node).filter(|id| *id != away).collect();
    town.run_for(1_000_000);
    let promised = town.status(leader).unwrap().promised;
    town.world.partition(&[away], &others);
    town.run_for(10_000_000);
    town.world.heal();
    town.run_for(2_000_000);
    assert_eq!(town.leader(), Some(leader));
    assert_eq!(town.status(leader).unwrap().promised, promised);
}

/// The leader hears only one of four, which hears all: it has to give way.
#[test]
fn a_leader_without_a_quorum_gives_way_to_who_has_one() {
    let mut town = Town::new(5, 5, 9);
    let leader = town.await_leader();
    let hub = node((leader.0 + 1) % 5);
    let rest: Vec<_> = (0..5).map(node).filter(|id| *id != leader && *id != hub).collect();
    town.world.partition(&[leader], &rest);
    let line = town.write(hub);
    town.run_for(5_000_000);
    let second = town.write(hub);
    assert!(town.run_until(3_000_000, |town| town.told.contains(&second)), "{:?}", town.outcomes);
    let _ = line;
    assert_ne!(town.leader(), Some(leader));
    town.converge();
}

/// Outcomes of this name so far.
fn count(town: &Town, outcome: &str) -> u64 {
    town.outcomes.get(outcome).copied().unwrap_or(0)
}

#[test]
fn the_lead_is_handed_over_on_request() {
    let mut town = Town::new(5, 5, 14);
    let first = town.await_leader();
    for step in 1..5 {
        let leader = town.leader().unwrap();
        let to = node((first.0 + step) % 5);
        // The leader, the one that is to lead, and somebody else are asked.
        for at in [leader, to, node((first.0 + step + 1) % 5)] {
            town.lead(at, to);
        }
        let led = 3 * u64::from(step);
        assert!(town.run_until(300_000, |town| count(town, "led") == led), "{:?}", town.outcomes);
        assert_eq!(town.leader(), Some(to));
    }
    town.converge();
}

/// No command is lost or taken twice, and nobody is told that it may have been.
#[test]
fn the_lead_is_handed_over_under_load() {
    let mut town = Town::new(3, 3, 15);
    let first = town.await_leader();
    town.run_for(500_000);
    let mut lines = Vec::new();
    for step in 0..600 {
        lines.push(town.write(node(step % 3)));
        if step % 100 == 50 {
            town.lead(node(step % 3), node((first.0 + step / 100 + 1) % 3));
        }
        town.run_for(1_000);
    }
    assert!(town.run_until(6_000_000, |town| town.asked() == 0), "{:?}", town.outcomes);
    assert_eq!(count(&town, "led"), 6, "{:?}", town.outcomes);
    assert_eq!(count(&town, "refused") + count(&town, "no leader"), 0, "{:?}", town.outcomes);
    // Those that are on their way to a leader that has just handed over.
    assert!(count(&town, "unknown") <= 6 * 5, "{:?}", town.outcomes);
    town.converge();
}

#[test]
fn the_lead_is_handed_over_to_a_laggard() {
    let mut town = Town::new(3, 3, 16);
    let leader = town.await_leader();
    let late = node((leader.0 + 1) % 3);
    town.world.crash(late);
    for _ in 0..200 {
        town.write(leader);
        town.run_for(5_000);
    }
    town.world.restart(late).unwrap();
    let is_up = |town: &Town| town.status(late).is_some_and(|status| status.leader == Some(leader));
    assert!(town.run_until_soon(1_000_000, is_up), "it does not come back");
    assert!(town.status(late).unwrap().committed < town.status(leader).unwrap().committed);
    town.lead(leader, late);
    assert!(town.run_until(1_000_000, |town| count(town, "led") == 1), "{:?}", town.outcomes);
    assert_eq!(town.leader(), Some(late));
    town.converge();
}

/// What waited for the handover is taken by the leader that goes on.
#[test]
fn a_leader_that_can_not_hand_over_goes_on() {
    let mut town = Town::new(3, 3, 17);
    let leader = town.await_leader();
    town.run_for(500_000);
    let (dead, other) = (node((leader.0 + 1) % 3), node((leader.0 + 2) % 3));
    town.world.crash(dead);
    town.lead(leader, dead);
    let lines = [town.write(leader), town.write(other)];
    let told = |town: &Town| lines.iter().all(|line| town.told.contains(line));
    assert!(town.run_until(3_000_000, told), "{:?}", town.outcomes);
    assert_eq!(town.leader(), Some(leader));
    assert_eq!(count(&town, "refused"), 1, "{:?}", town.outcomes);
    town.lead(leader, dead); // It knows by now.
    town.lead(leader, node(9));
    assert!(town.run_until(20_000, |town| count(town, "refused") == 3), "{:?}", town.outcomes);
    town.converge();
}

/// It lives, and does not do what it is told: cut off from all others in one direction.
#[test]
fn who_is_to_lead_and_can_not_does_not_hold_up_the_group() {
    let mut town = Town::new(3, 3, 18);
    let leader = town.await_leader();
    town.run_for(500_000);
    let (deaf, other) = (node((leader.0 + 1) % 3), node((leader.0 + 2) % 3));
    town.world.one_way(leader, deaf);
    town.lead(other, deaf);
    let line = town.write(other);
    assert!(town.run_until(4_000_000, |town| town.told.contains(&line)), "{:?}", town.outcomes);
    town.converge();
}

/// What happens in so long a time to nodes whose groups have a leader and nothing to do.
fn steps_at_rest(groups: u32) -> u64 {
    let mut town = Town::with(groups, None, 3, 3, 7);
    town.run_for(10_000_000);
    for group in town.all_groups().collect::<Vec<_>>() {
        town.group = group;
        let leader = town.await_leader();
        let line = town.write(leader);
        assert!(town.run_until(100_000, |town| town.told.contains(&line)), "{group:?} sleeps");
    }
    town.run_for(10_000_000);
    let (until, mut steps) = (town.now().plus_ms(5_000), 0);
    while town.now() < until && town.world.step() {
        steps += 1;
    }
    steps
}

/// Nodes say that they live, not groups: at rest a group costs no message, no timer and no write.
#[test]
fn many_groups_that_have_nothing_to_do_cost_no_more_than_one() {
    let of_one = steps_at_rest(1);
    assert!(of_one > 0);
    assert_eq!(steps_at_rest(20), of_one);
}

/// All groups of a node write to its one log: what comes in together is synced together.
#[test]
fn many_groups_share_a_sync() {
    const GROUPS: u32 = 20;
    let mut town = Town::with(GROUPS, None, 1, 1, 3);
    let groups: Vec<_> = town.all_groups().collect();
    for group in &groups {
        town.group = *group;
        town.await_leader();
    }
    town.run_for(1_000_000);
    let syncs = |town: &Town| town.world.disk(node(0)).counters().syncs;
    let before = syncs(&town);
    let lines = groups.iter().map(|group| {
        town.group = *group;
        town.write(node(0))
    });
    let lines: Vec<u64> = lines.collect();
    assert!(town.run_until(1_000_000, |town| lines.iter().all(|line| town.told.contains(line))));
    let shared = syncs(&town) - before;
    assert!((1..=4).contains(&shared), "{shared} syncs for {GROUPS} groups");
}
