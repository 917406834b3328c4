//! What a machine may rely on, and what it must expect.

mod diagram;
mod parrot;

use std::io::{ErrorKind, IoSlice};

use ombak_base::{Address, Disk, DiskFile, OpenMode, Refused, Stamp, Tick};

use super::*;
use crate::SyncFault;
use parrot::*;

const SECOND: u64 = 1_000_000;

fn replies(w: &mut Flock) -> Vec<Heard<Said>> {
    w.take_replies().into_iter().map(|reply| reply.heard).collect()
}

fn read(w: &mut Flock, node: NodeId) -> Option<Heard<Said>> {
    w.ask(node, S0, Ask::Read, SECOND)
}

fn value(tag: Option<u64>) -> Option<Heard<Said>> {
    Some(Heard::Reply(Said::Value(tag)))
}

/// A day in the life of a flock, with everything that can happen in it.
fn eventful(seed: u64) -> Flock {
    eventful_with(seed, |_| ())
}

fn eventful_with(seed: u64, prepare: impl FnOnce(&mut Flock)) -> Flock {
    let mut w = World::new(Aviary::default(), 3, seed).unwrap();
    prepare(&mut w);
    let mut rng = Rng::new(seed);
    for node in [A, B, C] {
        w.request(node, S0, Ask::Chatter(500));
    }
    for _ in 0..20 {
        w.set_faults(Faults::random(&mut rng));
        let node = NodeId(rng.below(3) as u32);
        match rng.below(6) {
            0 => w.crash(node),
            1 => w.pause(node),
            2 => w.partition(&[node], &[A, B, C]),
            3 => w.reset(A, B),
            4 => w.disk(node).cut_power(rng.between(1, 20)),
            _ => w.heal(),
        }
        w.run_for(20_000);
        w.resume(node);
        if !w.is_up(node) && w.restart(node).is_ok() {
            w.request(node, S1, Ask::Chatter(500));
        }
    }
    w
}

#[test]
fn a_seed_is_a_run() {
    for seed in 0..20 {
        let (one, same, other) = (eventful(seed), eventful(seed), eventful(seed + 1000));
        assert_eq!(one.trace_hash(), same.trace_hash());
        assert_eq!(one.trace().events(), same.trace().events());
        assert_eq!(one.probes(), same.probes());
        assert_ne!(one.trace_hash(), other.trace_hash());
        assert!(one.trace().events() > 500, "{}", one.trace().events());
    }
}

/// In every process, on every machine. When the simulator itself changes, so does this number: pinned
/// seeds elsewhere then mean other runs.
#[test]
fn the_run_of_a_seed_is_pinned() {
    assert_eq!(eventful(42).trace_hash(), 184_544_887_437_442_531_765_609_052_342_216_734_118);
}

#[test]
fn without_faults_messages_keep_their_order() {
    let mut w = flock(1);
    for _ in 0..5 {
        w.request(A, S0, Ask::Count(at(B), 50));
        w.run_for(300);
    }
    w.run_for(SECOND);
    let expected: Vec<u64> = (0..5).flat_map(|_| 0..50).collect();
    assert_eq!(parrot(&w, B).numbers(), expected);
    assert_eq!(parrot(&w, B).heard[0].0, at(A));
}

#[test]
fn shards_of_a_node_hear_each_other_in_order_in_any_weather() {
    let mut w = flock(2);
    w.set_faults(Faults {
        drop_per_mille: 500,
        duplicate_per_mille: 500,
        reorder_per_mille: 500,
        local_us: (0, 10_000),
        ..Faults::calm()
    });
    w.request(A, S1, Ask::Count(at(A), 100));
    w.request(A, S1, Ask::Count(Address { node: A, shard: S1 }, 3));
    w.run_for(SECOND);
    assert_eq!(parrot(&w, A).numbers(), (0..100).collect::<Vec<_>>());
    assert_eq!(w.machine(A, S1).unwrap().numbers(), [0, 1, 2]);
}

#[test]
fn drops_duplicates_and_disorder_do_happen() {
    let with = |change: fn(&mut Faults)| {
        let mut w = flock(3);
        let mut faults = Faults::calm();
        change(&mut faults);
        w.set_faults(faults);
        w.request(A, S0, Ask::Count(at(B), 1000));
        w.run_for(SECOND);
        (parrot(&w, B).numbers(), replies(&mut w).len())
    };
    let (dropped, _) = with(|faults| faults.drop_per_mille = 100);
    assert!((850..950).contains(&dropped.len()) && dropped.is_sorted());
    let (doubled, _) = with(|faults| faults.duplicate_per_mille = 100);
    assert!((1050..1150).contains(&doubled.len()));
    let (disordered, _) = with(|faults| faults.reorder_per_mille = 100);
    assert!(disordered.len() == 1000 && !disordered.is_sorted());
    let (taken, refused) = with(|faults| faults.full_per_mille = 100);
    assert!((50..150).contains(&refused) && taken.len() + refused == 1000);
}

#[test]
fn nobody_is_there_to_hear() {
    let mut w = flock(4);
    w.crash(C);
    w.run_for(SECOND);
    w.request(A, S0, Ask::Count(at(C), 1));
    w.request(A, S0, Ask::Count(Address { node: A, shard: ShardId(7) }, 1));
    w.request(C, S0, Ask::Read);
    w.run_for(SECOND);
    let down = Heard::Reply(Said::Refused(Refused::Down));
    assert_eq!(replies(&mut w), [Heard::HungUp, down.clone(), down]);
}

#[test]
fn an_answer_waits_for_its_stamp() {
    let mut w = flock(5);
    w.set_faults(Faults { write_us: (500, 500), notice_us: (300, 300), ..Faults::calm() });
    w.request(A, S0, Ask::Save(7));
    w.request(A, S0, Ask::SaveAndTell(at(B), 8));
    w.run_for(799);
    assert_eq!(w.disk(A).counters().writes, 2, "one at boot, one for both commits");
    assert_eq!(replies(&mut w), []);
    assert_eq!(parrot(&w, A).durable, Stamp::NONE);
    w.run_for(1);
    assert_eq!(replies(&mut w), [Heard::Reply(Said::Saved)]);
    assert_eq!(parrot(&w, A).durable, Stamp(2));
    assert_eq!(parrot(&w, B).heard, []);
    w.run_for(SECOND);
    assert_eq!(parrot(&w, B).heard, [(at(A), 8)]);
}

#[test]
fn a_failed_sync_releases_nothing_ever() {
    for fault in [SyncFault::Keeps, SyncFault::Drops] {
        let mut w = flock(6);
        w.disk(A).fail_sync(1, ErrorKind::Other, fault);
        w.request(A, S0, Ask::Save(7));
        w.request(A, S0, Ask::SaveAndTell(at(B), 8));
        w.run_for(SECOND);
        w.request(A, S0, Ask::Save(9));
        w.run_for(SECOND);
        assert!(w.is_failed(A) && w.is_up(A) && parrot(&w, A).failed);
        assert!(w.machine(A, S1).unwrap().failed);
        assert_eq!((replies(&mut w), &parrot(&w, B).heard), (vec![], &vec![]));
        assert_eq!(w.disk(A).counters().syncs, 2 + 1, "the writer is not called again");
        assert_eq!(read(&mut w, A), value(Some(9)));
    }
}

#[test]
fn a_crash_loses_what_was_held_and_not_synced() {
    let mut w = flock(7);
    w.set_faults(Faults { write_us: (500, 500), ..Faults::calm() });
    assert_eq!(w.ask(A, S0, Ask::Save(1), SECOND), Some(Heard::Reply(Said::Saved)));
    w.request(A, S0, Ask::Save(2));
    w.request(A, S0, Ask::SaveAndTell(at(B), 3));
    w.run_for(400);
    w.crash(A);
    assert_eq!(replies(&mut w), [Heard::HungUp, Heard::HungUp]);
    w.run_for(SECOND);
    w.restart(A).unwrap();
    w.run_for(SECOND);
    assert_eq!(read(&mut w, A), value(Some(1)));
    assert_eq!(parrot(&w, B).heard, []);
    assert_eq!(parrot(&w, B).links[2..], [(A, false), (A, true)]);
}

#[test]
fn a_crash_is_one_of_the_disk_too() {
    let mut w = flock(7);
    let ghost = w.disk(A).open("ghost", OpenMode::Cached).unwrap();
    ghost.write_at(&[IoSlice::new(b"unsynced")], 0).unwrap();
    assert!(!w.disk(A).unsynced().is_empty());
    w.crash(A);
    assert!(w.disk(A).unsynced().is_empty());
    assert!(ghost.write_at(&[IoSlice::new(b"late")], 0).is_err());
}

#[test]
fn whoever_sees_a_connection_can_use_it() {
    for seed in 0..50 {
        let mut w = World::new(Aviary::default(), 2, seed).unwrap();
        w.set_faults(Faults { delay_us: (0, 10_000), ..Faults::calm() });
        assert!(w.run_until_true(SECOND, |w| w.is_connected(A, B)));
        w.request(A, S0, Ask::Count(at(B), 10));
        w.run_for(SECOND);
        assert_eq!(parrot(&w, B).numbers(), (0..10).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[test]
fn a_power_cut_kills_the_node_at_that_very_write() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut w = flock(seed);
        w.disk(A).cut_power(1);
        w.request(A, S0, Ask::Save(5));
        w.run_for(SECOND);
        assert!(!w.is_up(A));
        assert_eq!(replies(&mut w), [Heard::HungUp]);
        w.disk(A).cut_power(1);
        w.restart(A).unwrap_err();
        w.restart(A).unwrap();
        outcomes.insert(format!("{:?}", read(&mut w, A)));
    }
    assert_eq!(outcomes.len(), 2, "unsynced, it survives or not: {outcomes:?}");
}

#[test]
fn a_partition_stalls_and_heals_in_order() {
    let mut w = flock(8);
    w.request(A, S0, Ask::Count(at(B), 30));
    w.run_for(1);
    w.partition(&[A], &[B, C]);
    w.run_for(SECOND);
    assert_eq!(parrot(&w, B).heard, []);
    w.request(A, S0, Ask::Count(at(B), 30));
    w.run_for(100);
    w.heal();
    w.run_for(SECOND);
    let expected: Vec<u64> = (0..30).chain(0..30).collect();
    assert_eq!(parrot(&w, B).numbers(), expected);
    assert_eq!(parrot(&w, B).links.len(), 2, "nobody noticed");
}

#[test]
fn a_partition_may_lose_and_may_be_one_way() {
    let mut w = flock(9);
    w.set_faults(Faults { partition_drops: true, ..Faults::calm() });
    w.one_way(A, B);
    w.request(A, S0, Ask::Count(at(B), 10));
    w.request(B, S0, Ask::Count(at(A), 10));
    w.run_for(SECOND);
    w.heal();
    w.run_for(SECOND);
    assert_eq!((parrot(&w, B).heard.len(), parrot(&w, A).heard.len()), (0, 10));
}

#[test]
fn a_death_behind_a_partition_is_noticed_when_it_heals() {
    let mut w = flock(10);
    w.partition(&[A], &[B]);
    w.crash(A);
    w.run_for(SECOND);
    assert!(w.is_connected(B, A) && !w.is_connected(C, A));
    w.restart(A).unwrap();
    w.run_for(SECOND);
    assert!(w.is_connected(C, A) && w.is_connected(A, C) && !w.is_connected(A, B));
    w.heal();
    w.run_for(SECOND);
    let of_a = |w: &Flock, node| -> Vec<bool> {
        parrot(w, node).links.iter().filter(|(peer, _)| *peer == A).map(|(_, up)| *up).collect()
    };
    assert_eq!((of_a(&w, B), of_a(&w, C)), (vec![true, false, true], vec![true, false, true]));
}

#[test]
fn a_reset_loses_what_is_in_flight_and_connects_again() {
    let mut w = flock(11);
    w.request(A, S0, Ask::Count(at(B), 10));
    w.run_for(1);
    w.reset(A, B);
    w.run_for(SECOND);
    assert_eq!(parrot(&w, B).heard, []);
    assert_eq!(parrot(&w, A).links[2..], [(B, false), (B, true)]);
    assert_eq!(parrot(&w, B).links[2..], [(A, false), (A, true)]);
}

#[test]
fn the_unwelcome_stay_unconnected_until_they_are_welcome() {
    let system = Aviary { unwelcome: Some(C), ..Aviary::default() };
    let mut w = World::new(system, 3, 1).unwrap();
    w.run_for(SECOND);
    assert!(w.is_connected(A, B) && !w.is_connected(A, C) && !w.is_connected(C, A));
    w.system_mut().unwelcome = None;
    w.heal();
    w.run_for(SECOND);
    assert!(w.is_connected(A, C) && w.is_connected(C, A));
}

#[test]
fn a_timer_that_is_armed_again_moves() {
    let mut w = flock(12);
    w.set_faults(Faults { late_timer_us: (0, 0), ..Faults::calm() });
    let start = w.now();
    w.request(A, S0, Ask::Arm(1, 10));
    w.request(A, S0, Ask::Arm(2, 10));
    w.request(A, S0, Ask::Arm(3, 10));
    w.run_for(5_000);
    w.request(A, S0, Ask::Arm(1, 10));
    w.request(A, S0, Ask::Disarm(2));
    w.run_for(SECOND);
    assert_eq!(parrot(&w, A).fired, [(3, start.plus_ms(10)), (1, start.plus_ms(15))]);
}

#[test]
fn the_paused_catch_up() {
    let mut w = flock(13);
    w.request(B, S0, Ask::Arm(1, 10));
    w.request(B, S0, Ask::Arm(2, 10));
    w.run_for(1);
    w.pause(B);
    let client = w.request(B, S0, Ask::Arm(2, 500));
    w.request(A, S0, Ask::Count(at(B), 10));
    w.run_for(SECOND);
    assert_eq!((&parrot(&w, B).heard, &parrot(&w, B).fired), (&vec![], &vec![]));
    w.resume(B);
    assert_eq!(parrot(&w, B).numbers(), (0..10).collect::<Vec<_>>());
    let fired = |w: &Flock| parrot(w, B).fired.iter().map(|(timer, _)| *timer).collect::<Vec<_>>();
    assert_eq!(fired(&w), [1], "the other was moved before it came due");
    w.run_for(SECOND);
    assert_eq!(fired(&w), [1, 2]);
    w.finish(client);
}

#[test]
fn loads_come_at_once_or_late_or_block() {
    let mut w = flock(14);
    w.request(A, S0, Ask::Read);
    w.step();
    assert_eq!(w.take_replies().len(), 1, "within the turn");
    w.set_faults(Faults { late_load_per_mille: 1000, load_us: (9_000, 9_000), ..Faults::calm() });
    let start = w.now();
    assert_eq!(read(&mut w, A), value(None));
    assert_eq!(w.now().since(start), 9_000);
    w.set_faults(Faults::calm());
    w.system_mut().is_slow = true;
    w.restart(A).unwrap();
    w.take_replies();
    w.request(A, S0, Ask::Read);
    w.step();
    assert_eq!(w.take_replies().len(), 0, "on another thread, so to speak");
    assert_eq!(read(&mut w, A), value(None));
}

#[test]
fn ticks_count_from_the_boot_and_clocks_may_be_wrong() {
    let mut w = flock(15);
    w.run_until(Tick::from_ms(50));
    w.restart(A).unwrap();
    w.set_faults(Faults { late_timer_us: (0, 0), ..Faults::calm() });
    w.request(A, S0, Ask::Arm(1, 10));
    w.run_for(SECOND);
    assert_eq!(parrot(&w, A).fired, [(1, Tick::from_ms(10))]);
    let process = w.nodes[0].process.as_ref().unwrap();
    let skewed = process.now(w.now, -1_000_000);
    assert_eq!(process.now(w.now, 0).wall_us - skewed.wall_us, 1_000_000);
}

#[test]
fn clocks_that_are_too_fast_fire_early_and_never_before_their_tick() {
    let in_ms = |ppm: i64| {
        let mut w = flock(15);
        w.run_until(Tick::from_ms(50));
        w.set_rate(A, ppm);
        w.restart(A).unwrap();
        w.set_faults(Faults { late_timer_us: (0, 0), ..Faults::calm() });
        let booted = w.now();
        w.request(A, S0, Ask::Arm(1, 100));
        w.run_until_true(SECOND, |w| !parrot(w, A).fired.is_empty());
        let (_, at) = parrot(&w, A).fired[0];
        assert!(at >= Tick::from_ms(100), "{at:?} by its own clock");
        w.now().since(booted) / 1_000
    };
    assert_eq!([in_ms(0), in_ms(250_000), in_ms(-200_000)], [100, 80, 125]);
}

#[test]
fn a_slow_link_delays_one_direction_until_it_is_healed() {
    let mut w = flock(17);
    w.run_until(Tick::from_ms(50));
    w.slow(A, B, 300_000);
    let takes = |w: &mut Flock, from: NodeId, to: NodeId| {
        let begun = w.now();
        let heard = parrot(w, to).heard.len();
        w.request(from, S0, Ask::Count(Address { node: to, shard: S0 }, 1));
        assert!(w.run_until_true(SECOND, |w| parrot(w, to).heard.len() > heard));
        w.now().since(begun)
    };
    assert!(takes(&mut w, A, B) >= 300_000);
    assert!(takes(&mut w, B, A) < 10_000);
    w.heal();
    assert!(takes(&mut w, A, B) < 10_000);
}

#[test]
fn a_wiped_disk_is_empty_and_an_old_one_is_old() {
    let mut w = flock(16);
    w.ask(A, S0, Ask::Save(1), SECOND).unwrap();
    let image = w.disk(A).snapshot();
    w.ask(A, S0, Ask::Save(2), SECOND).unwrap();
    w.crash(A);
    w.disk(A).restore(&image);
    w.restart(A).unwrap();
    assert_eq!(read(&mut w, A), value(Some(1)));
    w.wipe(A);
    w.restart(A).unwrap();
    assert_eq!(read(&mut w, A), value(None));
}
