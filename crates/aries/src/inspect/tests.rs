//! What is said of a database, against what opening it then does.

mod copies;
mod flips;
mod golden;
mod queues;

use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::Engine;
use crate::engine::Restart;
use crate::engine::tests::world::{World, small};
use crate::page::PageId;
use crate::seeds::seeds;
use crate::txn::TxnId;

pub fn inspect(disk: &SimDisk) -> Inspection<SimDisk> {
    Inspection::open(disk.mount(), "db", Vec::new()).unwrap()
}

/// What a dry run comes to, in the words of [`Restart`].
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    records: u64,
    checkpoint: Lsn,
    redo_from: Lsn,
    redone: u64,
    skipped: u64,
    losers: Vec<TxnId>,
    prepared: usize,
    mended: Vec<PageId>,
}

fn planned(inspection: &Inspection<SimDisk>) -> Outcome {
    let passes = inspection.analysis().unwrap();
    let redo = inspection.redo(|_| Ok(())).unwrap();
    let undo = inspection.undo(|_| Ok(())).unwrap();
    assert_eq!(redo.unreadable, 0);
    Outcome {
        records: inspection.log().recovery().records,
        checkpoint: passes.checkpoint,
        redo_from: passes.redo_from.unwrap_or_default(),
        redone: redo.redone,
        skipped: redo.skipped,
        losers: undo.losers,
        prepared: undo.prepared.len(),
        mended: redo.mended,
    }
}

fn done(restart: &Restart) -> Outcome {
    let mut mended = restart.repaired.clone();
    mended.sort();
    Outcome {
        records: restart.log.records,
        checkpoint: restart.checkpoint,
        redo_from: restart.redo_from,
        redone: restart.redone,
        skipped: restart.skipped,
        losers: restart.losers.clone(),
        prepared: restart.prepared.len(),
        mended,
    }
}

/// What undo leaves in the log: compensations by their undo-next, and ends (`None`).
type Trace = Vec<(TxnId, Option<Lsn>)>;

fn undo_planned(inspection: &Inspection<SimDisk>) -> Trace {
    let mut trace = Vec::new();
    inspection
        .undo(|step| {
            match step.what {
                UndoWhat::TakeBack => trace.push((step.txn, Some(step.next))),
                UndoWhat::End => trace.push((step.txn, None)),
                UndoWhat::Jump | UndoWhat::PassOver => {}
            }
            Ok(())
        })
        .unwrap();
    trace
}

fn undo_done(inspection: &Inspection<SimDisk>, from: Lsn) -> Trace {
    let mut trace = Vec::new();
    let scanned = inspection.log().scan(from, |entry| {
        match Record::decode(entry.payload).unwrap() {
            Record::Clr { link, undo_next, .. } | Record::NestedEnd { link, undo_next } => {
                trace.push((link.txn, Some(undo_next)));
            }
            Record::End(link) => trace.push((link.txn, None)),
            _ => {}
        }
        Ok::<(), Error>(())
    });
    scanned.unwrap();
    trace
}

/// Whether `part` is in `whole`, in order: between its steps undo may split nodes.
fn is_within(part: &Trace, whole: &Trace) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|step| rest.any(|other| other == step))
}

/// Says what a restart would do, does it on the same bytes, compares, and puts the bytes back. Answers the planned.
fn compare(world: &World) -> Outcome {
    let image = world.disk.snapshot();
    let before = world.disk.counters().changes();
    let inspection = inspect(&world.disk);
    let (plan, undo) = (planned(&inspection), undo_planned(&inspection));
    let end = inspection.log().recovery().end;
    let verification = inspection.verify().unwrap();
    assert!(verification.is_sound(), "{:?}", verification.findings);
    assert_eq!(world.disk.counters().changes(), before, "nothing was written");
    let (engine, restart) = Engine::open(world.disk.mount(), "db", small()).unwrap();
    assert_eq!(plan, done(&restart));
    drop(engine);
    let after = undo_done(&inspect(&world.disk), end);
    assert!(is_within(&undo, &after), "planned {undo:?}, and did {after:?}");
    world.disk.restore(&image);
    plan
}

#[test]
fn what_is_planned_is_what_a_restart_does() {
    let (mut redone, mut skipped, mut losers, mut mended) = (0, 0, 0, 0);
    for seed in seeds(25) {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        for _ in 0..8 {
            world.disk.cut_power(1 + rng.below(400));
            let _cut = world.start().and_then(|()| (0..200).try_for_each(|_| world.step()));
            world.crash(|_| rng.chance(1, 2));
            let plan = compare(&world);
            redone += plan.redone;
            skipped += plan.skipped;
            losers += plan.losers.len();
            mended += plan.mended.len();
        }
    }
    assert!(redone > 1000 && skipped > 100 && losers > 20 && mended > 0);
}

#[test]
fn a_directory_without_a_log_is_an_empty_one() {
    let disk = SimDisk::new();
    let inspection = inspect(&disk);
    assert!(inspection.log().is_empty());
    assert_eq!(inspection.log().recovery().end, Lsn(1));
    assert_eq!(disk.counters().changes(), 0);
}

#[test]
fn a_leaf_that_rots_is_found_where_it_is_and_by_the_walk_of_its_tree() {
    let disk = SimDisk::new();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    let tree = engine.tree("rows").unwrap();
    engine.checkpoint().unwrap();
    engine.queue("mail").unwrap(); // Its pages take the place of the copies.
    engine.checkpoint().unwrap();
    drop(engine);
    let offset = u64::from(tree.root().0) * crate::PAGE_BYTES as u64;
    let sound = inspect(&disk).verify().unwrap();
    assert_eq!((sound.findings, sound.trees, sound.queues), (vec![], Some(2), Some(1)));
    disk.flip_bit("db/pages", offset + 5000, 3);
    let found = inspect(&disk).verify().unwrap();
    let [page, walk] = found.findings.as_slice() else { panic!("{found:?}") };
    assert_eq!((page.file.as_str(), page.offset), ("db/pages", offset));
    assert_eq!((walk.file.as_str(), walk.offset), ("db/pages", offset));
    assert!(walk.what.starts_with("structure \"rows\"") && walk.what.contains("page2"), "{walk:?}");
    assert_eq!((found.is_sound(), found.trees, found.queues), (false, Some(1), Some(1)));
}
