//! The power goes at every write and every sync.

use ombak_sim::Rng;

use super::*;

/// Runs a workload until operation `n` of the disk fails; `None`: it ended before.
fn cut_at(seed: u64, steps: u64, n: u64) -> Option<World> {
    let mut world = World::new(seed);
    world.disk.cut_power(n);
    let mut live = || {
        world.start()?;
        (0..steps).try_for_each(|_| world.step())
    };
    live().is_err().then_some(world)
}

#[test]
fn any_operation_may_be_the_last() {
    for seed in 0..4 {
        for n in 1.. {
            let Some(mut world) = cut_at(seed, 60, n) else { break };
            let mut rng = Rng::new(n);
            world.crash(|_| rng.chance(1, 2));
            world.start().unwrap();
            (0..20).for_each(|_| world.step().unwrap());
        }
    }
}

#[test]
fn life_after_life() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        for _ in 0..8 {
            world.disk.cut_power(1 + rng.below(400));
            let _cut = world.start().and_then(|()| (0..200).try_for_each(|_| world.step()));
            world.crash(|_| rng.chance(1, 2));
        }
        world.start().unwrap();
    }
}
