//! History repeated by several threads: what one of them would do.

use std::num::NonZeroU32;

use ombak_sim::Rng;

use super::damage::stopped;
use super::*;
use crate::page::PAGE_BYTES;

/// Opens the database of a world that has stopped, and writes all of it out: what the restart did, and the page file.
fn opened(seed: u64, threads: u32) -> (String, Option<Vec<u8>>) {
    let World { disk, .. } = stopped(seed);
    opened_on(&disk, threads)
}

fn opened_on(disk: &SimDisk, threads: u32) -> (String, Option<Vec<u8>>) {
    let redo_threads = NonZeroU32::new(threads).unwrap();
    match Engine::open(disk.mount(), "db", EngineOptions { redo_threads, ..small() }) {
        Err(error) => (error.to_string(), None),
        Ok((engine, restart)) => {
            engine.checkpoint().unwrap();
            let Restart { redo_from, redone, skipped, losers, prepared, .. } = restart;
            prepared.into_iter().for_each(std::mem::forget);
            let did = format!("{redo_from:?} {redone} {skipped} {losers:?}");
            (did, disk.contents("db/pages"))
        }
    }
}

#[test]
fn several_threads_do_what_one_does() {
    for seed in 0..20 {
        let (alone, pages) = opened(seed, 1);
        assert!(pages.is_some(), "{alone}");
        for threads in [2, 3, 7] {
            assert!(
                opened(seed, threads) == (alone.clone(), pages.clone()),
                "seed {seed}: {alone}"
            );
        }
    }
}

/// Whichever of them meets it, the others do not go on for ever, and it is told.
#[test]
fn what_stops_one_of_them_is_told() {
    let mut told = 0;
    for page in 0..8 {
        let damaged = || {
            let World { disk, .. } = stopped(3);
            disk.flip_bit("db/pages", page * PAGE_BYTES as u64 + 100, 1);
            disk
        };
        let alone = opened_on(&damaged(), 1);
        told += u64::from(alone.1.is_none());
        assert!(opened_on(&damaged(), 3) == alone, "{}", alone.0);
    }
    assert!(told > 0, "no damage was met");
}

#[test]
fn lives_that_several_threads_begin() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        world.redo_threads = NonZeroU32::new(3).unwrap();
        for _ in 0..8 {
            world.disk.cut_power(1 + rng.below(400));
            world.live(200);
            world.crash(|_| rng.chance(1, 2));
        }
        world.start().unwrap();
    }
}
