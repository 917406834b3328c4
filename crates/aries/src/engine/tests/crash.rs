//! The power goes at every write and every sync; of what was not synced every part survives or does not.

use ombak_sim::Rng;

use super::*;
use crate::seeds::seeds;
use crate::survivors::Survivors;

/// Runs a workload until operation `n` of the disk fails; `None`: it ended before.
fn cut_at(seed: u64, steps: u64, n: u64) -> Option<World> {
    let mut world = World::new(seed);
    world.disk.cut_power(n);
    (!world.live(steps)).then_some(world)
}

#[test]
fn any_operation_may_be_the_last() {
    let mut cut = 0;
    for seed in seeds(3) {
        for n in 1.. {
            let Some(world) = cut_at(seed, 40, n) else { break };
            let parts = world.disk.unsynced().len() as u32;
            drop(world);
            for survivors in Survivors::of(parts, parts / 3, 6) {
                let mut world = cut_at(seed, 40, n).unwrap();
                let mut is_left = survivors.judge();
                world.crash(|_| is_left());
                world.start().unwrap();
                world.check_space();
                (0..5).for_each(|_| world.step().unwrap());
            }
            cut += 1;
        }
    }
    assert!(cut > 60, "only {cut} operations were cut");
}

#[test]
fn a_restart_may_be_cut_at_any_operation_again_and_again() {
    for seed in seeds(12) {
        for n in 1.. {
            let mut rng = Rng::new(seed << 32 | n);
            let mut world = World::new(seed);
            assert!(world.live(120));
            world.crash(|_| rng.chance(1, 2));
            // Each restart gets a little farther than the one before it did.
            let mut tries = 0;
            world.disk.cut_power(n);
            while !world.live(0) {
                world.crash(|_| rng.chance(1, 2));
                tries += 1;
                world.disk.cut_power(n + tries);
            }
            world.disk.cut_power(u64::MAX);
            world.check();
            world.check_space();
            if tries == 0 {
                break;
            }
        }
    }
}

#[test]
fn life_after_life() {
    for seed in seeds(60) {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        for _ in 0..8 {
            world.disk.cut_power(1 + rng.below(400));
            world.live(200);
            world.crash(|_| rng.chance(1, 2));
        }
        world.start().unwrap();
        world.check_space();
    }
}

#[test]
fn the_workload_does_what_there_is_to_do() {
    let mut world = World::new(5);
    assert!(world.live(2500));
    let usage = world.engine.as_ref().unwrap().usage();
    assert!(
        usage.checkpoints > 10 && usage.pool.writes > 200 && usage.pool.reads > 40,
        "{usage:?}"
    );
    assert!(world.refused > 20, "{} refusals", world.refused);
    world.engine.as_ref().unwrap().sync().unwrap();
    world.stop();
    world.start().unwrap();
    let restart = world.restart.as_ref().unwrap();
    assert!(
        restart.redone > 0 && !restart.losers.is_empty(),
        "{} {:?}",
        restart.redone,
        restart.losers
    );
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let run = |seed| {
        let mut world = World::new(seed);
        assert!(world.live(300));
        world.stop();
        let files = world.disk.files();
        files.into_iter().map(|(path, _)| (world.disk.contents(&path), path)).collect::<Vec<_>>()
    };
    assert_eq!(run(3), run(3));
}
