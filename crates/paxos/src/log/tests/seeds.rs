//! Whole runs from a seed: everything goes wrong for a while, then nothing does, and all must be well.

use ombak_sim::{Faults, Rng};

use super::group::{Town, node};
use crate::log::Lease;
use crate::member::Group;

/// One run. A swarm: what can go wrong is drawn first, and then goes wrong.
pub fn run(seed: u64) -> Town {
    let mut rng = Rng::new(seed ^ 0x9e37_79b9_7f4a_7c15);
    let nodes = rng.between(1, 7) as u32;
    let founders = rng.between(1, u64::from(nodes)) as u32;
    let groups = if rng.chance(1, 4) { rng.between(2, 4) as u32 } else { 1 };
    let lease = lease(seed);
    let mut witnesses = witnesses(seed);
    let founding = witnesses.as_mut().map_or(Vec::new(), |rng| some_of(founders, rng));
    let mut town =
        Town::with_witnesses(groups, lease, (nodes, founders, founding.as_slice()), seed);
    if let Some(Lease { drift_ppm, .. }) = lease {
        drift(&mut town, nodes, drift_ppm, seed);
    }
    if rng.chance(3, 4) {
        town.world.set_faults(Faults::random(&mut rng));
    }
    let crashes = rng.chance(1, 2);
    let power_cuts = rng.chance(1, 2);
    let cuts = rng.chance(1, 2);
    let pauses = rng.chance(1, 4);
    let changes = rng.chance(1, 2);
    let mut flexible = flexible(seed);
    for _ in 0..rng.between(20, 120) {
        let at = node(rng.below(nodes.into()) as u32);
        town.group = Group(rng.below(groups.into()) as u32);
        match rng.below(23) {
            20 | 21 if power_cuts => match town.world.is_up(at) {
                // In the middle of what the disk is doing: what is not synced is gone.
                true => town.world.disk(at).cut_power(1 + rng.below(12)),
                false => town.world.restart(at).unwrap(),
            },
            0 if crashes => town.world.crash(at),
            1 | 2 if crashes && !town.world.is_up(at) => town.world.restart(at).unwrap(),
            3 if cuts => {
                let cut = (0..nodes).filter(|_| rng.chance(1, 2)).map(node).collect::<Vec<_>>();
                let rest = (0..nodes).map(node).filter(|id| !cut.contains(id)).collect::<Vec<_>>();
                match rng.chance(1, 3) {
                    true if !rest.is_empty() && !cut.is_empty() => {
                        town.world.one_way(cut[0], rest[0]);
                    }
                    _ => town.world.partition(&cut, &rest),
                }
            }
            4 | 5 if cuts => town.world.heal(),
            6 if pauses => town.world.pause(at),
            7 if pauses => {
                town.world.resume(at);
                town.read(at); // It may lead, as far as it knows.
            }
            8 if changes => {
                let voters = (0..nodes).filter(|_| rng.chance(1, 2)).collect::<Vec<_>>();
                let learners = (0..nodes).filter(|_| rng.chance(1, 4)).collect::<Vec<_>>();
                if !voters.is_empty() {
                    let most = voters.len() as u64;
                    let accept = flexible.as_mut().map(|rng| rng.between(1, most) as usize);
                    let mut witnesses =
                        witnesses.as_mut().map_or(Vec::new(), |rng| some_of(nodes, rng));
                    witnesses.retain(|id| voters.contains(id));
                    town.change_to(at, &voters, &learners, &witnesses, accept);
                }
            }
            22 => {
                let to = node(rng.below(nodes.into()) as u32);
                town.lead(at, to);
            }
            9 => town.read(at),
            10 => town.read_at(at),
            11..14 if lease.is_some() => town.read(at),
            11..16 => drop((0..rng.between(1, 5)).map(|_| town.write_once(at)).max()),
            _ => drop((0..rng.between(1, 5)).map(|_| town.write(at)).max()),
        }
        let us = match rng.below(4) {
            0 => rng.between(1, 1_000),
            1 | 2 => rng.between(1, 50_000),
            _ => rng.between(1, 1_000_000),
        };
        town.run_for(us);
    }
    town.converge();
    town
}

/// Leases are drawn apart, so that runs without one are what they were before there were any.
fn lease(seed: u64) -> Option<Lease> {
    let mut rng = Rng::new(seed ^ 0x2545_f491_4f6c_dd1d);
    let drift_ppm = if rng.chance(1, 2) { 200 } else { rng.below(200_000) as u32 };
    rng.chance(1, 3).then(|| Lease { ms: rng.between(50, 2_000), drift_ppm })
}

/// Whether the voters that decide are any number. Drawn apart, as leases are.
fn flexible(seed: u64) -> Option<Rng> {
    let mut rng = Rng::new(seed ^ 0x27d4_eb2f_1656_67c5);
    rng.chance(1, 3).then_some(rng)
}

/// Whether some keep no state. Drawn apart, as leases are.
fn witnesses(seed: u64) -> Option<Rng> {
    let mut rng = Rng::new(seed ^ 0x9216_d5d9_8979_fb1b);
    rng.chance(1, 3).then_some(rng)
}

/// Fewer than half of the nodes.
fn some_of(nodes: u32, rng: &mut Rng) -> Vec<u32> {
    let mut some = (0..nodes).filter(|_| rng.chance(1, 3)).collect::<Vec<_>>();
    some.truncate((nodes as usize - 1) / 2);
    some
}

/// Each clock is wrong by what is declared, or by less.
fn drift(town: &mut Town, nodes: u32, ppm: u32, seed: u64) {
    let mut rng = Rng::new(seed ^ 0x6c62_272e_07bb_0142);
    for id in 0..nodes {
        let ppm = i64::from(ppm);
        let rate = [-ppm, 0, ppm][rng.below(3) as usize];
        town.start_with_rate(node(id), rate);
    }
}

/// `PAXOS_SEEDS=0..1000` for a long look.
#[expect(clippy::disallowed_methods, reason = "a test is told its seeds from outside")]
pub fn asked_for() -> Option<std::ops::Range<u64>> {
    let text = std::env::var("PAXOS_SEEDS").ok()?;
    let (from, to) = text.split_once("..")?;
    Some(from.parse().ok()?..to.parse().ok()?)
}

#[test]
fn seeds() {
    for seed in asked_for().unwrap_or(0..60) {
        let town = std::panic::catch_unwind(|| run(seed));
        assert!(town.is_ok(), "seed {seed}");
    }
}
