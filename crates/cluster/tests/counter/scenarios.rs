//! Counting through crashes.

use ombak_base::{NodeId, ShardId};
use ombak_cluster::Topology;
use ombak_sim::{
    Booted, Faults, Heard, LogDevice, LogWriter, Rng, SimDisk, SimFile, System, World, open_log,
};

use crate::service::CounterNode;

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);
const S: ShardId = ShardId(0);

struct Counters;

impl System for Counters {
    type Machine = CounterNode;
    type Device = LogDevice;
    type Writer = LogWriter<SimFile>;

    fn boot(
        &mut self,
        node: NodeId,
        disk: &SimDisk,
        _: u64,
        rng: &mut Rng,
    ) -> Result<Booted<Counters>, String> {
        let names = ["a", "b", "c"].map(String::from);
        let topology = Topology::fixed(&names, 1).map_err(|error| error.to_string())?;
        let (devices, writer) = open_log(disk, 1).map_err(|error| error.to_string())?;
        let boot = rng.next_u64();
        let shards = devices
            .into_iter()
            .map(|device| (CounterNode::new(node, topology.clone(), boot), device));
        Ok(Booted { shards: shards.collect(), writer })
    }
}

fn add(w: &mut World<Counters>, through: NodeId, amount: u64) -> Option<u64> {
    let heard = w.ask(through, S, amount, 1_000_000);
    match heard {
        Some(Heard::Reply(count)) => Some(count),
        _ => None,
    }
}

#[test]
fn every_node_counts_at_the_first_owner() {
    let mut w = World::new(Counters, 3, 1).unwrap();
    w.run_for(1_000_000);
    assert_eq!(add(&mut w, A, 1), Some(1));
    assert_eq!(add(&mut w, B, 2), Some(3));
    assert_eq!(add(&mut w, C, 4), Some(7));
}

#[test]
fn counting_goes_on_at_the_next_owner_and_nothing_counted_is_lost() {
    let mut w = World::new(Counters, 3, 2).unwrap();
    w.run_for(1_000_000);
    assert_eq!(add(&mut w, B, 5), Some(5));
    w.crash(A);
    w.run_for(2_000_000);
    assert_eq!(add(&mut w, C, 1), Some(1), "b counts for itself");
    w.restart(A).unwrap();
    w.run_for(2_000_000);
    assert_eq!(add(&mut w, C, 1), Some(6), "a has kept its five");
}

#[test]
fn a_silent_owner_is_passed_over() {
    let mut w = World::new(Counters, 3, 3).unwrap();
    w.run_for(1_000_000);
    w.partition(&[A], &[B, C]);
    w.run_for(2_000_000);
    assert_eq!(add(&mut w, C, 1), Some(1));
    w.heal();
    w.run_for(2_000_000);
    assert_eq!(add(&mut w, B, 1), Some(1), "a again, which has counted nothing yet");
}

#[test]
fn what_was_answered_survives_power_cuts_in_any_weather() {
    for seed in 0..40 {
        let mut w = World::new(Counters, 3, seed).unwrap();
        let weather = Faults {
            drop_per_mille: 0,
            duplicate_per_mille: 0,
            ..Faults::random(&mut Rng::new(seed))
        };
        w.set_faults(weather);
        w.run_for(2_000_000);
        w.disk(A).cut_power(1 + seed % 7);
        let mut answered = 0;
        for _ in 0..10 {
            let count = if w.is_up(A) { add(&mut w, A, 1) } else { None };
            answered = count.unwrap_or(answered);
            w.run_for(10_000);
        }
        w.crash(A);
        w.restart(A).unwrap();
        w.run_for(3_000_000);
        assert!(add(&mut w, A, 0) >= Some(answered), "seed {seed}");
    }
}
