//! Workloads on a disk that loses a write or puts it elsewhere, and says that it is done. What is shown is right, or it is told by
//! name: as far as the README promises.

use ombak_sim::Rng;

use super::damage::says_where;
use super::faulty::{Fault, Faults, Faulty};
use super::*;
use crate::error::Error;
use crate::log::LogError;
use crate::page::PageFault;
use crate::pool::Latched;
use crate::seeds::seeds;
use crate::tree::Tree;

const PAGES: &str = "db/pages";
const LOG: &str = "db/wal/";

/// How a life ends.
#[derive(PartialEq, Eq, Debug)]
enum End {
    /// It had its time.
    Old,
    Cut,
    Told,
}

/// Whether it says what can't be read.
fn is_told(error: &Error) -> bool {
    let told = match error {
        Error::Damaged { .. } | Error::LogDamaged { .. } | Error::Corrupt { .. } => true,
        // The page that says what the file is.
        Error::Foreign { file, .. } => file == "db/pages",
        Error::Log(error) => matches!(error, LogError::Damaged { .. }),
        _ => false,
    };
    if told {
        says_where(error);
    }
    told
}

/// A world with many more pages than its pool has frames.
fn wide(seed: u64) -> World {
    let mut world = World::new(seed);
    world.keys = 3000;
    world
}

/// A life of so many steps, from the start on. It checks what it sees all the while, in `World`.
fn life(world: &mut World, steps: u64) -> End {
    let lived = world.start().and_then(|()| (0..steps).try_for_each(|_| world.step()));
    match lived {
        Ok(()) => End::Old,
        Err(_) if world.disk.is_powerless() => End::Cut,
        Err(error) if world.faults.has_struck() && is_told(&error) => End::Told,
        Err(error) => panic!("an error without a cause: {error}"),
    }
}

/// The next start: `true` if something is told.
fn start_is_told(world: &mut World) -> bool {
    world.faults.call_off();
    match world.start() {
        Ok(()) => false,
        Err(error) if is_told(&error) => true,
        Err(error) => panic!("another error: {error}"),
    }
}

fn crash(world: &mut World, rng: &mut Rng) {
    world.crash(|_| rng.chance(1, 2));
}

/// Whatever was written in the last batch of pages is right after the next start, for its copies are there.
#[test]
fn a_page_write_that_was_lost_with_the_last_batch_is_put_right() {
    let (mut struck, mut told) = (0, 0);
    for seed in seeds(150) {
        let mut rng = Rng::new(seed);
        let mut world = wide(seed);
        world.faults.plan(PAGES, 1 + rng.below(25), Fault::Lost, seed);
        world.faults.cut_before("db/pages.double");
        let end = life(&mut world, 600);
        if !world.faults.has_struck() {
            continue;
        }
        struck += 1;
        told += u64::from(end == End::Told);
        crash(&mut world, &mut rng);
        assert!(!start_is_told(&mut world), "seed {seed}");
        (0..100).for_each(|_| world.step().unwrap());
        world.check();
    }
    assert!(struck > 100, "{struck} struck, {told} told before");
}

/// One that went elsewhere is right where it belongs, and where it went is told, unless nobody misses what was there.
#[test]
fn a_page_write_of_the_last_batch_that_went_elsewhere_is_put_right_or_told() {
    let (mut struck, mut told) = (0, 0);
    for seed in seeds(150) {
        let mut rng = Rng::new(seed);
        let mut world = wide(seed);
        // Once there is something to go over.
        world.faults.plan(PAGES, 4 + rng.below(20), Fault::Misdirected, seed);
        world.faults.cut_before("db/pages.double");
        life(&mut world, 800);
        if !world.faults.has_struck() {
            continue;
        }
        struck += 1;
        crash(&mut world, &mut rng);
        told += u64::from(start_is_told(&mut world));
    }
    assert!(struck > 80, "{struck} struck, {told} told");
}

/// While it lives, an engine shows nothing that is older than what it has written, however long ago.
#[test]
fn a_life_goes_on_after_a_page_write_was_lost_and_shows_nothing_wrong() {
    let (mut struck, mut told) = (0, 0);
    for (seed, fault) in
        seeds(60).flat_map(|seed| [(seed, Fault::Lost), (seed, Fault::Misdirected)])
    {
        let mut rng = Rng::new(seed);
        let mut world = wide(seed);
        world.faults.plan(PAGES, 1 + rng.below(40), fault, seed);
        let end = life(&mut world, 2500);
        struck += u64::from(world.faults.has_struck());
        told += u64::from(end == End::Told);
        world.stop();
    }
    assert!(struck > 100 && told > 8, "{struck} struck, {told} told");
}

/// A write that went over something else besides: what was there is told, whenever it is read.
#[test]
fn what_a_stray_write_went_over_is_told_in_life_and_after() {
    let (mut struck, mut told) = (0, 0);
    for seed in seeds(100) {
        let mut rng = Rng::new(seed);
        let mut world = wide(seed);
        world.faults.plan(PAGES, 4 + rng.below(20), Fault::Stray, seed);
        let end = life(&mut world, 800);
        struck += u64::from(world.faults.has_struck());
        crash(&mut world, &mut rng);
        let later = start_is_told(&mut world);
        told += u64::from(end == End::Told || later);
    }
    assert!(struck > 60 && told > 5, "{struck} struck, {told} told");
}

/// A batch of the log that is not there, with others behind it, is told if a restart needs it. At the very end it looks like a
/// log that ended sooner.
#[test]
fn a_write_of_the_log_that_was_lost_is_told_unless_it_was_the_last() {
    for fault in [Fault::Lost, Fault::Misdirected, Fault::Stray] {
        let (mut struck, mut told, mut right) = (0, 0, 0);
        for seed in seeds(120) {
            let mut rng = Rng::new(seed);
            let mut world = World::new(seed);
            world.faults.plan(LOG, 3 + rng.below(60), fault, seed);
            life(&mut world, 500);
            if !world.faults.has_struck() {
                continue;
            }
            struck += 1;
            // Nothing that was begun since stands behind it: what was durable may end sooner.
            if world.faults.begun() < 2 {
                world.forget_what_was_durable();
            }
            crash(&mut world, &mut rng);
            if start_is_told(&mut world) { told += 1 } else { right += 1 }
        }
        assert!(struck > 60, "{fault:?}: {struck} struck");
        println!("{fault:?}: {struck} struck, {told} told, {right} right");
    }
}

/// Three trees of a page each, and a disk that loses the one write of the second: older copies are all there is of it.
/// The first one's page is written by nobody, so that the next start reads the log from before that.
fn with_a_lost_write(then: impl FnOnce(&Engine)) -> SimDisk {
    let (disk, faults) = (SimDisk::new(), Faults::default());
    let faulty = Faulty::new(disk.mount(), faults.clone());
    let (engine, _) = Engine::open(faulty, "db", small()).unwrap();
    let trees = ["old", "lost", "written"].map(|name| engine.tree(name).unwrap());
    engine.checkpoint().unwrap();
    let put = |tree: Tree| tree.put_now(&engine, b"a", b"new").unwrap();
    put(trees[0]);
    let unwritten = engine.0.pool.write(trees[0].root()).unwrap();
    let flush = || engine.0.pool.flush_below(Lsn(u64::MAX), Latched::PassOver).unwrap();
    put(trees[1]);
    faults.plan(PAGES, 1, Fault::Lost, 0);
    flush();
    assert!(faults.has_struck());
    // Now its copy is no more.
    put(trees[2]);
    flush();
    drop(unwritten);
    engine.0.checkpoint_after_restart().unwrap();
    then(&engine);
    engine.sync().unwrap();
    drop(engine);
    disk.crash_with(|_| true);
    disk
}

fn is_outdated(error: &Error) -> bool {
    says_where(error);
    matches!(error, Error::Damaged { fault: PageFault::Outdated, .. })
}

#[test]
fn a_page_whose_write_was_lost_is_told_by_the_next_start_that_reads_what_it_lacks() {
    let disk = with_a_lost_write(|_| ());
    let (engine, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert!(restart.redo_from < restart.checkpoint, "the log reaches back far enough");
    let get = |name: &str| engine.tree(name).and_then(|tree| tree.get_latest(&engine, b"a"));
    assert_eq!(get("old").unwrap().unwrap(), "new");
    assert_eq!(get("written").unwrap().unwrap(), "new");
    let told = get("lost").unwrap_err();
    assert!(is_outdated(&told), "{told}");
}

#[test]
fn a_page_whose_write_was_lost_is_not_built_upon() {
    let again = |engine: &Engine| {
        engine.tree("lost").unwrap().put_now(engine, b"b", b"newer").unwrap();
    };
    let disk = with_a_lost_write(again);
    let told = Engine::open(disk.mount(), "db", small()).map(drop).unwrap_err();
    assert!(is_outdated(&told), "{told}");
}

/// A checkpoint that has written everything leaves nothing to redo, but its log is still there.
#[test]
fn a_page_whose_write_was_lost_by_a_process_that_was_closed_is_told() {
    let disk = with_a_lost_write(|engine| engine.checkpoint().unwrap());
    let (engine, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!(restart.redone + restart.skipped, 0);
    let get = |name: &str| engine.tree(name).and_then(|tree| tree.get_latest(&engine, b"a"));
    assert_eq!(get("old").unwrap().unwrap(), "new");
    let told = get("lost").unwrap_err();
    assert!(is_outdated(&told), "{told}");
}
