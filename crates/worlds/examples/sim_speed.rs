//! How many events the simulator carries: five nodes of the production code over their storage, in calm weather, with
//! clients that put and get values of 1 KiB, and every check on. One event is one step of a `node::Shard`.
//!
//! ```text
//! cargo run --release -p ombak-worlds --example sim_speed
//! ```

use bytes::Bytes;
use ombak_base::{ClientId, NodeId, ShardId};
use ombak_kv::{BucketId, Content, GetOp, Operation, PutOp, Quorums, Request, Return};
use ombak_sim::{Rng, World};
use ombak_worlds::{Cluster, Shape};

const NODES: u32 = 5;
const CLIENTS: usize = 64;
const KEYS: u64 = 1_000;
const VALUE_BYTES: usize = 1_024;
const RUNS: usize = 5;
const VIRTUAL_US: u64 = 3_000_000;

fn main() {
    let mut rates: Vec<f64> = (0..RUNS).map(|run| one(run as u64)).collect();
    rates.sort_by(f64::total_cmp);
    println!("median: {:.0} events per CPU second", rates[RUNS / 2]);
}

/// Events per CPU second.
fn one(seed: u64) -> f64 {
    let shape = Shape { nodes: NODES, shards: 1, ring_size: 64 };
    let cluster = Cluster::new(shape).unwrap_or_else(|error| panic!("{error}"));
    let mut world = World::new(cluster, NODES, seed).unwrap_or_else(|error| panic!("{error}"));
    world.run_for(5_000_000);
    let mut rng = Rng::new(seed);
    let (began, steps, from) = (cpu_ns(), world.steps(), world.now());
    let mut asked = 0;
    for _ in 0..CLIENTS {
        ask(&mut world, &mut rng);
    }
    while world.now().0 < from.0 + VIRTUAL_US {
        world.run_until_true(VIRTUAL_US, |world| !world.replies().is_empty());
        for reply in world.take_replies() {
            world.finish(reply.client);
            ask(&mut world, &mut rng);
            asked += 1;
        }
    }
    let (cpu_ns, steps) = (cpu_ns() - began, world.steps() - steps);
    let rate = steps as f64 * 1e9 / cpu_ns as f64;
    let (seconds, virtual_s) = (cpu_ns as f64 / 1e9, VIRTUAL_US as f64 / 1e6);
    println!(
        "{steps} events, {asked} requests, {virtual_s} virtual seconds in {seconds:.2} CPU seconds: {rate:.0} events per CPU second"
    );
    rate
}

fn ask(world: &mut World<Cluster>, rng: &mut Rng) -> ClientId {
    let node = NodeId(rng.below(u64::from(NODES)) as u32);
    let bucket = BucketId::default_type("b");
    let key = Bytes::from(format!("k{}", rng.below(KEYS)));
    let quorums = Quorums::default();
    let operation = if rng.chance(1, 2) {
        let (basic_quorum, notfound_ok, timeout_ms) = (None, None, None);
        Operation::Get(GetOp { bucket, key, quorums, basic_quorum, notfound_ok, timeout_ms })
    } else {
        let value = Bytes::from(vec![rng.below(256) as u8; VALUE_BYTES]);
        Operation::Put(PutOp {
            bucket,
            key: Some(key),
            context: Bytes::new(),
            content: Content { value, ..Content::default() },
            quorums,
            returns: Return::Nothing,
            if_none_match: false,
            if_not_modified: false,
            timeout_ms: None,
        })
    };
    world.request(node, ShardId(0), ombak_node::Request::Kv(Request::Key(operation)))
}

/// What this process has run, in nanoseconds.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}
